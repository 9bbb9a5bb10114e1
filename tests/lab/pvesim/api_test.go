package pvesim

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"
)

func TestAuthentication(t *testing.T) {
	lab := newTestLab(t, "n", 1, nil)
	lab.on()
	ticket := lab.ticket()
	noCSRF := http.Header{"Cookie": ticket["Cookie"]}
	tests := []struct {
		name         string
		header       http.Header
		method, path string
		status       int
		reason       string
	}{
		{"nothing", nil, "GET", "/version", 401, "No ticket"},
		{"another scheme", http.Header{"Authorization": {"Bearer abc"}}, "GET", "/version", 401, "No ticket"},
		{"malformed", http.Header{"Authorization": {"PVEAPIToken=garbage"}}, "GET", "/version", 401, "Authentication failed!"},
		{"unknown token", as("root@pam!nosuch", "x"), "GET", "/version", 401, "Authentication failed!"},
		{"wrong secret", as(testToken, "x"), "GET", "/version", 401, "Authentication failed!"},
		{"bad ticket", http.Header{"Cookie": {"PVEAuthCookie=x"}}, "GET", "/version", 401, "Authentication failed!"},
		{"token", as(testToken, testSecret), "GET", "/version", 200, "OK"},
		{"ticket", ticket, "GET", "/version", 200, "OK"},
		{"ticket without CSRF token", noCSRF, "POST", vm100 + "/status/stop", 401, "Permission denied - invalid csrf token"},
		{"unknown path", as(testToken, testSecret), "GET", "/nosuch", 501, "Method 'GET /nosuch' not implemented"},
		{"unknown method", as(testToken, testSecret), "DELETE", "/version", 501, "Method 'DELETE /version' not implemented"},
		{"unknown node", as(testToken, testSecret), "GET", "/nodes/nope/status", 500,
			"hostname lookup 'nope' failed - failed to get address info for: nope: Temporary failure in name resolution"},
		{"password", nil, "POST", "/access/ticket?username=root@pam&password=x", 401, "authentication failure"},
		{"no password", nil, "POST", "/access/ticket?username=root@pam", 400, "Parameter verification failed."},
	}
	for _, tt := range tests {
		began := time.Now()
		r, err := lab.call("n1", tt.header, tt.method, tt.path, nil)
		if err != nil || r.status != tt.status || r.reason != tt.reason {
			t.Errorf("%s: %d %q %v, want %d %q", tt.name, r.status, r.reason, err, tt.status, tt.reason)
		}
		if tt.status == 401 && time.Since(began) < quick.AuthFail {
			t.Errorf("%s: a 401 came at once", tt.name)
		}
		if tt.status == 401 && tt.method != "POST" && r.raw != "" {
			t.Errorf("%s: body %q", tt.name, r.raw)
		}
	}
}

func TestPrivileges(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	lab.Broadcast("n1")
	weak, power, full := as("weak@pve!none", "weak"), as("power@pve!only", "power"), as(testToken, testSecret)
	count := func(header http.Header, path string) int {
		t.Helper()
		r, err := lab.call("n1", header, "GET", path, nil)
		if err != nil || r.status != 200 {
			t.Fatalf("%s: %d %s %v", path, r.status, r.reason, err)
		}
		return len(r.data().([]any))
	}
	for path, want := range map[string][2]int{"/cluster/resources": {1, 6}, "/cluster/resources?type=vm": {0, 2}, "/nodes": {1, 1}, "/nodes/n1/qemu": {0, 1},
		"/nodes/n1/lxc": {0, 1}, "/storage": {0, 3}, "/nodes/n1/storage": {0, 3}, "/pools": {0, 0}} {
		if got := [2]int{count(weak, path), count(full, path)}; got != want {
			t.Errorf("%s: %v rows for the weak and the full token, want %v", path, got, want)
		}
	}
	refusals := []struct {
		header       http.Header
		method, path string
		form         url.Values
		want         string
	}{
		{weak, "GET", "/cluster/status", nil, "Permission check failed (/, Sys.Audit)"},
		{weak, "GET", "/nodes/n1/status", nil, "Permission check failed (/nodes/n1, Sys.Audit)"},
		{weak, "GET", vm100 + "/config", nil, "Permission check failed (/vms/100, VM.Audit)"},
		{weak, "POST", vm100 + "/status/start", nil, "Permission check failed (/vms/100, VM.PowerMgmt)"},
		{power, "POST", vm100 + "/migrate", url.Values{"target": {"n1"}}, "Permission check failed (/vms/100, VM.Migrate)"},
		{full, "PUT", ct200 + "/config", url.Values{"delete": {"lock"}}, "Permission check failed (/vms/200, VM.Config.Disk|VM.Config.CPU|VM.Config.Memory|VM.Config.Network|VM.Config.Options)"},
		{full, "POST", vm100 + "/status/start", url.Values{"skiplock": {"1"}}, "Parameter verification failed."},
		{as("root@pam!t1", "root-token"), "PUT", vm100 + "/config", url.Values{"delete": {"lock"}}, "only root can set 'lock' config"},
	}
	for _, tt := range refusals {
		r, err := lab.call("n1", tt.header, tt.method, tt.path, tt.form)
		if err != nil || r.status < 400 || r.reason != tt.want {
			t.Errorf("%s %s: %d %q %v, want %q", tt.method, tt.path, r.status, r.reason, err, tt.want)
		}
	}
	id, _ := lab.Operator("n1", 100, "start")
	lab.wait(id)
	if r, _ := lab.call("n1", power, "GET", "/nodes/n1/tasks/"+id+"/status", nil); r.status != 403 {
		t.Errorf("somebody else's task: %d", r.status)
	}
	r, err := lab.call("n1", power, "POST", vm100+"/status/stop", nil)
	own, _ := r.data().(string)
	if err != nil || r.status != 200 {
		t.Fatal(r, err)
	}
	if r, _ := lab.call("n1", power, "GET", "/nodes/n1/tasks/"+own+"/status", nil); r.status != 200 {
		t.Errorf("its own task: %d %s", r.status, r.reason)
	}
	if n := count(power, "/nodes/n1/tasks?source=all"); n != 1 {
		t.Errorf("a token without Sys.Audit sees %d tasks, want its own", n)
	}
	lab.wait(own)
}

