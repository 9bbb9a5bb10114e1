package pvesim

import (
	"slices"
	"time"
)

// Recorded requests about the cluster: what changes nothing, no quorum, dead nodes, Proxmox's HA.

// join puts lists of cases together.
func join(lists ...[]replay) []replay { return slices.Concat(lists...) }

var clusterGroups = []replayGroup{
	{name: "requests that change nothing", prepare: func(l *testLab) {
		l.firstConfig()
		l.must(l.SetConfig(200, "onboot", "1"))
	}, cases: join(
		named("version_ok", "access_permissions_root", "auth_bearer", "auth_none", "auth_none_post", "auth_token_malformed", "auth_token_unknown",
			"auth_token_wrong_secret", "auth_version_none", "auth_bad_csrf", "auth_no_csrf", "auth_ticket_unknown_realm", "auth_ticket_wrong_password",
			"bool_bad_word", "bool_true_word", "cluster_resources_bad_type", "cluster_status_ok", "method_not_implemented", "path_root_unknown", "path_unknown",
			"node_unknown_status", "node_unknown_vm", "nodes_ok", "node_storage_status_ok", "node_storage_status_unknown",
			"storage_one", "storage_one_unknown", "pools_ok", "pool_unknown", "cluster_ha_resources_empty", "cluster_ha_groups", "cluster_ha_rules_empty",
			"cluster_ha_status_current_idle", "cluster_ha_status_manager_status_idle", "cluster_config_nodes", "cluster_nextid_taken",
			"vm_config_get", "vm_config_get_unknown_vmid", "vm_config_get_wrong_node", "vm_lxc_config_path_for_qemu", "vm_lxc_path_for_qemu",
			"vm_status_current_unknown_vmid", "vm_status_current_wrong_node", "vm_status_current_stopped", "vm_start_bad_param", "vm_start_bad_type",
			"vm_start_bad_vmid", "vm_start_vmid_too_small", "vm_migrate_bad_node_name", "vm_migrate_missing_target", "vm_migrate_to_self",
			"vm_migrate_to_unknown_node", "vm_migrate_local_disk_running", "vm_migrate_local_disk_stopped", "vm_migrate_precond_local_disk",
			"vm_migrate_precond_local_disk_target", "vm_config_put_ok", "vm_unlock_not_locked", "vm_agent_ping_get", "ha_resource_get_unknown",
			"lxc_list", "lxc_config_get", "lxc_config_get_wrong_node", "lxc_pending_get", "lxc_status_current_stopped", "lxc_stop_already_stopped",
			"lxc_shutdown_already_stopped", "lxc_migrate_to_self", "lxc_migrate_to_unknown_node", "lxc_unlock_delete_lock_skiplock", "lxc_migrate_precond",
			"node_tasks_active", "task_status_bad_upid", "task_status_unknown_upid", "task_status_via_other_node", "task_log_unknown_upid",
			"token_version_ok", "token_permissions", "token_permissions_path",
			"token_root_unlock_skiplock_400", "token_root_unlock_500", "token_root_lxc_unlock", "token_lxc_unlock", "node_status_local", "node_status_proxied"),
		[]replay{
			{name: "auth_bad_ticket", ticket: "garbage"}, // a placeholder in the recording, as all others
			{name: "storage_ok", free: append([]string{"nodes"}, rowsOfOthers...)}, {name: "node_storage_ok", free: rowsOfOthers}, {name: "node_storage_filter", free: rowsOfOthers},
			{name: "token_privsep_no_acl_nodes", as: "ha@pve!none"}, {name: "token_privsep_no_acl_resources", as: "ha@pve!none"},
			{name: "token_privsep_no_acl_start", as: "ha@pve!none"}, {name: "token_privsep_no_acl_status", as: "ha@pve!none"},
			{name: "token_cluster_status_403", as: "ha@pve!none"},
			{name: "token_lxc_config", free: []string{"net0", "mp0"}}, // it had neither then
			{name: "vm_migrate_precond_local_disk_running", before: func(l *testLab, _ map[string]string) { l.must(l.SetConfig(104, "usb0", "")) }},
		})},
	{name: "no pvestatd has broadcast", prepare: func(l *testLab) {
		for _, n := range l.nodes {
			n.stats.reset()
		}
	}, cases: []replay{{name: "nodes_pvestatd_absent"}, {name: "cluster_resources_all_pvestatd_absent", free: rowsOfOthers}}},
	{name: "no quorum", options: func(o *Options) { o.LinkDown = true }, prepare: isolateN1, cases: join(
		named("noquorum_version", "noquorum_cluster_status", "noquorum_cluster_resources", "noquorum_nodes", "noquorum_node_status_local", "noquorum_vm_status_current",
			"noquorum_vm_start", "noquorum_vm_migrate", "noquorum_vm_config_put", "noquorum_ha_status_current", "noquorum_proxy"),
		at("n2", "peer_isolated_cluster_status", "peer_isolated_nodes", "peer_isolated_cluster_resources", "peer_isolated_cluster_tasks", "peer_isolated_ha_status",
			"peer_isolated_node_status", "peer_isolated_vm_start", "peer_isolated_migrate_precond", "peer_isolated_cluster_resources_node_later",
			"peer_isolated_cluster_resources_vm_later", "peer_isolated_cluster_resources_storage_later"),
		on("n2", ended("vm", replay{name: "peer_isolated_migrate_to"}, "task_status_peer_isolated_migrate_to", "task_log_peer_isolated_migrate_to")),
		on("n2", ended("ct", replay{name: "peer_isolated_lxc_migrate_to"}, "task_status_peer_isolated_lxc_migrate_to", "task_log_peer_isolated_lxc_migrate_to")),
		ended("s", replay{name: "noquorum_vm_stop"}, "task_status_noquorum_vm_stop", "task_log_noquorum_vm_stop"),
		[]replay{{name: "noquorum_cluster_resources_later", before: func(l *testLab, _ map[string]string) { l.Broadcast("n1") }}})},
	{name: "a node has just died", options: func(o *Options) {
		o.Corosync = Corosync{Reform: time.Minute, Join: testReform}
		o.Timing.ARPExpiry = time.Hour
	},
		prepare: func(l *testLab) { l.cut("n3") }, cases: named("dead_node_cluster_status_before_detection", "dead_node_status_noarp")},
	{name: "a dead node", prepare: func(l *testLab) { l.die("n3"); l.advance(2 * quick.ARPExpiry) },
		cases: named("dead_node_cluster_status", "dead_node_status_noarp_2", "dead_node_storage_noarp", "dead_node_migrate_to_blackhole")},
	{name: "a dead node's task", prepare: func(l *testLab) { l.die("n2"); l.advance(2 * quick.ARPExpiry) }, cases: named("dead_node_task_status")},
	{name: "a host without pveproxy", prepare: func(l *testLab) { l.must(l.StopProxy("n3", true)) },
		cases: named("dead_node_status_refused", "dead_node_vm_start_refused")},
	{name: "pveproxy ends during a request", cases: []replay{{name: "dead_node_status_before_detection", before: func(l *testLab, _ map[string]string) {
		l.Freeze("n3", true)
		time.AfterFunc(100*time.Millisecond, func() { l.StopProxy("n3", true) })
	}}}},
	{name: "packets vanish", prepare: func(l *testLab) { l.NetworkChanged(func(a, b string) bool { return a != "n3" && b != "n3" }) },
		cases: named("dead_node_status_blackhole", "dead_node_vm_start_blackhole")},
	{name: "power is cut during a request", cases: []replay{{name: "dead_node_status_during_detection", before: func(l *testLab, _ map[string]string) {
		l.Freeze("n2", true)
		time.AfterFunc(100*time.Millisecond, func() { l.PowerOff("n2") })
	}}}},
	{name: "stale: a minute after the death", prepare: func(l *testLab) {
		l.drop("nodes/n1/qemu-server/104.conf")
		l.toN2AndRun()
		l.run("/nodes/n3/qemu/102/status/start")
		l.broadcastAll()
		l.die("n3")
		l.move("qemu-server/102.conf", "n3", "n1")
		l.run("/nodes/n1/qemu/102/status/start")
		l.broadcastAll()
		l.advance(time.Minute)
	}, cases: named("dead_node_cluster_resources_later", "dead_node_cluster_tasks")},
	{name: "stale: five minutes after the death", prepare: func(l *testLab) {
		l.move("qemu-server/101.conf", "n2", "n3")
		l.move("qemu-server/102.conf", "n3", "n1")
		for _, path := range []string{vm100, "/nodes/n1/qemu/102", "/nodes/n3/qemu/101", ct200} {
			l.run(path + "/status/start")
		}
		l.broadcastAll()
		l.die("n3")
		l.advance(296 * time.Second)
		l.Broadcast("n1")
		l.Broadcast("n2")
	}, cases: named("dead_node_cluster_resources_after_expiry", "dead_node_cluster_resources_unknown", "dead_node_nodes_after_expiry")},
	{name: "stale: after the take-over, before a start", prepare: func(l *testLab) {
		l.drop("nodes/n1/qemu-server/104.conf")
		l.toN2AndRun()
		l.move("qemu-server/102.conf", "n3", "n1")
		l.run("/nodes/n1/qemu/102/status/start")
		l.must(l.SetLock(101, "backup"))
		l.broadcastAll()
		l.die("n2")
		l.move("qemu-server/101.conf", "n2", "n1")
		l.move("lxc/200.conf", "n2", "n1")
	}, cases: join(named("recovered_cluster_resources_stale"), []replay{{name: "lxc_status_current_recovered", before: startCT}})},
	{name: "all run", prepare: func(l *testLab) {
		l.drop("nodes/n1/qemu-server/104.conf")
		l.toN2AndRun()
		l.run("/nodes/n3/qemu/102/status/start")
		l.broadcastAll()
	}, cases: named("cluster_resources_vm_lxc")},
	{name: "Proxmox HA", prepare: func(l *testLab) {
		l.drop("nodes/n1/qemu-server/104.conf")
		l.move("qemu-server/102.conf", "n3", "n1")
		l.move("qemu-server/101.conf", "n2", "n1")
		for _, id := range []string{"100", "101", "102"} {
			l.run("/nodes/n1/qemu/" + id + "/status/start")
		}
		l.broadcastAll()
	}, cases: join(
		named("ha_resource_add_unknown_vm", "ha_resource_add_ok", "ha_resource_add_exists", "ha_status_current_new", "cluster_ha_resources", "cluster_ha_resource_one",
			"vm_status_current_ha_managed", "vm_migrate_precond_ha", "cluster_resources_vm_ha"),
		[]replay{{name: "cluster_ha_rules", before: func(l *testLab, _ map[string]string) { // as in cli_ha_files
			l.must(l.WriteFile("ha/rules.cfg", []byte("node-affinity: r1\n\tnodes n1:2,n2:1\n\tresources vm:102\n\tstrict 0\n\n")))
		}}},
		ended("s", replay{name: "vm_start_ha_managed"}, "task_status_vm_start_ha_managed", "task_log_vm_start_ha_managed"),
		ended("t", replay{name: "vm_stop_ha_managed"}, "task_status_vm_stop_ha_managed", "task_log_vm_stop_ha_managed"),
		ended("m", replay{name: "vm_migrate_ha_managed"}, "task_status_vm_migrate_ha_managed", "task_log_vm_migrate_ha_managed"),
		named("ha_resource_delete"))},
}

