package pvesim

import (
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Recorded requests about VMs.

// named makes cases that need nothing special.
func named(names ...string) []replay {
	var out []replay
	for _, n := range names {
		out = append(out, replay{name: n})
	}
	return out
}

// ended are an action, and its task's status and log once it has ended. Words after the first are names of cases.
func ended(key string, action replay, about ...string) []replay {
	action.save = key
	out := []replay{action}
	for _, n := range about {
		out = append(out, replay{name: n, upid: key})
	}
	return out
}

// otherTask: the one that had ended last was another.
var otherTask = []string{"type", "id", "status", "upid"}

// rowsOfOthers: the recorded cluster had fewer guests then.
var rowsOfOthers = []string{"extra rows"}

var vmGroups = []replayGroup{
	{name: "starting and stopping a VM", prepare: (*testLab).firstConfig, cases: join(
		ended("unknown", replay{name: "vm_start_unknown_vmid"}, "task_status_vm_start_unknown_vmid", "task_log_vm_start_unknown_vmid"),
		ended("wrong", replay{name: "vm_start_wrong_node"}, "task_status_vm_start_wrong_node", "task_log_vm_start_wrong_node"),
		ended("template", replay{name: "vm_start_template"}, "task_status_start_template"),
		ended("refused", replay{name: "vm_start_qemu_refuses", before: failNext("n1", 100, "start failed: QEMU exited with code 1")}, "task_status_error_qemu_exit", "task_log_error_qemu_exit"),
		ended("start", replay{name: "vm_start_ok"}, "task_status_ok", "task_log_ok", "task_log_limit"),
		ended("again", replay{name: "vm_start_already_running"}, "task_status_start_already_running"),
		named("vm_status_current_running"),
		[]replay{{name: "vm_list_node", free: rowsOfOthers}, {name: "vm_list_node_full", free: rowsOfOthers}},
		named("vm_migrate_running_without_online", "vm_migrate_precond_running", "vm_migrate_precond_target"),
		[]replay{{name: "task_stop_already_stopped", upid: "start"}, {name: "node_tasks_ok"}, {name: "node_tasks_vmid"}, {name: "cluster_tasks_ok"}},
		ended("stop", replay{name: "vm_stop_ok"}),
		ended("stop2", replay{name: "vm_stop_already_stopped"}, "task_status_stop_already_stopped"),
		ended("down", replay{name: "vm_shutdown_already_stopped"}, "task_status_shutdown_already_stopped"),
		ended("offline", replay{name: "vm_migrate_online_but_stopped"}, "task_status_vm_migrate_online_but_stopped", "task_log_vm_migrate_online_but_stopped"),
		named("vm_migrate_precond_stopped"),
		ended("back", replay{name: "vm_migrate_offline_ok"}, "task_status_migrate_offline_ok", "task_log_migrate_offline_ok"),
		ended("other", replay{name: "vm_start_via_other_api_node"}),
		ended("config", replay{name: "vm_config_post_ok"}),
		[]replay{{name: "json_body_post", save: "json", json: `{"timeout": 30}`}, {name: "post_no_body", save: "nobody"}, {name: "json_body_put", json: `{"description": "x"}`}},
	)},
	{name: "a VM that is starting", options: func(o *Options) { o.Timing.Start = 6 * time.Second }, prepare: (*testLab).firstConfig, cases: join(
		[]replay{{name: "vm_status_current_while_starting", before: begin("slow", vm100+"/status/start", nil)},
			{name: "task_status_running", upid: "slow"}, {name: "task_log_running", upid: "slow"}},
		ended("second", replay{name: "vm_start_while_start_task_runs"}))},
	{name: "a locked VM", prepare: lockVM, cases: join(
		named("vm_config_get_locked", "vm_status_current_locked_stopped", "vm_migrate_locked", "vm_config_put_locked", "vm_unlock_without_skiplock"),
		[]replay{{name: "cluster_resources_vm_locked", free: rowsOfOthers}},
		ended("locked", replay{name: "vm_start_locked"}, "task_status_start_locked", "task_log_start_locked"),
		ended("async", replay{name: "vm_unlock_ok_async"}),
		[]replay{{name: "vm_unlock_ok", before: func(l *testLab, _ map[string]string) { lockVM(l) }}},
		ended("skip", replay{name: "vm_start_locked_skiplock", before: func(l *testLab, _ map[string]string) { lockVM(l) }}))},
	{name: "a running locked VM", prepare: func(l *testLab) {
		l.firstConfig()
		l.run(vm100 + "/status/start")
		lockVM(l)
	}, cases: join(
		named("vm_status_current_locked_running"),
		ended("stop", replay{name: "vm_stop_locked"}, "task_status_vm_stop_locked"),
		ended("down", replay{name: "vm_shutdown_locked"}, "task_status_vm_shutdown_locked"))},
	{name: "a VM without its storage", prepare: func(l *testLab) { l.must(l.SetMounted("shared", "n1", false)); l.Broadcast("n1") }, cases: join(
		ended("s", replay{name: "vm_start_storage_not_mounted"}, "task_status_start_storage_not_mounted", "task_log_start_storage_not_mounted"),
		named("node_storage_one_unmounted", "node_storage_status_unmounted", "cluster_resources_storage_unmounted"))},
	{name: "a VM whose storage is disabled", prepare: func(l *testLab) {
		l.must(l.WriteFile("storage.cfg", []byte(disabledStorage)))
	}, cases: join(named("node_storage_disabled", "vm_migrate_precond_storage_disabled"),
		ended("s", replay{name: "vm_start_storage_disabled"}, "task_status_vm_start_storage_disabled"))},
	{name: "a VM without its disk", prepare: func(l *testLab) {
		l.must(os.Remove(filepath.Join(l.opt.Dir, "storage/volumes/shared/100/vm-100-disk-0.qcow2")))
	}, cases: ended("d", replay{name: "vm_start_missing_disk"}, "task_status_start_missing_disk", "task_log_start_missing_disk")},
	{name: "a VM that does not react", prepare: func(l *testLab) {
		l.must(os.WriteFile(ignoreShutdownPath(l.opt.Dir, 100), nil, 0o644))
		l.run(vm100 + "/status/start")
	}, cases: join(
		ended("timeout", replay{name: "vm_shutdown_accepted"}, "task_status_shutdown_timeout", "task_log_shutdown_timeout"),
		[]replay{{name: "vm_shutdown_long", save: "long", running: true}, {name: "cluster_tasks_running"}, {name: "node_tasks_running_active"},
			{name: "node_tasks_running_all", free: otherTask}, {name: "node_tasks_default_while_running", free: otherTask}, {name: "task_stop_ok", upid: "long"},
			{name: "task_status_stopped_by_user", upid: "long"}, {name: "task_log_stopped_by_user", upid: "long"}, {name: "task_status_proxied", upid: "long", at: "n2"}},
		[]replay{{name: "task_status_worker_killed", upid: "killed", before: func(l *testLab, saved map[string]string) {
			begin("killed", vm100+"/status/shutdown", url.Values{"timeout": {"120"}})(l, saved)
			u, _ := parseUPID(saved["killed"])
			l.must(sendSignal(u.pid, syscall.SIGKILL))
			l.wait(saved["killed"])
		}}, {name: "task_log_worker_killed", upid: "killed"}, {name: "node_tasks_after_worker_killed"}},
		ended("overrule", replay{name: "vm_stop_overrule_shutdown", before: begin("down", vm100+"/status/shutdown", url.Values{"timeout": {"120"}})}))},
	{name: "an online migration", options: func(o *Options) { o.Timing.Migrate = 10 * time.Second }, prepare: func(l *testLab) { l.run(vm100 + "/status/start") }, cases: join(
		[]replay{{name: "vm_migrate_online_accepted", save: "m", running: true}, {name: "task_status_migrate_running", upid: "m"},
			{name: "vm_status_current_source_while_migrating", before: targetExists}, {name: "vm_config_get_source_while_migrating"},
			{name: "vm_status_current_target_while_migrating"}, {name: "vm_start_on_target_while_migrating", save: "t"},
			{name: "task_status_migrate_online_ok", upid: "m", before: waitFor("m")}, {name: "task_log_migrate_online_ok", upid: "m"}})},
	{name: "an online migration that fails", options: func(o *Options) { o.Timing.Migrate = time.Minute }, prepare: func(l *testLab) { l.run(vm100 + "/status/start") }, cases: []replay{
		{name: "vm_migrate_online_accepted", save: "m", running: true},
		{name: "task_status_migrate_online_failed", upid: "m", before: func(l *testLab, saved map[string]string) {
			targetExists(l, saved)
			l.must(sendSignal(l.pids("n2", "qemu", 100).outer, syscall.SIGKILL))
			l.wait(saved["m"])
		}}}},
	{name: "pending changes", prepare: func(l *testLab) { l.firstConfig(); l.run(vm100 + "/status/start") },
		cases: named("vm_config_put_pending", "vm_pending_get", "vm_config_get_with_pending", "vm_config_get_current")},
}

const disabledStorage = "dir: local\n\tpath /var/lib/vz\n\tcontent snippets,rootdir,images,backup,vztmpl,iso\n\tprune-backups keep-all=1\n\n" +
	"dir: shared\n\tpath /mnt/shared\n\tcontent images,iso,vztmpl,rootdir\n\tdisable\n\tis_mountpoint yes\n\tshared 1\n\n" +
	"dir: only1\n\tpath /mnt/only1\n\tcontent rootdir,images\n\tnodes n1\n\n"

func lockVM(l *testLab) { l.must(l.SetLock(100, "migrate")); l.broadcastAll() }

// firstConfig is VM 100's config in the first recordings.
func (l *testLab) firstConfig() {
	l.must(l.SetConfig(100, "cores", "1"))
	l.must(l.SetConfig(100, "onboot", "0"))
}

func targetExists(l *testLab, _ map[string]string) {
	l.eventually("the target's process exists", func() bool { _, ok := findGuest(l.nodes["n2"].dir, "qemu", 100); return ok })
}

func failNext(node string, vmid int, message string) func(*testLab, map[string]string) {
	return func(l *testLab, _ map[string]string) { l.FailNext(node, vmid, "start", message) }
}

// begin starts a task as root and does not wait for its end.
func begin(key, path string, form url.Values) func(*testLab, map[string]string) {
	return func(l *testLab, saved map[string]string) {
		r, err := l.call("n1", l.ticket(), "POST", path, form)
		if err != nil || r.status != 200 {
			l.t.Fatalf("%s: %d %s %v", path, r.status, r.reason, err)
		}
		saved[key] = r.data().(string)
	}
}

func waitFor(key string) func(*testLab, map[string]string) {
	return func(l *testLab, saved map[string]string) { l.wait(saved[key]) }
}