func TestUnlockWithTicket(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	lab.SetLock(100, "backup")
	if r, _ := lab.call("n1", lab.ticket(), "PUT", vm100+"/config", url.Values{"delete": {"lock"}}); r.reason != "VM is locked (backup)" {
		t.Errorf("without skiplock: %s", r.reason)
	}
	if r, _ := lab.call("n1", lab.ticket(), "PUT", vm100+"/config", url.Values{"delete": {"lock"}, "skiplock": {"1"}}); r.status != 200 {
		t.Errorf("with skiplock: %s", r.reason)
	}
	if r, _ := lab.call("n1", lab.ticket(), "PUT", vm100+"/config", url.Values{"onboot": {"1"}, "description": {"a\nb"}}); r.status != 200 {
		t.Errorf("onboot: %s", r.reason)
	}
	row := lab.do("n1", "GET", vm100+"/config", nil).data().(map[string]any)
	if row["lock"] != nil || row["onboot"] != 1.0 || row["description"] != "a\nb" || row["memory"] != "512" || row["cores"] != 1.0 {
		t.Errorf("config %v", row)
	}
}

// TestStaleness: /cluster/resources knows only broadcasts, and lies accordingly.
func TestStaleness(t *testing.T) {
	lab := newGuestLab(t, 3, nil)
	lab.task("n1", vm100+"/status/start", nil)
	row := func() map[string]any {
		t.Helper()
		for _, r := range lab.do("n2", "GET", "/cluster/resources?type=vm", nil).data().([]any) {
			if r := r.(map[string]any); r["vmid"] == 100.0 {
				return r
			}
		}
		return nil
	}
	for _, n := range lab.order {
		lab.Broadcast(n)
	}
	lab.cut("n1")
	lab.eventually("corosync has noticed", func() bool { return lab.members("n2").Nodelist["n1"].Online == 0 })
	if r := row(); r["status"] != "running" || r["node"] != "n1" {
		t.Errorf("a dead node's guest: %v", r)
	}
	if err := lab.sock("n2").rename("nodes/n1/qemu-server/100.conf", "nodes/n2/qemu-server/100.conf"); err != nil {
		t.Fatal(err)
	}
	if r := row(); r["status"] != "running" || r["node"] != "n2" {
		t.Errorf("after the rename, before any start: %v", r)
	}
	if got := lab.status("n2", "qemu", 100); got != "stopped" {
		t.Errorf("status/current: %s", got)
	}
	nodes := lab.do("n2", "GET", "/nodes", nil).data().([]any)
	for _, r := range nodes {
		if r := r.(map[string]any); r["node"] == "n1" && (r["status"] != "offline" || r["maxmem"] == nil || r["mem"] != nil) {
			t.Errorf("dead node's row: %v", r)
		}
	}
	lab.advance(lab.opt.StatExpiry - 10*time.Second)
	if r := row(); r["status"] != "running" {
		t.Errorf("shortly before the broadcast expires: %v", r)
	}
	lab.advance(11 * time.Second)
	if r := row(); r["status"] != "unknown" || r["maxmem"] != nil || r["name"] != nil || r["tags"] != "ha" {
		t.Errorf("expired: %v", r)
	}
	lab.Broadcast("n2")
	if r := row(); r["status"] != "stopped" {
		t.Errorf("after n2's own broadcast: %v", r)
	}
}

