package pvesim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The conformance test replays requests that were recorded from a real Proxmox cluster and compares status, reason
// phrase and the types of the answer. To cover more recordings, add their names to a group whose cluster is in the
// state they were recorded in, or write a new group with a prepare function.

// replay is one recorded case.
type replay struct {
	name   string
	at     string // the node that is asked; default n1
	ticket string // instead of the recorded cookie
	as     string // a token id to use instead of the recorded one, which then had other privileges
	save   string // keep the answer's UPID under this name and wait for the task's end
	upid   string // put this saved UPID into the path
	// free are keys that may be missing or surplus, with the reason in the group's comment.
	free []string
}

type replayGroup struct {
	name    string
	prepare func(*testLab)
	cases   []replay
}

func cases(names string) []replay {
	var out []replay
	for _, n := range strings.Fields(names) {
		out = append(out, replay{name: n})
	}
	return out
}

var replayGroups = []replayGroup{
	{"requests that change nothing", nil, slices.Concat(
		cases(`version_ok access_permissions_root auth_bearer auth_none auth_none_post auth_token_malformed auth_token_unknown
			auth_token_wrong_secret auth_version_none auth_bad_csrf auth_no_csrf auth_ticket_unknown_realm auth_ticket_wrong_password
			bool_bad_word bool_true_word cluster_resources_bad_type cluster_status_ok method_not_implemented path_root_unknown path_unknown
			node_unknown_status node_unknown_vm nodes_ok node_storage_ok node_storage_filter node_storage_status_ok node_storage_status_unknown
			storage_one storage_one_unknown pools_ok pool_one pool_one_deprecated pool_unknown cluster_ha_resources_empty
			vm_config_get vm_config_get_current vm_config_get_unknown_vmid vm_config_get_wrong_node vm_lxc_config_path_for_qemu vm_lxc_path_for_qemu
			vm_status_current_unknown_vmid vm_status_current_wrong_node vm_status_current_stopped vm_start_bad_param vm_start_bad_type
			vm_start_bad_vmid vm_start_vmid_too_small vm_migrate_bad_node_name vm_migrate_missing_target vm_migrate_to_self
			vm_migrate_to_unknown_node vm_migrate_local_disk_running vm_migrate_local_disk_stopped vm_migrate_precond_local_disk
			vm_migrate_precond_local_disk_target vm_config_put_ok vm_unlock_not_locked ha_resource_get_unknown
			lxc_list lxc_config_get lxc_config_get_wrong_node lxc_status_current_stopped lxc_stop_already_stopped lxc_shutdown_already_stopped
			lxc_migrate_to_self lxc_migrate_to_unknown_node lxc_unlock_delete_lock_skiplock lxc_migrate_precond
			node_tasks_active task_status_bad_upid task_status_unknown_upid task_status_via_other_node task_log_unknown_upid
			token_version_ok token_permissions token_permissions_path token_privsep_resources token_lxc_config
			token_root_unlock_skiplock_400 token_root_unlock_500 token_root_lxc_unlock token_lxc_unlock`),
		[]replay{
			// The bad ticket is a placeholder like all others; the recorded storages had no list of nodes.
			{name: "auth_bad_ticket", ticket: "garbage"}, {name: "storage_ok", free: []string{"nodes"}},
			{name: "cluster_resources_all"}, {name: "cluster_resources_vm"}, {name: "cluster_resources_node"}, {name: "cluster_resources_storage"},
			{name: "node_status_local"}, {name: "node_status_proxied"},
			{name: "token_privsep_no_acl_nodes", as: "ha@pve!none"}, {name: "token_privsep_no_acl_resources", as: "ha@pve!none"},
			{name: "token_privsep_no_acl_start", as: "ha@pve!none"}, {name: "token_privsep_no_acl_status", as: "ha@pve!none"},
			{name: "token_cluster_status_403", as: "ha@pve!none"}, {name: "token_vm_config_403", as: "ha@pve!none"},
			{name: "token_migrate_403", as: "ha@pve!none"}, {name: "token_start_403", as: "ha@pve!none"}, {name: "token_unlock_403", as: "ha@pve!none"},
		})},
	{"starting and stopping a VM", nil, []replay{
		{name: "vm_start_unknown_vmid", save: "unknown"}, {name: "task_status_vm_start_unknown_vmid", upid: "unknown"}, {name: "task_log_vm_start_unknown_vmid", upid: "unknown"},
		{name: "vm_start_wrong_node", save: "wrong"}, {name: "task_status_vm_start_wrong_node", upid: "wrong"}, {name: "task_log_vm_start_wrong_node", upid: "wrong"},
		{name: "vm_start_template", save: "template"}, {name: "task_status_start_template", upid: "template"},
		{name: "vm_start_ok", save: "start"}, {name: "task_status_ok", upid: "start"}, {name: "task_log_ok", upid: "start"}, {name: "task_log_limit", upid: "start"},
		{name: "vm_start_already_running", save: "again"}, {name: "task_status_start_already_running", upid: "again"},
		{name: "vm_status_current_running"}, {name: "vm_list_node"}, {name: "vm_list_node_full"},
		{name: "vm_migrate_running_without_online"}, {name: "vm_migrate_precond_running"}, {name: "vm_migrate_precond_target"},
		{name: "task_stop_already_stopped", upid: "start"}, {name: "node_tasks_ok"}, {name: "node_tasks_vmid"},
		{name: "vm_stop_ok", save: "stop"}, {name: "vm_stop_already_stopped", save: "stop2"}, {name: "task_status_stop_already_stopped", upid: "stop2"},
		{name: "vm_shutdown_already_stopped", save: "down"}, {name: "task_status_shutdown_already_stopped", upid: "down"},
		{name: "vm_migrate_online_but_stopped", save: "offline"}, {name: "task_status_vm_migrate_online_but_stopped", upid: "offline"},
		{name: "task_log_vm_migrate_online_but_stopped", upid: "offline"}, {name: "vm_migrate_offline_ok", save: "back"}, {name: "task_status_migrate_offline_ok", upid: "back"},
		{name: "json_body_post", save: "json"}, {name: "post_no_body", save: "nobody"},
	}},
	{"a locked VM", func(l *testLab) { l.must(l.SetLock(100, "migrate")); l.broadcastAll() }, []replay{
		{name: "vm_config_get_locked", free: []string{"onboot"}}, {name: "vm_status_current_locked_stopped"}, {name: "vm_migrate_locked"}, {name: "vm_config_put_locked"},
		{name: "vm_unlock_without_skiplock"}, {name: "vm_start_locked", save: "locked"}, {name: "task_status_start_locked", upid: "locked"}, {name: "task_log_start_locked", upid: "locked"},
		{name: "vm_unlock_ok"},
	}},
	{"a VM without its storage", func(l *testLab) { l.must(l.SetMounted("shared", "n1", false)) }, []replay{
		{name: "vm_start_storage_not_mounted", save: "s"}, {name: "task_status_start_storage_not_mounted", upid: "s"}, {name: "task_log_start_storage_not_mounted", upid: "s"},
		{name: "node_storage_one_unmounted"}, {name: "node_storage_status_unmounted"}, {name: "cluster_resources_storage_unmounted"},
	}},
	{"a VM without its disk", func(l *testLab) {
		l.must(os.Remove(filepath.Join(l.opt.Dir, "storage/volumes/shared/100/vm-100-disk-0.qcow2")))
	}, []replay{{name: "vm_start_missing_disk", save: "d"}, {name: "task_status_start_missing_disk", upid: "d"}, {name: "task_log_start_missing_disk", upid: "d"}}},
	{"starting and stopping a container", nil, []replay{
		{name: "lxc_start_unknown_vmid", save: "u"}, {name: "task_status_lxc_start_unknown_vmid", upid: "u"}, {name: "task_log_lxc_start_unknown_vmid", upid: "u"},
		{name: "lxc_start_wrong_node", save: "w"}, {name: "task_status_lxc_start_wrong_node", upid: "w"},
		{name: "lxc_start_ok", save: "s"}, {name: "task_status_lxc_start_ok", upid: "s"}, {name: "task_log_lxc_start_ok", upid: "s"},
		{name: "lxc_start_already_running"}, {name: "lxc_status_current_running"}, {name: "lxc_list_running"}, {name: "lxc_migrate_precond_running"},
		{name: "token_lxc_start_running"}, {name: "token_lxc_status"}, {name: "lxc_migrate_running_no_restart"},
		{name: "lxc_migrate_running_online", save: "o"}, {name: "task_status_lxc_migrate_running_online", upid: "o"}, {name: "task_log_lxc_migrate_running_online", upid: "o"},
		{name: "lxc_shutdown_ok", save: "d"}, {name: "task_status_lxc_shutdown_ok", upid: "d"}, {name: "task_log_lxc_shutdown_ok", upid: "d"},
	}},
	{"a locked container", func(l *testLab) { l.run(ct200 + "/status/start"); l.must(l.SetLock(200, "migrate")) }, []replay{
		{name: "lxc_unlock_delete_lock"}, {name: "lxc_start_running_locked"}, {name: "lxc_stop_locked", save: "s"}, {name: "task_status_lxc_stop_locked", upid: "s"},
		{name: "lxc_shutdown_locked", save: "d"}, {name: "task_status_lxc_shutdown_locked", upid: "d"},
	}},
	{"no quorum", func(l *testLab) {
		l.run(vm100 + "/status/start")
		l.NetworkChanged(func(a, b string) bool { return a != "n1" && b != "n1" })
		l.eventually("n1 is alone", func() bool { return l.settled("n1") && !l.Quorate("n1") })
	}, slices.Concat(cases(`noquorum_version noquorum_cluster_status noquorum_cluster_resources noquorum_nodes noquorum_node_status_local
			noquorum_vm_status_current noquorum_vm_start noquorum_vm_migrate`),
		[]replay{{name: "noquorum_vm_stop", save: "s"}, {name: "task_status_noquorum_vm_stop", upid: "s"}, {name: "peer_isolated_cluster_status", at: "n2"},
			{name: "peer_isolated_nodes", at: "n2"}, {name: "peer_isolated_cluster_resources", at: "n2"}, {name: "peer_isolated_migrate_precond", at: "n2"}})},
	{"a dead node", func(l *testLab) {
		l.cut("n3")
		l.eventually("n3 is seen as dead", func() bool { return l.settled("n1") })
		l.advance(2 * quick.ARPExpiry)
	}, cases(`dead_node_cluster_status dead_node_status_noarp_2 dead_node_storage_noarp dead_node_migrate_to_blackhole`)},
	{"Proxmox HA", func(l *testLab) {
		l.must(l.WriteFile("ha/resources.cfg", []byte("vm: 102\n\tcomment c\n\tmax_relocate 1\n\tmax_restart 2\n\tstate started\n\n")))
		l.must(l.edit(102, func(b []byte) []byte { return b }))
		if err := l.sock("n1").rename("nodes/n3/qemu-server/102.conf", "nodes/n1/qemu-server/102.conf"); err != nil {
			l.t.Fatal(err)
		}
		l.broadcastAll()
	}, []replay{{name: "cluster_ha_resources"}, {name: "cluster_ha_resource_one"}, {name: "cluster_resources_vm_ha"},
		{name: "vm_start_ha_managed", save: "s"}, {name: "task_status_vm_start_ha_managed", upid: "s"},
		{name: "vm_stop_ha_managed", save: "t"}, {name: "task_status_vm_stop_ha_managed", upid: "t"},
		{name: "vm_migrate_ha_managed", save: "m"}, {name: "task_status_vm_migrate_ha_managed", upid: "m"}, {name: "vm_migrate_precond_ha"}}},
}

