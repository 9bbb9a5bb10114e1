package alert

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bascule/ha"
)

var update = flag.Bool("update", false, "write the table of docs/alerts.md anew")

func TestKindOf(t *testing.T) {
	node := func(from, to ha.NodeState) ha.Transition {
		return ha.Transition{Subject: "node node2", Node: "node2", From: string(from), To: string(to), Reason: "because"}
	}
	guest := func(from, to ha.GuestState) ha.Transition {
		return ha.Transition{Subject: "VM 101", Guest: 101, Node: "node3", From: string(from), To: string(to), Reason: "because"}
	}
	other := func(subject, from, to string) ha.Transition {
		return ha.Transition{Subject: subject, From: from, To: to, Reason: "because"}
	}
	alarm := other("store key x", "readable", "unreadable")
	alarm.Reason = ha.Alarm + "look at it. Reason: because"
	met := map[string]bool{}
	for _, c := range []struct {
		t        ha.Transition
		wanted   bool
		severity Severity
		text     string
	}{
		{other("storage nas on node2", ha.StorageWorks, ha.StorageLost), true, Critical, "Storage nas on node2 does not work any more"},
		{other("storage nas on node2", ha.StorageLost, ha.StorageWorks), true, Info, "guests that left stay"},
		{node(ha.NodeOnline, ha.NodeSuspect), false, "", ""},
		{node(ha.NodeSuspect, ha.NodeOnline), false, "", ""},
		{node(ha.NodeSuspect, ha.NodeFencing), true, Critical, "Node node2 is dead or cut off and is being fenced"},
		{node(ha.NodeFencing, ha.NodeFenced), true, Warning, "proven off"},
		{node(ha.NodeFenced, ha.NodeOnline), true, Info, "Node node2 is back (fenced -> online)"},
		{node(ha.NodeOnline, ha.NodeQuarantined), true, Warning, "comes and goes"},
		{node(ha.NodeQuarantined, ha.NodeOnline), true, Info, "is back"},
		{node(ha.NodeOnline, ha.NodeDraining), false, "", ""},
		{node(ha.NodeDraining, ha.NodeMaintenance), false, "", ""},
		{node(ha.NodeOnline, ha.NodeOffline), false, "", ""},
		{guest(ha.GuestStarted, ha.GuestFence), false, "", ""},
		{guest(ha.GuestFence, ha.GuestRecovery), true, Critical, "VM 101 is down and looks for a new node"},
		{guest(ha.GuestRecovery, ha.GuestStarting), true, Info, "VM 101 is being started on node3"},
		{guest(ha.GuestStarting, ha.GuestStarted), false, "", ""},
		{guest(ha.GuestStarting, ha.GuestError), true, Critical, "was given up"},
		{guest(ha.GuestError, ha.GuestStarted), true, Info, "runs again on node3"},
		{guest(ha.GuestStarted, ha.GuestFrozen), true, Warning, "frozen"},
		{guest(ha.GuestStarted, ha.GuestMigrating), false, "", ""},
		{guest(ha.GuestStarted, ha.GuestStopped), false, "", ""},
		{guest(ha.GuestError, ha.GuestError), false, "", ""},
		{other(SubjectStore, StoreAvailable, StoreAway), true, Critical, "store (etcd) is away"},
		{other(SubjectStore, StoreAway, StoreAvailable), true, Info, "is back"},
		{other(SubjectCluster, "in order", "rebuilding"), true, Critical, "The store shows an older state"},
		{other(SubjectCluster, "rebuilding", "in order"), true, Info, "All members have reported"},
		{alarm, true, Critical, "store key x: readable -> unreadable"},
		{other("fencing device bmc2 of node2", ha.DeviceWorks, ha.DeviceBroken), true, Warning, "Fencing device bmc2 of node2 would not work today"},
		{other("fencing device bmc2 of node2", ha.DeviceBroken, ha.DeviceWorks), true, Info, "bmc2 of node2 works again"},
		{other("voter node2", "voter", "replacing"), true, Warning, "Voter node2 of the store is gone and is being replaced"},
		{other("voter node2", "replacing", "replaced"), true, Info, "Voter replaced: node2 does not keep the store any more"},
		{other("voter node2", "voter", "lost"), true, Warning, "nothing can vote in its place"},
		{other("voter node2", "lost", "voter"), true, Info, "Voter node2 of the store: lost -> voter"},
		{other("something", "a", "b"), false, "", ""},
	} {
		kind, got := KindOf(c.t)
		if got != c.wanted {
			t.Errorf("%s %s -> %s: wanted %v", c.t.Subject, c.t.From, c.t.To, got)
		}
		met[kind.ID] = true
		if !c.wanted {
			continue
		}
		if kind.Severity != c.severity {
			t.Errorf("%s %s -> %s: severity %s, want %s", c.t.Subject, c.t.From, c.t.To, kind.Severity, c.severity)
		}
		if got := Text(c.t); !strings.Contains(got, c.text) || !strings.HasSuffix(got, ". Reason: because") || strings.Contains(got, "\n") {
			t.Errorf("%s %s -> %s: %q", c.t.Subject, c.t.From, c.t.To, got)
		}
	}
	for _, k := range Kinds() {
		if !met[k.ID] {
			t.Errorf("no transition above is of kind %s", k.ID)
		}
	}
}

// TestPage holds docs/alerts.md to the kinds.
func TestPage(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "alerts.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), "| kind |")
	_, after, ok2 := strings.Cut(rest, "\n\n")
	if want := before + Page() + "\n" + after; !ok || !ok2 || string(text) != want {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Error("docs/alerts.md has another table than the kinds say: go test ./ha/alert -update")
	}
}
