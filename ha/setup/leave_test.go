package setup

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/pve"
	"bascule/ha/setup/discover"
)

func do(t *testing.T, sys *fakeSystem, steps []Step) {
	t.Helper()
	if err := Apply(t.Context(), sys, steps, func(Step, Outcome) {}); err != nil {
		t.Fatal(err)
	}
}

// site sets two of three nodes up; both see one Proxmox.
func twoJoined(t *testing.T) (first, second *fakeSystem, joined Joined) {
	first = newFake()
	initialise(t, first, threeCeph(), Answers{Devices: []Device{bmcOf("node1"), bmcOf("node2")}})
	second = first.other()
	join(t, second, at(threeCeph(), "node2"), Answers{}, false)
	for name, data := range second.files {
		if strings.HasPrefix(name, "/etc/pve/") {
			first.files[name] = data
		}
	}
	joined, err := ReadJoined(first, Standard)
	if err != nil || len(joined) != 2 {
		t.Fatalf("%v %v", joined, err)
	}
	return first, second, joined
}

func TestRemove(t *testing.T) {
	first, _, joined := twoJoined(t)
	p, err := MakeRemove("node2", "node1", first.files[Standard.Common()], joined, Standard)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(p.Next, "\n"), "--witness") {
		t.Errorf("nobody says that two nodes are too few: %v", p.Next)
	}
	do(t, first, p.Steps)
	if _, there := p.Config.Member("node2"); there || first.pve.Tokens["bascule@pve!node2"] != "" || slices.Contains(first.pve.Sets[FWName], "10.0.0.2") ||
		len(first.files[Standard.Joined("node2")]) > 0 || strings.Contains(string(first.files[Standard.Config()]), "node2") {
		t.Errorf("something of node2 stayed: %v %v\n%s", first.pve.Tokens, first.pve.Sets, first.files[Standard.Config()])
	}
	if first.pve.Tokens["bascule@pve!node1"] == "" || len(first.files[Standard.Secret("ca.key")]) == 0 {
		t.Error("too much was removed")
	}
	again, err := MakeRemove("node2", "node1", first.files[Standard.Common()], Joined{"node1": ""}, Standard)
	if err != nil {
		t.Fatal(err)
	}
	if open, err := Open(t.Context(), first, again.Steps); err != nil || len(open) > 0 {
		t.Errorf("a second removal does %v %v", open, err)
	}
}

// The node that formed the store may go when another one that votes has joined.
func TestRemoveOfTheFirst(t *testing.T) {
	_, second, joined := twoJoined(t)
	p, err := MakeRemove("node1", "node2", second.files[Standard.Common()], joined, Standard)
	if err != nil || !slices.Equal(p.Config.Etcd.InitialVoters, []ha.NodeName{"node2"}) {
		t.Errorf("%v %v", p.Config, err)
	}
	_, err = MakeRemove("node1", "node2", second.files[Standard.Common()], Joined{"node1": ""}, Standard)
	if !errors.Is(err, ErrLeave) || !strings.Contains(err.Error(), "hactl etcd add") {
		t.Errorf("the only copy of the store went: %v", err)
	}
}

func TestRemoveRefusesItself(t *testing.T) {
	first, _, joined := twoJoined(t)
	if _, err := MakeRemove("node1", "node1", first.files[Standard.Common()], joined, Standard); !errors.Is(err, ErrLeave) || !strings.Contains(err.Error(), "hactl reset") {
		t.Errorf("%v", err)
	}
}

func TestReset(t *testing.T) {
	first, second, joined := twoJoined(t)
	p, err := MakeReset("node2", second.files[Standard.Common()], joined, Standard)
	if err != nil || p.Last {
		t.Fatalf("%+v %v", p, err)
	}
	do(t, second, p.Steps)
	if !slices.Contains(second.argv, "basculed forget-storages --config /etc/bascule/basculed.yaml") {
		t.Errorf("its marks stay on the storages, or those of the others go: %q", second.argv)
	}
	for name := range second.files {
		if strings.HasPrefix(name, "/etc/bascule/") {
			t.Errorf("%s stayed", name)
		}
	}
	if second.units[UnitDaemon] || second.units[UnitGuard] || second.pve.Tokens["bascule@pve!node2"] != "" || !second.pve.Users[UserID] {
		t.Errorf("%v %v %v", second.units, second.pve.Tokens, second.pve.Users)
	}

	first.files[Standard.Common()] = second.files[Standard.Common()]
	if p, err = MakeReset("node1", first.files[Standard.Common()], Joined{"node1": ""}, Standard); err != nil || !p.Last {
		t.Fatalf("%+v %v", p, err)
	}
	do(t, first, p.Steps)
	var order []int
	for _, command := range []string{"systemctl disable --now basculed.service", "basculed restore-onboot --config /etc/bascule/basculed.yaml",
		"basculed forget-storages --config /etc/bascule/basculed.yaml --all",
		"basculed stop-check --guard --config /etc/bascule/basculed.yaml", "systemctl disable --now bascule-guard.service"} {
		order = append(order, slices.Index(first.argv, command))
	}
	if order[0] < 0 || !slices.IsSorted(order) {
		t.Errorf("not all of it, or not in this order: %v\n%s", order, strings.Join(first.argv, "\n"))
	}
	for name := range first.files {
		if strings.Contains(name, "bascule") && !strings.HasPrefix(name, "/etc/pve/bascule/nodes/node2") {
			t.Errorf("%s stayed", name)
		}
	}
	if first.pve.Users[UserID] || first.pve.Roles[RoleID] != "" || len(first.pve.ACL) > 0 || len(first.pve.Groups)+len(first.pve.Sets)+len(first.pve.Rules) > 0 {
		t.Errorf("Proxmox keeps %+v", first.pve)
	}
	if open, err := Open(t.Context(), first, p.Steps); err != nil || len(open) > 0 {
		t.Errorf("a second reset does %v %v", open, err)
	}
}

