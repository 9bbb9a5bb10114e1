package pvesim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha/waittest"
)

// What a real cluster misleads by, as far as no other test shows it. docs/lab.md has the whole list.

// TestStringsForNumbers: what is a number in one answer is a string in another (vm_config_get, node_status_local,
// cluster_nextid, cluster_config_nodes, cluster_ha_status_manager_status_idle, node_tasks_running_active).
func TestStringsForNumbers(t *testing.T) {
	lab := newGuestLab(t, 1, func(o *Options) { o.Timing.Start = time.Minute }) // it runs on
	lab.must(lab.SetConfig(100, "memory", "current=2048"))
	lab.must(lab.SetConfig(100, "cpulimit", "1.5"))
	lab.must(lab.SetConfig(200, "cores", ""))
	lab.must(lab.SetConfig(200, "cpulimit", "1.5"))
	lab.Broadcast("n1")
	data := func(path string) any { t.Helper(); return lab.do("n1", "GET", path, nil).data() }
	of := func(v any, keys ...any) any {
		for _, k := range keys {
			if i, ok := k.(int); ok {
				v = v.([]any)[i]
			} else {
				v = v.(map[string]any)[k.(string)]
			}
		}
		return v
	}
	vm, ct := data(vm100+"/config"), data(ct200+"/config")
	lab.begin("n1", vm100+"/status/start", nil)
	for what, got := range map[string][2]any{
		"a VM's memory":               {of(vm, "memory"), "current=2048"},
		"a VM's cpulimit":             {of(vm, "cpulimit"), "1.5"},
		"a VM's cores":                {of(vm, "cores"), 1.0},
		"a container's memory":        {of(ct, "memory"), 512.0},
		"nextid":                      {data("/cluster/nextid"), "101"},
		"loadavg":                     {of(data("/nodes/n1/status"), "loadavg", 0), "0.71"},
		"quorate of the HA manager":   {of(data("/cluster/ha/status/manager_status"), "quorum", "quorate"), "1"},
		"quorate of the HA status":    {of(data("/cluster/ha/status/current"), 0, "quorate"), 1.0},
		"a node's id in corosync":     {of(data("/cluster/config/nodes"), 0, "nodeid"), "1"},
		"a node's id in its status":   {of(data("/cluster/status"), 1, "nodeid"), 1.0},
		"saved of a running task":     {of(data("/nodes/n1/tasks?source=active"), 0, "saved"), "0"},
		"a running task's status":     {of(data("/nodes/n1/tasks?source=active"), 0, "status"), "RUNNING"},
		"maxmem from current=2048":    {of(data(vm100+"/status/current"), "maxmem"), 2048.0 * (1 << 20)},
		"a limited container's cpus":  {of(data(ct200+"/status/current"), "cpus"), 1.5},
		"the same from the broadcast": {of(row(data("/cluster/resources?type=vm"), 200), "maxcpu"), 1.5},
	} {
		if got[0] != got[1] {
			t.Errorf("%s is %v (%T), want %v (%T)", what, got[0], got[0], got[1], got[1])
		}
	}
}

func row(rows any, vmid float64) any {
	i := slices.IndexFunc(rows.([]any), func(r any) bool { return r.(map[string]any)["vmid"] == vmid })
	if i < 0 {
		return map[string]any{}
	}
	return rows.([]any)[i]
}

// TestReturningNodeIsBusyInPassing: FACTS, "After healing 2.5-3 s, with passing EBUSY on the one that returns".
func TestReturningNodeIsBusyInPassing(t *testing.T) {
	join := time.Second
	waittest.BestOf(t, func() string { // what passes may be over before a machine that stalls has looked
		join *= 2
		return busyInPassing(t, join/2)
	})
}

