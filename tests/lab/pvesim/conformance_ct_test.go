package pvesim

import (
	"os"
	"path/filepath"
)

// Recorded requests about containers and by tokens.

var ctGroups = []replayGroup{
	{name: "starting and stopping a container", cases: join(
		ended("u", replay{name: "lxc_start_unknown_vmid"}, "task_status_lxc_start_unknown_vmid", "task_log_lxc_start_unknown_vmid"),
		ended("w", replay{name: "lxc_start_wrong_node"}, "task_status_lxc_start_wrong_node", "task_log_lxc_start_wrong_node"),
		ended("f", replay{name: "lxc_start_accepted", before: failNext("n1", 200, "startup for container '200' failed")}, "task_status_lxc_start_failed", "task_log_lxc_start_failed"),
		ended("s", replay{name: "lxc_start_ok"}, "task_status_lxc_start_ok", "task_log_lxc_start_ok"),
		named("lxc_start_already_running", "lxc_status_current_running", "lxc_list_running", "lxc_migrate_precond_running", "token_lxc_start_running",
			"token_lxc_status", "lxc_migrate_running_no_restart"),
		ended("o", replay{name: "lxc_migrate_running_online"}, "task_status_lxc_migrate_running_online", "task_log_lxc_migrate_running_online"),
		ended("b", replay{name: "lxc_migrate_restart_bindmount"}, "task_status_lxc_migrate_restart_bindmount", "task_log_lxc_migrate_restart_bindmount"),
		ended("d", replay{name: "lxc_shutdown_ok"}, "task_status_lxc_shutdown_ok", "task_log_lxc_shutdown_ok"),
		ended("t", replay{name: "lxc_stop_ok", before: startCT}, "task_status_lxc_stop_ok"),
		ended("a", replay{name: "lxc_shutdown_accepted", before: startCT}))},
	{name: "a container that moves", prepare: func(l *testLab) {
		l.must(l.SetConfig(200, "mp0", ""))
		startCT(l, nil)
	}, cases: join(
		ended("m", replay{name: "lxc_migrate_restart_ok"}, "task_status_lxc_migrate_restart_ok", "task_log_lxc_migrate_restart_ok"),
		named("lxc_status_after_migrate", "node_lxc_empty"))},
	{name: "a locked container", cases: join(
		named("lxc_config_put_lock", "lxc_status_current_locked", "lxc_unlock_delete_lock"),
		ended("n", replay{name: "lxc_start_locked"}, "task_status_lxc_start_locked", "task_log_lxc_start_locked"),
		[]replay{{name: "lxc_start_running_locked", before: func(l *testLab, _ map[string]string) {
			l.must(l.SetLock(200, ""))
			startCT(l, nil)
			l.must(l.SetLock(200, "migrate"))
		}}},
		ended("s", replay{name: "lxc_stop_locked"}, "task_status_lxc_stop_locked"),
		ended("d", replay{name: "lxc_shutdown_locked"}, "task_status_lxc_shutdown_locked"),
		ended("m", replay{name: "lxc_migrate_locked"}))},
	{name: "a container without its disk", prepare: func(l *testLab) {
		l.must(os.Remove(filepath.Join(l.opt.Dir, "storage/volumes/shared/200/vm-200-disk-0.raw")))
	}, cases: ended("d", replay{name: "lxc_start_missing_rootfs"}, "task_status_lxc_start_missing_rootfs", "task_log_lxc_start_missing_rootfs")},
	{name: "the first VMs, and tokens", prepare: func(l *testLab) {
		l.drop("nodes/n1/lxc/200.conf", "nodes/n1/qemu-server/104.conf")
		l.move("qemu-server/100.conf", "n1", "n2")
		l.run("/nodes/n2/qemu/100/status/start")
		l.run("/nodes/n3/qemu/102/status/start")
		l.broadcastAll()
	}, cases: join(
		named("cluster_resources_all", "cluster_resources_vm", "cluster_resources_node", "cluster_nextid"),
		// The storage only1 and the pool's other members came later.
		[]replay{{name: "cluster_resources_storage"}, {name: "token_privsep_resources", free: []string{"pool"}}, {name: "pool_one"}, {name: "pool_one_deprecated"}},
		named("vm_snapshot_list"),
		[]replay{{name: "token_unlock_500", as: "ha@pve!options"}, {name: "token_unlock_skiplock_400", as: "ha@pve!options"},
			{name: "token_start_403", as: "ha@pve!none"}, {name: "token_migrate_403", as: "ha@pve!none"}, {name: "token_unlock_403", as: "ha@pve!none"},
			{name: "token_vm_config_403", as: "ha@pve!none"}},
		ended("first", replay{name: "token_start_ok"}),
		ended("own", replay{name: "token_start_ok"}, "token_task_status_own"),
		[]replay{{name: "token_task_status_foreign_no_audit", upid: "roots", before: func(l *testLab, saved map[string]string) {
			begin("roots", "/nodes/n2/qemu/100/status/start", nil)(l, saved)
			l.wait(saved["roots"])
			l.SetPrivileges("ha@pve!sep", "VM.Audit", "VM.PowerMgmt")
		}}, {name: "token_task_status_own_no_audit", upid: "own"},
			{name: "token_task_stop", upid: "roots", before: func(l *testLab, _ map[string]string) { l.SetPrivileges("ha@pve!sep", minimalRole...) }}},
		ended("m", replay{name: "token_migrate_ok"}, "token_task_status_migrate"))},
}

func startCT(l *testLab, _ map[string]string) { l.run(ct200 + "/status/start") }

// drop removes files of the tree.
func (l *testLab) drop(paths ...string) {
	l.t.Helper()
	for _, p := range paths {
		if _, err := l.sock("n1").do(fsRequest{Op: "unlink", Path: p}); err != nil {
			l.t.Fatal(p, err)
		}
	}
}

// move renames a guest's config from one node to another.
func (l *testLab) move(config, from, to string) {
	l.t.Helper()
	if err := l.sock(to).rename("nodes/"+from+"/"+config, "nodes/"+to+"/"+config); err != nil {
		l.t.Fatal(config, err)
	}
}
