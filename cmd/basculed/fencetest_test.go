package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/ladder"
	"bascule/ha/waittest"
)

const (
	uuid2  = "22222222-3333-4444-5555-666677778888"
	uuid3  = "33333333-3333-4444-5555-666677778888"
	boot   = ha.Incarnation("boot")
	client = "ip:192.0.2.2"
)

// bays is a rack of fake devices: what each answers, and everything that was asked of them.
type bays struct {
	mu      sync.Mutex
	power   map[string]fencing.Reading
	hangs   map[string]bool
	asked   []string
	pills   int
	revoked []string
}

func (b *bays) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, what)
}

// bay is a device of any kind.
type bay struct {
	*bays
	name string
}

func (d bay) Read(ctx context.Context) (fencing.Reading, error) {
	d.note("read " + d.name)
	if d.hangs[d.name] {
		<-ctx.Done()
		return fencing.Reading{}, ctx.Err()
	}
	r, there := d.power[d.name]
	if !there {
		return r, errors.New("no route to host")
	}
	return r, nil
}
func (d bay) Off(context.Context) error    { d.note("OFF " + d.name); return nil }
func (d bay) On(context.Context) error     { d.note("ON " + d.name); return nil }
func (d bay) Poison(context.Context) error { d.note("POISON " + d.name); return nil }

type poisonBay struct{ bay }

func (d poisonBay) Read(context.Context) (int, int, error) {
	d.note("read " + d.name)
	return d.pills, 3, nil
}
func (d poisonBay) MsgWait() time.Duration { return 20 * time.Second }

type storageBay struct{ bay }

func (d storageBay) Storages() []string { return []string{"ceph-vm"} }
func (d storageBay) Read(_ context.Context, clients []string) ([]ha.StorageReading, error) {
	d.note("read " + d.name + " of " + strings.Join(clients, " "))
	a := ha.AccessOpen
	if slices.Contains(d.revoked, d.name) {
		a = ha.AccessRevoked
	}
	return []ha.StorageReading{{Storage: "ceph-vm", Access: a}}, nil
}
func (d storageBay) Revoke(context.Context, []string) error { d.note("REVOKE " + d.name); return nil }

type resetBay struct{ bay }

func (d resetBay) Read(ctx context.Context) error {
	_, err := d.bay.Read(ctx)
	return err
}
func (d resetBay) Reset(context.Context) error { d.note("RESET " + d.name); return nil }

func (b *bays) methods() fencing.Methods {
	at := func(s map[string]string) bay { return bay{b, s["name"]} }
	return fencing.Methods{
		{Name: "bmc", Power: func(s map[string]string) (fencing.PowerDevice, error) { return at(s), nil }},
		{Name: "ceph", Storage: func(s map[string]string) (fencing.StorageDevice, error) { return storageBay{at(s)}, nil }},
		{Name: "robot", Reset: func(s map[string]string) (fencing.ResetDevice, error) { return resetBay{at(s)}, nil }},
		{Name: "sbd", Poison: func(s map[string]string) (fencing.PoisonDevice, error) { return poisonBay{at(s)}, nil }},
	}
}

// rack is node2 with a level of its controller, one of its storages and one of its disks, then a person; node3 with a controller,
// then a reset service; a witness. All live and their devices were seen in order.
func rack(t *testing.T) (*bays, *fenceTester, api.View) { return rackWithin(t, waittest.Hang) }