func (l *testLab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *testLab) run(path string) {
	l.t.Helper()
	r, err := l.call("n1", l.ticket(), "POST", path, nil)
	id, ok := r.data().(string)
	if err != nil || !ok || l.wait(id) != "OK" {
		l.t.Fatalf("%s: %v %s", path, err, r.reason)
	}
}

func (l *testLab) broadcastAll() {
	for _, n := range l.order {
		l.Broadcast(n)
	}
}

// recordedLab looks like the cluster of the recordings.
func recordedLab(t *testing.T) *testLab {
	lab := newTestLab(t, "n", 3, func(o *Options) {
		o.Tokens = []Token{{ID: "ha@pve!sep", Secret: "sep", Privileges: minimalRole}, {ID: "ha@pve!full", Secret: "full", Privileges: minimalRole},
			{ID: "ha@pve!none", Secret: "none"}, {ID: "root@pam!t1", Secret: "t1"},
			{ID: "ha@pve!all", Secret: "all", Privileges: allPrivileges}}
		o.Storages[0].Content = "images,iso,vztmpl,rootdir"
		o.Storages[1].Content = "rootdir,images"
	})
	extra := map[string]string{"serial0": "socket", "vga": "serial0", "kvm": "0", "meta": "creation-qemu=7.2.22,ctime=1795297910", "vmgenid": "6f72af0e-6bb2-40a6-a674-9e7eaf012e84", "net0": ""}
	lab.guest(GuestSpec{VMID: 100, Kind: "qemu", Name: "web1", Node: "n1", Memory: 64, Cores: 2, Tags: []string{"ha", "prod", "web"}, Storage: "shared", Disk: "31458K", Pool: "ha",
		Description: "first line\nsecond line äöü", Extra: extra})
	lab.guest(GuestSpec{VMID: 101, Kind: "qemu", Name: "web101", Node: "n2", Memory: 64, Tags: []string{"ha"}, Storage: "shared", Disk: "31458K", Pool: "ha"})
	lab.guest(GuestSpec{VMID: 102, Kind: "qemu", Name: "web102", Node: "n3", Memory: 64, Tags: []string{"ha"}, Storage: "shared", Disk: "31458K", Pool: "ha"})
	lab.guest(GuestSpec{VMID: 103, Kind: "qemu", Name: "tmpl", Node: "n1", Memory: 64, Storage: "shared", Template: true})
	lab.guest(GuestSpec{VMID: 104, Kind: "qemu", Name: "local", Node: "n1", Memory: 64, Storage: "only1", Disk: "31458K", Extra: map[string]string{"usb0": "host=1234:5678"}})
	lab.guest(GuestSpec{VMID: 200, Kind: "lxc", Name: "ct200", Node: "n1", Memory: 64, Tags: []string{"ct", "ha"}, Storage: "shared", Disk: "32M", OnBoot: false,
		Description: "a container", Extra: map[string]string{"features": "nesting=1", "onboot": "0", "lxc.cap.drop": "sys_time"}})
	lab.on()
	lab.broadcastAll()
	return lab
}