// at sends cases to another node than n1.
func at(node string, names ...string) []replay { return on(node, named(names...)) }

func on(node string, cases []replay) []replay {
	for i := range cases {
		cases[i].at = node
	}
	return cases
}

// die cuts a node's power and waits until the others have noticed.
func (l *testLab) die(node string) {
	l.cut(node)
	l.eventually(node+" is seen as dead", func() bool {
		for _, n := range l.order {
			if n != node && !l.settled(n) {
				return false
			}
		}
		return true
	})
}

// toN2AndRun starts VM 100 on n1, VM 101 and CT 200 on n2.
func (l *testLab) toN2AndRun() {
	l.must(l.SetConfig(200, "mp0", ""))
	l.move("lxc/200.conf", "n1", "n2")
	for _, path := range []string{vm100, "/nodes/n2/qemu/101", "/nodes/n2/lxc/200"} {
		l.run(path + "/status/start")
	}
}

func isolateN1(l *testLab) {
	l.drop("nodes/n1/qemu-server/104.conf")
	l.toN2AndRun()
	l.run("/nodes/n3/qemu/102/status/start")
	l.broadcastAll()
	l.NetworkChanged(func(a, b string) bool { return a != "n1" && b != "n1" })
	l.eventually("n1 is alone", func() bool { return l.settled("n1") && !l.Quorate("n1") && l.settled("n2") })
}