func TestDiff(t *testing.T) {
	if d := Diff("a\nb\nc\n", "a\nx\nc\nd\n"); d != "-b\n+x\n+d\n" {
		t.Errorf("%q", d)
	}
	if d := Diff("a\n", "a\n"); d != "" {
		t.Errorf("%q", d)
	}
}

// A guard that holds an armed watchdog is not stopped: that would be the node's end.
func TestResetLeavesAnArmedGuard(t *testing.T) {
	first, _, _ := twoJoined(t)
	first.armed = true
	p, err := MakeReset("node1", first.files[Standard.Common()], Joined{"node1": ""}, Standard)
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), first, p.Steps, func(Step, Outcome) {}); err == nil || !first.units[UnitGuard] || len(first.files[Standard.Config()]) == 0 {
		t.Errorf("%v, units %v", err, first.units)
	}
}

// twoWithWitness is a site of two nodes and a witness, whose corosync has its third vote there.
func twoWithWitness(t *testing.T) (sys *fakeSystem, common []byte, facts discover.Facts) {
	t.Helper()
	sys = withCorosync()
	facts = cluster("dmz", "10.0.L.", 1, "node1", "node2")
	w := backup
	initialise(t, sys, facts, Answers{Witness: &w})
	facts.Corosync.Device = &pve.QDevice{Model: "net", Host: backup.Address}
	return sys, sys.files[Standard.Common()], facts
}

// A witness has no Proxmox: what is said to bring a change to it must work there.
func TestAWitnessIsUpdatedFromANode(t *testing.T) {
	_, common, _ := twoWithWitness(t)
	p, err := MakeReset("node2", common, Joined{"node1": "", "node2": ""}, Standard)
	if err != nil {
		t.Fatal(err)
	}
	next := strings.Join(p.Next, "\n")
	if !strings.Contains(next, "on every other node (node1): hactl join --update") || !strings.Contains(next, "hactl init --witness 10.0.0.9") {
		t.Errorf("next:\n%s", next)
	}
	if !strings.Contains(next, "hactl remove backup") || strings.Contains(next, "--witness HOST") {
		t.Errorf("a node and its witness are left, next:\n%s", next)
	}
}

// When the last node goes, its witness and corosync's QDevice are not forgotten.
func TestResetOfTheLastNamesWhatStays(t *testing.T) {
	_, common, facts := twoWithWitness(t)
	next := strings.Join(AfterLast(common, facts), "\n")
	if !strings.Contains(next, "on the witness backup (10.0.0.9): hactl reset --force") || !strings.Contains(next, "pvecm qdevice remove") {
		t.Errorf("next:\n%s", next)
	}
	if next := DeviceStays("backup", common, facts); len(next) != 1 || !strings.Contains(next[0], "pvecm qdevice remove") {
		t.Errorf("removing the witness: %v", next)
	}
	if next := DeviceStays("node2", common, facts); len(next) > 0 {
		t.Errorf("removing a node: %v", next)
	}
}

// A witness is taken out without touching what it does not have: Proxmox's tree, its API, a guard.
func TestResetOfAWitness(t *testing.T) {
	sys, _, _ := twoWithWitness(t)
	there := newFake()
	maps.Copy(there.files, sys.remote)
	there.files["/var/lib/bascule/etcd/member"] = []byte("data")
	there.units[UnitWitness] = true
	conf, err := config.Parse(Standard.Config(), there.files[Standard.Config()])
	if err != nil {
		t.Fatal(err)
	}
	p := MakeWitnessReset(conf, Standard)
	if p.Config == nil || memberNames(p.Config.Members) != "node1, node2" {
		t.Errorf("who gives its vote back: %+v", p.Config)
	}
	if !strings.Contains(strings.Join(p.Next, "\n"), "hactl remove backup") {
		t.Errorf("next: %v", p.Next)
	}
	for _, again := range []LeavePlan{p, MakeWitnessReset(nil, Standard)} {
		do(t, there, again.Steps)
		if len(there.files) > 0 || there.units[UnitWitness] {
			t.Errorf("left: %v %v", slices.Sorted(maps.Keys(there.files)), there.units)
		}
	}
	for _, line := range there.argv {
		if !strings.HasPrefix(line, "systemctl ") {
			t.Errorf("a witness has no %s", line)
		}
	}
}