// sharedDir holds what was recorded of a real Proxmox cluster, and its API's schema.
func sharedDir(t *testing.T) string {
	dir := "../../../../shared"
	if env := os.Getenv("BASCULE_SHARED"); env != "" {
		dir = env
	}
	dir = filepath.Join(dir, "pve")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("nothing recorded of a real Proxmox cluster: %v (set BASCULE_SHARED to the directory that has pve/)", err)
	}
	return dir
}

func recordedDir(t *testing.T) string { return filepath.Join(sharedDir(t), "recorded") }

type recording struct {
	Request struct {
		Method, Path string
		Headers      map[string]string
		Form         map[string]any
	}
	Response struct {
		Status  int
		Reason  string
		Headers map[string]string
		Body    any
	}
}

func TestConformance(t *testing.T) {
	dir := recordedDir(t)
	count := 0
	for _, g := range replayGroups {
		count += len(g.cases)
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			lab := recordedLab(t)
			if g.prepare != nil {
				g.prepare(lab)
			}
			saved := map[string]string{}
			for _, c := range g.cases {
				data, err := os.ReadFile(filepath.Join(dir, c.name+".json"))
				if err != nil {
					t.Fatal(err)
				}
				var rec recording
				if err := json.Unmarshal(data, &rec); err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				lab.replay(c, rec, saved)
			}
		})
	}
	t.Logf("%d recorded cases", count)
}