func busyInPassing(t *testing.T, join time.Duration) string {
	lab := newTestLab(t, "n", 3, func(o *Options) { o.Corosync = Corosync{Reform: testReform, Join: join} }).on()
	lab.NetworkChanged(func(a, b string) bool { return a != "n1" && b != "n1" })
	lab.eventually("n1 is alone", func() bool { return lab.settled("n1") && !lab.Quorate("n1") && lab.settled("n2") })
	lab.NetworkChanged(func(a, b string) bool { return true })
	healed := time.Now()
	early := make(chan error, 1)
	go func() { early <- lab.sock("n1").write("nodes/n1/early", nil) }()
	var busy time.Duration
	lab.eventually("EBUSY, or it is over", func() bool {
		lab.mu.Lock()
		defer lab.mu.Unlock()
		busy = time.Since(healed)
		return lab.ring.nodes["n1"].synchronizing(lab.now()) || busy > 2*join
	})
	late := lab.sock("n1").write("nodes/n1/late", nil)
	if err := <-early; err != nil {
		return fmt.Sprintf("the write that was waiting: %v", err)
	}
	if late != eBUSY {
		return fmt.Sprintf("a write %v after healing: %v, want EBUSY", busy, late)
	}
	if err := lab.sock("n1").write("nodes/n1/late", nil); err != nil || busy < join/2 {
		return fmt.Sprintf("after %v: %v", busy, err)
	}
	if err := lab.sock("n2").write("nodes/n1/other", nil); err != nil {
		t.Errorf("the majority: %v", err)
	}
	return ""
}

// TestUnlockByHand: no token removes a lock, root on the node does, and only with quorum (cli_qm_unlock, cli_pct_unlock).
func TestUnlockByHand(t *testing.T) {
	lab := newGuestLab(t, 3, nil)
	lab.must(lab.SetLock(100, "migrate"))
	lab.must(lab.Unlock("n1", 100))
	if got := lab.task("n1", vm100+"/status/start", nil); got != "OK" {
		t.Error(got)
	}
	lab.must(lab.SetLock(100, "migrate"))
	lab.NetworkChanged(func(a, b string) bool { return a != "n1" && b != "n1" })
	lab.eventually("n1 is alone", func() bool { return lab.settled("n1") && !lab.Quorate("n1") })
	if err := lab.Unlock("n1", 100); err == nil || !strings.Contains(err.Error(), "Permission denied") {
		t.Errorf("without quorum: %v", err)
	}
	if err := lab.Unlock("n1", 999); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("an unknown guest: %v", err)
	}
	lab.PowerOff("n1")
	if lab.Unlock("n1", 100) == nil || lab.Unlock("n9", 100) == nil || lab.StopProxy("n1", true) == nil || lab.StopProxy("n9", true) == nil {
		t.Error("a node that is off, or unknown, obeyed")
	}
}

// TestPveproxyStopsAndStarts: the host lives on without its API, and its guests do.
func TestPveproxyStopsAndStarts(t *testing.T) {
	lab := newGuestLab(t, 2, nil)
	lab.task("n1", vm100+"/status/start", nil)
	lab.must(lab.StopProxy("n1", true))
	lab.must(lab.StopProxy("n1", true)) // twice is once
	if _, err := lab.call("n1", as(testToken, testSecret), "GET", "/version", nil); err == nil {
		t.Error("the API answers")
	}
	if r := lab.do("n2", "GET", vm100+"/status/current", nil); r.status != 595 || r.reason != "Connection refused" || r.raw != "" {
		t.Errorf("through the other node: %d %s %q", r.status, r.reason, r.raw)
	}
	lab.must(lab.StopProxy("n1", false))
	if got := lab.status("n2", "qemu", 100); got == "running" {
		t.Error("n2 has no such guest")
	}
	if got := lab.status("n1", "qemu", 100); got != "running" {
		t.Errorf("after the start of pveproxy: %s", got)
	}
	lab.PowerOff("n1")
	lab.powerOn("n1")
	if err := lab.WaitQuorate(context.Background(), "n1"); err != nil {
		t.Error(err)
	}
}

// TestOrderIsRandom: lists and objects come in another order each time (all recordings of lists).
func TestOrderIsRandom(t *testing.T) {
	lab := newTestLab(t, "n", 1, nil)
	for id := 100; id < 106; id++ {
		lab.guest(GuestSpec{VMID: id, Kind: "qemu", Name: "web", Node: "n1", Storage: "shared"})
	}
	lab.on()
	seen := map[string]bool{}
	lab.eventually("another order", func() bool {
		seen[lab.do("n1", "GET", "/nodes/n1/qemu", nil).raw] = true
		return len(seen) > 2
	})
	keys := map[string]bool{}
	lab.eventually("another order of keys", func() bool {
		keys[lab.do("n1", "GET", "/version", nil).raw] = true
		return len(keys) > 2
	})
}