// rackWithin gives every device so long to answer.
func rackWithin(t *testing.T, limit time.Duration) (*bays, *fenceTester, api.View) {
	t.Helper()
	b := &bays{power: map[string]fencing.Reading{"bmc2": {Power: ha.PowerOn, SystemUUID: uuid2}, "bmc3": {Power: ha.PowerOn, SystemUUID: uuid3}, "robot3": {}}, hangs: map[string]bool{}}
	var specs []fencing.Spec
	for _, s := range [][3]string{{"bmc2", "node2", "bmc"}, {"ceph2", "node2", "ceph"}, {"sbd2", "node2", "sbd"}, {"bmc3", "node3", "bmc"}, {"robot3", "node3", "robot"}} {
		specs = append(specs, fencing.Spec{Name: s[0], Node: ha.NodeName(s[1]), Method: s[2], Settings: map[string]string{"name": s[0]}})
	}
	began := time.Now()
	x, err := fencing.NewExecutor(specs, b.methods(), func(_ context.Context, o fencing.Order) error {
		b.note("ORDER " + string(o.Action))
		return nil
	}, func() ha.Instant { return ha.Instant(time.Since(began)) + 1 })
	if err != nil {
		t.Fatal(err)
	}
	manual := []ladder.Device{{Name: "manual"}}
	plans := map[ha.NodeName]ladder.Plan{
		"node2": {Levels: [][]ladder.Device{{{Name: "bmc2", Kind: ha.PowerDevice}}, {{Name: "ceph2", Kind: ha.StorageDevice, Storages: []string{"ceph-vm"}}, {Name: "sbd2", Kind: ha.PoisonDevice, MsgWait: 20 * time.Second}}, manual}},
		"node3": {Levels: [][]ladder.Device{{{Name: "bmc3", Kind: ha.PowerDevice}}, {{Name: "robot3", Kind: ha.ResetDevice}}, manual}},
		"wit":   {Levels: [][]ladder.Device{manual}},
	}
	tm, err := ha.Profile("normal")
	if err != nil {
		t.Fatal(err)
	}
	v := api.View{Self: "node3", SnapshotOK: true, Gossip: map[ha.NodeName]ha.GossipView{"node2": {Known: true, Alive: true}},
		Members: []ha.Member{{Name: "node2"}, {Name: "node3"}, {Name: "wit", Witness: true}}}
	v.Snapshot, _ = ha.DecodeSnapshot(1, nil)
	live := func(n ha.NodeName, id string, devices ...ha.DeviceCheck) {
		for i := range devices {
			devices[i].Incarnation, devices[i].ReadOn = boot, true
			devices[i].UUIDMatched = devices[i].Kind == ""
		}
		v.Snapshot.Nodes[n] = ha.Versioned[ha.NodeRecord]{Rec: ha.NodeRecord{Node: n, State: ha.NodeOnline, Incarnation: boot, SystemUUID: id, Devices: devices}}
		v.Snapshot.Reports[n] = ha.Versioned[ha.NodeReport]{Rec: ha.NodeReport{Node: n, Incarnation: boot, SystemUUID: id, Timing: tm, Armed: true, WatchdogDriver: "iTCO_wdt", Watches: []string{"sbd2"}, Clients: []string{client}}}
		v.Snapshot.Leases[n] = ha.Versioned[ha.LeaseRecord]{Rec: ha.LeaseRecord{Node: n, Incarnation: boot}}
	}
	live("node2", uuid2, ha.DeviceCheck{Device: "bmc2"}, ha.DeviceCheck{Device: "ceph2", Kind: ha.StorageDevice}, ha.DeviceCheck{Device: "sbd2", Kind: ha.PoisonDevice})
	live("node3", uuid3, ha.DeviceCheck{Device: "bmc3"}, ha.DeviceCheck{Device: "robot3", Kind: ha.ResetDevice})
	tm.DeviceTimeout = limit
	tester := newFenceTester(specs, plans, tm, x)
	return b, &tester, v
}

// edit changes a node's record of a view.
func edit(v api.View, n ha.NodeName, change func(*ha.NodeRecord)) {
	r := v.Snapshot.Nodes[n]
	change(&r.Rec)
	v.Snapshot.Nodes[n] = r
}

// device finds a device in an answer.
func device(t *testing.T, a api.FenceTest, name string) api.FenceTestDevice {
	t.Helper()
	for _, n := range a.Nodes {
		for _, l := range n.Levels {
			for _, d := range l {
				if d.Name == name {
					return d
				}
			}
		}
	}
	t.Fatalf("no device %s in %+v", name, a)
	return api.FenceTestDevice{}
}

// TestFenceTestReadsOnly: whatever the nodes' states, nothing but one read goes to each device.
func TestFenceTestReadsOnly(t *testing.T) {
	for _, state := range []ha.NodeState{ha.NodeOnline, ha.NodeDraining, ha.NodeMaintenance, ha.NodeQuarantined, ha.NodeOffline, ha.NodeFenced, ha.NodeSuspect, ha.NodeFencing, ""} {
		for _, power := range []ha.Power{ha.PowerOn, ha.PowerOff, ha.PowerUnknown, ha.PowerPoweringOff} {
			b, tester, v := rack(t)
			b.power["bmc2"] = fencing.Reading{Power: power, SystemUUID: uuid2}
			edit(v, "node2", func(r *ha.NodeRecord) { r.State = state })
			a := tester.run(t.Context(), v, "")
			slices.Sort(b.asked)
			want := []string{"read bmc2", "read bmc3", "read ceph2 of " + client, "read robot3", "read sbd2"}
			if state == ha.NodeFencing || state == ha.NodeSuspect { // the leader needs them
				want = []string{"read bmc3", "read robot3"}
			}
			if !slices.Equal(b.asked, want) {
				t.Errorf("%s, %s: asked %q, want %q", state, power, b.asked, want)
			}
			if len(a.Nodes) != 2 || a.Nodes[0].Node != "node2" {
				t.Errorf("nodes %+v: the witness is never fenced", a.Nodes)
			}
		}
	}
}