var upidInPath = regexp.MustCompile(`UPID:[^/]+:`)

func (l *testLab) replay(c replay, rec recording, saved map[string]string) {
	l.t.Helper()
	path := strings.TrimPrefix(rec.Request.Path, "/api2/json")
	if c.upid != "" {
		path = upidInPath.ReplaceAllString(path, saved[c.upid])
		u, _ := parseUPID(saved[c.upid])
		path = regexp.MustCompile(`^/nodes/[^/]+`).ReplaceAllString(path, "/nodes/"+u.node)
	}
	at := c.at
	if at == "" {
		at = "n1"
	}
	form := url.Values(nil)
	if rec.Request.Form != nil {
		form = url.Values{}
		for k, v := range rec.Request.Form {
			form.Set(k, fmt.Sprint(v))
		}
	}
	got, err := l.call(at, l.headers(c, rec), rec.Request.Method, path, form)
	if err != nil {
		l.t.Errorf("%s: %v", c.name, err)
		return
	}
	want := rec.Response
	if got.status != want.Status || got.reason != want.Reason {
		l.t.Errorf("%s: %d %q, recorded %d %q", c.name, got.status, got.reason, want.Status, want.Reason)
		return
	}
	if c.save != "" {
		saved[c.save], _ = got.data().(string)
		l.wait(saved[c.save])
	}
	var body any
	if got.body != nil {
		body = got.body
	}
	for _, problem := range differences("", body, want.Body, c.free) {
		l.t.Errorf("%s: %s", c.name, problem)
	}
}

// headers puts our own secrets where the recordings have placeholders.
func (l *testLab) headers(c replay, rec recording) http.Header {
	h := http.Header{}
	ticket, csrf := l.RootTicket()
	if c.ticket != "" {
		ticket = c.ticket
	}
	for k, v := range rec.Request.Headers {
		v = strings.ReplaceAll(strings.ReplaceAll(v, "<TICKET>", ticket), "<CSRF>", csrf)
		if id, ok := strings.CutSuffix(v, "=<TOKEN-SECRET>"); ok {
			id = strings.TrimPrefix(id, "PVEAPIToken=")
			if c.as != "" {
				id = c.as
			}
			v = "PVEAPIToken=" + id + "=" + l.auth.tokens[id].Secret
		}
		h.Set(k, v)
	}
	return h
}