func TestProxy(t *testing.T) {
	lab := newGuestLab(t, 3, func(o *Options) { o.Timing.ProxyBlackhole = 4 * time.Second }) // longer than what is passed on takes
	if r := lab.do("n2", "GET", "/nodes/n1/status", nil); r.status != 200 {
		t.Errorf("live node: %d %s", r.status, r.reason)
	}
	if got := lab.task("n2", vm100+"/status/start", nil); got != "OK" {
		t.Errorf("start through another node: %s", got)
	}
	lab.Freeze("n1", true)
	began := time.Now()
	if r := lab.do("n2", "GET", "/nodes/n1/status", nil); r.status != 596 || r.reason != "Connection timed out" || r.raw != "" {
		t.Errorf("frozen: %d %s %q", r.status, r.reason, r.raw)
	}
	if time.Since(began) < lab.opt.Timing.ProxyBlackhole {
		t.Error("the proxy gave up too early")
	}
	lab.Freeze("n1", false)
	lab.NetworkChanged(func(a, b string) bool { return a != "n1" && b != "n1" })
	if r := lab.do("n2", "GET", "/nodes/n1/status", nil); r.status != 595 || r.reason != "Connection timed out" {
		t.Errorf("cut off: %d %s", r.status, r.reason)
	}
	lab.cut("n1")
	lab.advance(2 * quick.ARPExpiry)
	if r := lab.do("n2", "POST", vm100+"/status/start", nil); r.status != 595 || r.reason != "No route to host" || r.raw != "" {
		t.Errorf("dead: %d %s", r.status, r.reason)
	}
}

func TestFreezeAndPowerOffGiveNoAnswer(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	lab.Freeze("n1", true)
	got := make(chan error, 1)
	go func() {
		_, err := lab.call("n1", as(testToken, testSecret), "GET", "/version", nil)
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("a frozen API answered: %v", err)
	case <-time.After(100 * time.Millisecond): // an answer that does not come can only be waited for
	}
	lab.PowerOff("n1")
	if err := <-got; err == nil {
		t.Error("the connection should have broken")
	}
	lab.powerOn("n1")
	if r := lab.do("n1", "GET", "/version", nil); r.status != 200 {
		t.Error(r.reason)
	}
}

func TestParameters(t *testing.T) {
	lab := newGuestLab(t, 2, nil)
	for _, tt := range []struct {
		path, form, name, want string
	}{
		{vm100 + "/migrate", "target=n2&online=true", "online", "type check ('boolean') failed - got 'true'"},
		{vm100 + "/migrate", "online=1", "target", "property is missing and it is not optional"},
		{vm100 + "/migrate", "target=no_pe!", "target", "invalid format - value does not look like a valid node name\n"},
		{vm100 + "/migrate", "target=n1", "target", "target is local node."},
		{vm100 + "/status/start", "foo=1", "foo", "property is not defined in schema and the schema does not allow additional properties"},
		{vm100 + "/status/shutdown", "timeout=x", "timeout", "type check ('integer') failed - got 'x'"},
		{"/nodes/n1/qemu/abc/status/start", "", "vmid", "type check ('integer') failed - got 'abc'"},
		{"/nodes/n1/qemu/99/status/start", "", "vmid", "invalid format - value does not look like a valid VM ID\n"},
	} {
		form, err := url.ParseQuery(tt.form)
		if err != nil {
			t.Fatal(err)
		}
		r := lab.do("n1", "POST", tt.path, form)
		errs, _ := r.body["errors"].(map[string]any)
		if r.status != 400 || r.reason != "Parameter verification failed." || errs[tt.name] != tt.want {
			t.Errorf("%s %s: %d %s", tt.path, tt.form, r.status, r.raw)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for name, o := range map[string]Options{"no directory": {Nodes: []NodeSpec{{Name: "a", Bind: "127.0.0.1"}}}, "no nodes": {Dir: t.TempDir()},
		"no address": {Dir: t.TempDir(), Nodes: []NodeSpec{{Name: "a"}}}, "twice": {Dir: t.TempDir(), Nodes: []NodeSpec{{Name: "a", Bind: "127.0.0.1"}, {Name: "a", Bind: "127.0.0.2"}}}} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	lab := newTestLab(t, "n", 1, nil)
	for name, g := range map[string]GuestSpec{"small id": {VMID: 99, Kind: "qemu", Name: "a", Node: "n1"}, "kind": {VMID: 100, Kind: "kvm", Name: "a", Node: "n1"},
		"node": {VMID: 100, Kind: "qemu", Name: "a", Node: "n7"}, "storage": {VMID: 100, Kind: "qemu", Name: "a", Node: "n1", Storage: "none"}} {
		if lab.CreateGuest(g) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := lab.PowerOn("n7"); err == nil {
		t.Error("an unknown node was switched on")
	}
	if err := lab.WaitQuorate(context.Background(), "n7"); err == nil {
		t.Error("an unknown node became quorate")
	}
	if _, err := os.Stat(lab.opt.Dir); err != nil {
		t.Error(err)
	}
}