func TestFenceTestTells(t *testing.T) {
	_, tester, v := rack(t)
	a := tester.run(t.Context(), v, "")
	if len(a.Nodes) != 2 || len(a.Nodes[0].Levels) != 3 || a.Nodes[0].SelfFence.After != 14.5 || !a.Nodes[0].SelfFence.Armed {
		t.Fatalf("%+v", a.Nodes)
	}
	for name, want := range map[string]api.FenceTestDevice{
		"bmc2":   {Method: "bmc", Kind: ha.PowerDevice, Would: "off", Answer: "on, right system UUID", Proof: ha.PowerOffConfirmed, Read: true},
		"ceph2":  {Method: "ceph", Kind: ha.StorageDevice, Would: "revoke", Answer: "open: ceph-vm", Proof: ha.StorageRevoked, Read: true},
		"sbd2":   {Method: "sbd", Kind: ha.PoisonDevice, Would: "poison", Answer: "message on 0 of 3 disks", Proof: ha.PoisonPill, Read: true},
		"robot3": {Method: "robot", Kind: ha.ResetDevice, Would: "reset", Answer: "ready to reset it", Proof: ha.NewBoot, Read: true},
		"manual": {Method: "manual", Kind: ha.ManualDevice, Would: "by hand", Proof: ha.OperatorConfirmed},
	} {
		d := device(t, a, name)
		if !d.Usable || d.Why+d.Problem != "" || d.Method != want.Method || d.Kind != want.Kind || d.Would != want.Would || d.Answer != want.Answer || d.Proof != want.Proof || d.Read != want.Read {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestFenceTestFinds(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*bays, api.View)
		device string
		why    string
	}{
		{"another machine's controller", func(b *bays, _ api.View) { b.power["bmc2"] = b.power["bmc3"] }, "bmc2", "belongs to another machine: it shows system UUID " + uuid3 + ", node2 has " + uuid2},
		{"a placeholder", func(b *bays, _ api.View) {
			b.power["bmc2"] = fencing.Reading{Power: ha.PowerOn, SystemUUID: "03000200-0400-0500-0006-000700080009"}
		}, "bmc2", "identifies no machine"},
		{"off although alive", func(b *bays, _ api.View) {
			b.power["bmc2"] = fencing.Reading{Power: ha.PowerOff, SystemUUID: uuid2}
		}, "bmc2", `reads "off" although node2 seems alive`},
		{"tells no machine", func(b *bays, _ api.View) { b.power["bmc2"] = fencing.Reading{Power: ha.PowerOn} }, "bmc2", "does not tell which machine"},
		{"unreachable", func(b *bays, _ api.View) { delete(b.power, "bmc2") }, "bmc2", "no route to host"},
		{"hangs", func(b *bays, _ api.View) { b.hangs["bmc2"] = true }, "bmc2", "no answer"},
		{"a reset service that is away", func(b *bays, _ api.View) { delete(b.power, "robot3") }, "robot3", "no route to host"},
		{"a reset service never seen in order", func(_ *bays, v api.View) { edit(v, "node3", func(r *ha.NodeRecord) { r.Devices = r.Devices[:1] }) }, "robot3", "never found ready to reset"},
		{"revoked although alive", func(b *bays, _ api.View) { b.revoked = []string{"ceph2"} }, "ceph2", "does not find the access of node2 to ceph-vm open"},
		{"a message although alive", func(b *bays, _ api.View) { b.pills = 2 }, "sbd2", "a message for node2 on 2 of 3 disks"},
		{"never seen in order", func(_ *bays, v api.View) { edit(v, "node2", func(r *ha.NodeRecord) { r.Devices = nil }) }, "bmc2", "answers well now, but may not be used yet: it never read"},
		{"never registered", func(_ *bays, v api.View) { delete(v.Snapshot.Nodes, "node2") }, "bmc2", "never registered"},
		{"being fenced", func(_ *bays, v api.View) { edit(v, "node2", func(r *ha.NodeRecord) { r.State = ha.NodeFencing }) }, "bmc2", "not asked: the leader needs it now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit := waittest.Hang
			if c.name == "hangs" {
				limit = 50 * time.Millisecond
			}
			b, tester, v := rackWithin(t, limit)
			c.change(b, v)
			d := device(t, tester.run(t.Context(), v, ""), c.device)
			if d.Usable || !strings.Contains(d.Why, c.why) {
				t.Errorf("%+v", d)
			}
			if c.name == "hangs" && d.Took < 40 {
				t.Errorf("took %d ms", d.Took)
			}
		})
	}
}

// TestFenceTestOfTheDead: "off" contradicts nothing where the node is not certainly alive; the device works.
func TestFenceTestOfTheDead(t *testing.T) {
	for name, change := range map[string]func(*api.View){
		"left": func(v *api.View) {
			edit(*v, "node2", func(r *ha.NodeRecord) { r.State = ha.NodeOffline })
			delete(v.Snapshot.Leases, "node2")
		},
		"died a moment ago":             func(v *api.View) { v.Gossip["node2"] = ha.GossipView{Known: true} },
		"died while the store was away": func(v *api.View) { v.SnapshotAge = time.Minute },
		"fenced":                        func(v *api.View) { edit(*v, "node2", func(r *ha.NodeRecord) { r.State = ha.NodeFenced }) },
	} {
		b, tester, v := rack(t)
		b.power["bmc2"] = fencing.Reading{Power: ha.PowerOff, SystemUUID: uuid2}
		change(&v)
		if d := device(t, tester.run(t.Context(), v, "node2"), "bmc2"); !d.Usable || d.Answer != "off, right system UUID" {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
