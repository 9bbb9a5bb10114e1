package pvesim

import (
	"net/url"
	"strings"
	"testing"
)

func TestOperatorAndOnboot(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	id, err := lab.Operator("n1", 100, "start")
	if err != nil || lab.wait(id) != "OK" {
		t.Fatal(id, err)
	}
	if u, _ := parseUPID(id); u.user != "root@pam" || u.kind != "qmstart" {
		t.Errorf("%s", id)
	}
	if _, err := lab.Operator("n1", 200, "stop"); err == nil || !strings.Contains(err.Error(), "CT 200 not running") {
		t.Errorf("stop of a stopped container: %v", err)
	}
	lab.SetConfig(200, "onboot", "1")
	lab.cut("n1")
	lab.powerOn("n1")
	lab.eventually("the container is started at boot", func() bool { return lab.status("n1", "lxc", 200) == "running" })
	if got := lab.status("n1", "qemu", 100); got != "stopped" {
		t.Errorf("VM without onboot: %s", got)
	}
	lab.eventually("startall has ended", func() bool {
		r := lab.do("n1", "GET", "/nodes/n1/tasks?typefilter=startall", nil)
		return len(r.data().([]any)) == 1
	})
	id, err = lab.StopAll("n1")
	if err != nil || lab.wait(id) != "OK" || lab.status("n1", "lxc", 200) != "stopped" {
		t.Errorf("stopall: %v", err)
	}
}

func TestNoQuorum(t *testing.T) {
	lab := newGuestLab(t, 3, nil)
	lab.task("n1", vm100+"/status/start", nil)
	lab.NetworkChanged(func(a, b string) bool { return a != "n1" && b != "n1" })
	lab.eventually("n1 has lost quorum", func() bool { return !lab.Quorate("n1") && lab.settled("n1") })
	for _, path := range []string{ct200 + "/status/start", vm100 + "/migrate"} {
		var form url.Values
		if strings.HasSuffix(path, "migrate") {
			form = url.Values{"target": {"n2"}, "online": {"1"}}
		}
		if r := lab.do("n1", "POST", path, form); r.status != 500 || r.reason != "cluster not ready - no quorum?" {
			t.Errorf("%s: %d %s", path, r.status, r.reason)
		}
	}
	if got := lab.task("n1", vm100+"/status/stop", nil); got != "OK" {
		t.Errorf("stop without quorum: %s", got)
	}
	if _, err := lab.Operator("n1", 100, "start"); err == nil || !strings.Contains(err.Error(), "no quorum") {
		t.Errorf("qm start without quorum: %v", err)
	}
}

func TestHAManagedIsDiverted(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	if err := lab.WriteFile("ha/resources.cfg", []byte("vm: 100\n\tstate started\n\nct: 200\n\tstate ignored\n")); err != nil {
		t.Fatal(err)
	}
	id, u := lab.begin("n1", vm100+"/status/start", nil)
	if u.kind != "hastart" || lab.wait(id) != "OK" || lab.status("n1", "qemu", 100) != "stopped" {
		t.Errorf("%s must only be queued", id)
	}
	if id, u := lab.begin("n1", ct200+"/status/start", nil); u.kind != "vzstart" || lab.wait(id) != "OK" {
		t.Errorf("ignored resource: %s", id)
	}
	if n := len(lab.do("n1", "GET", "/cluster/ha/resources", nil).data().([]any)); n != 2 {
		t.Errorf("%d HA resources", n)
	}
}
