package leader

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// cutter is a storage device with behaviour: who may write to what.
type cutter struct {
	storages []string
	blocked  map[string]bool // STORAGE CLIENT
	problem  string
	broken   bool // accepts "revoke" and does nothing
}

func (x *cutter) answer(now ha.Instant, c ha.DeviceCommand) ha.DeviceReading {
	r := ha.DeviceReading{Device: c.Device, Node: c.Node, Incarnation: c.Incarnation, Action: c.Action, Asked: now, Answered: now, Power: ha.PowerUnknown, Clients: c.Clients, Problem: x.problem}
	for _, s := range x.storages {
		a := ha.AccessRevoked
		for _, addr := range c.Clients {
			if c.Action == ha.DeviceRevoke && x.problem == "" && !x.broken {
				x.blocked[s+" "+addr] = true
			}
			if !x.blocked[s+" "+addr] {
				a = ha.AccessOpen
			}
		}
		if c.Action == ha.DeviceRead && x.problem == "" {
			r.Storages = append(r.Storages, ha.StorageReading{Storage: s, Access: a})
		}
	}
	return r
}

// disks is a poison device with behaviour.
type disks struct {
	pills, of int
	problem   string
}

func (x *disks) answer(now ha.Instant, c ha.DeviceCommand) ha.DeviceReading {
	r := ha.DeviceReading{Device: c.Device, Node: c.Node, Incarnation: c.Incarnation, Action: c.Action, Asked: now, Answered: now, Power: ha.PowerUnknown, Problem: x.problem}
	if x.problem == "" && c.Action == ha.DevicePoison {
		x.pills = x.of
	}
	if x.problem == "" && c.Action == ha.DeviceRead {
		r.Pills, r.Disks = x.pills, x.of
	}
	return r
}

// storageWorld is three nodes; n2 has a storage device that serves "ceph" and a BMC that does not answer once it is needed.
func storageWorld(t *testing.T) (*world, *cutter) {
	w := newWorld(t, 3)
	x := &cutter{storages: []string{"ceph"}, blocked: map[string]bool{}}
	w.use("n2", ladder.Device{Name: "cut", Kind: ha.StorageDevice, Storages: x.storages}, x)
	w.publish("n2")
	w.run(10)
	w.guest(101, ha.QEMU, "n2")
	w.report("n2", func(r *ha.NodeReport) {
		r.Guests = append(r.Guests, ha.GuestSeen{ID: 102, Kind: ha.LXC, Protected: true, Running: true, Memory: 1 << 30, Storages: []string{"ceph", "nfs"}})
	})
	w.report("n1", func(r *ha.NodeReport) {
		r.Storages = append(r.Storages, ha.StorageReport{Name: "nfs", Shared: true, Active: true})
	})
	w.run(2)
	w.says("n2", 102, ha.PhaseRunning, "")
	w.run(2)
	w.device["n2-bmc"].problem = "unreachable"
	return w, x
}

// use puts a device beside the node's BMC.
func (w *world) use(n ha.NodeName, d ladder.Device, x interface {
	answer(now ha.Instant, c ha.DeviceCommand) ha.DeviceReading
}) {
	if w.other == nil {
		w.other = map[string]interface {
			answer(now ha.Instant, c ha.DeviceCommand) ha.DeviceReading
		}{}
	}
	w.other[d.Name] = x
	bmc := ladder.Device{Name: string(n) + "-bmc", Kind: ha.PowerDevice}
	w.leader.Plans[n] = ladder.Plan{Levels: [][]ladder.Device{{d, bmc}, {{Name: "manual"}}}}
}

func (w *world) publish(n ha.NodeName) {
	w.report(n, func(r *ha.NodeReport) { r.Clients = []string{"10.0.0." + string(n[1:])} })
}

// takeOver is a new leader in the same world.
func (w *world) takeOver() {
	w.term++
	w.state, w.pending = State{Began: 1}, nil
}

func (w *world) fenceRecord(n ha.NodeName) ha.FenceRecord { return w.snapshot().Fences[n].Rec }

func TestStorageRevokedFreesItsGuestsAtOnceAndOthersWait(t *testing.T) {
	w, _ := storageWorld(t)
	w.cut("n2")
	w.run(8)
	w.wantNode("n2", ha.NodeFencing)
	g := w.g(101)
	if g.State != ha.GuestStarting || g.Node == "n2" || len(g.Holders) != 1 || !slices.Contains(g.ConfigFrom, "n2") {
		t.Fatalf("guest %+v", g)
	}
	w.wantGuest(102, ha.GuestFence, "n2")
	if p := w.node("n2").Proofs; len(p) != 1 || p[0].Kind() != ha.StorageRevoked || len(w.fenceRecord("n2").Proofs) != 1 {
		t.Fatalf("proofs %+v", p)
	}
	w.device["n2-bmc"].problem = "" // the power switch answers again
	w.run(200)
	w.wantNode("n2", ha.NodeFenced)
	w.wantGuest(102, ha.GuestStarting, "n1")
	if w.g(101).Generation != 2 {
		t.Fatal("the second proof assigned it again")
	}
}

func TestStorageRevokedIsLookedAtAgainEveryTenSeconds(t *testing.T) {
	w, x := storageWorld(t)
	w.report("n1", func(r *ha.NodeReport) { r.Memory = 1 << 20 }) // no place: 101 waits
	w.report("n3", func(r *ha.NodeReport) { r.Memory = 1 << 20 })
	w.cut("n2")
	w.run(8)
	w.wantGuest(101, ha.GuestRecovery, "n2")
	x.blocked, x.broken = map[string]bool{}, true // somebody gave the access back, and it cannot be taken away again
	w.run(120)
	w.wantGuest(101, ha.GuestFence, "n2")
	n := w.node("n2")
	if len(n.Proofs) != 0 || !strings.HasPrefix(n.Reason, ha.Alarm) || !slices.Equal(w.fenceRecord("n2").Restored, []string{"ceph"}) {
		t.Fatalf("node %+v", n)
	}
	w.report("n3", func(r *ha.NodeReport) { r.Memory = 16 << 30 })
	w.run(50)
	w.wantGuest(101, ha.GuestFence, "n2")
	x.broken = false
	w.run(150)
	w.wantGuest(101, ha.GuestStarting, "n3")
	if strings.HasPrefix(w.node("n2").Reason, ha.Alarm) {
		t.Fatalf("reason %q", w.node("n2").Reason)
	}
}

func TestWithdrawnProofAssignsNobodyInTheSameRound(t *testing.T) {
	w, x := storageWorld(t)
	for _, n := range []ha.NodeName{"n1", "n3"} {
		w.report(n, func(r *ha.NodeReport) { r.Memory = 1 << 20 })
	}
	w.cut("n2")
	w.run(8)
	w.wantGuest(101, ha.GuestRecovery, "n2")
	x.blocked, x.broken = map[string]bool{}, true
	for range 200 { // room appears in the very round that hears of the open access
		w.run(1)
		if slices.ContainsFunc(w.pending, func(r ha.DeviceReading) bool { return len(r.Storages) > 0 }) {
			break
		}
	}
	w.report("n3", func(r *ha.NodeReport) { r.Memory = 16 << 30 })
	w.run(3)
	if g := w.g(101); g.Node != "n2" {
		t.Fatalf("assigned to %s on a proof that this round takes back", g.Node)
	}
}

func TestNewLeaderLooksAtStoragesBeforeItAssignsByThem(t *testing.T) {
	w, x := storageWorld(t)
	for _, n := range []ha.NodeName{"n1", "n3"} {
		w.report(n, func(r *ha.NodeReport) { r.Memory = 1 << 20 })
	}
	w.cut("n2")
	w.run(8)
	w.wantGuest(101, ha.GuestRecovery, "n2")
	w.takeOver()
	x.problem = "monitor unreachable"
	w.report("n3", func(r *ha.NodeReport) { r.Memory = 16 << 30 })
	w.run(30)
	w.wantGuest(101, ha.GuestRecovery, "n2")
	if !strings.Contains(w.g(101).Reason, "still are") {
		t.Fatalf("reason %q", w.g(101).Reason)
	}
	x.problem = ""
	sent := len(w.sent)
	w.run(50)
	w.wantGuest(101, ha.GuestStarting, "n3")
	if slices.ContainsFunc(w.sent[sent:], func(c ha.DeviceCommand) bool { return c.Action == ha.DeviceRevoke }) {
		t.Fatal("taken away again although it never came back")
	}
}

func TestStorageRevokedEndsExactlyThatLease(t *testing.T) {
	w, _ := storageWorld(t)
	lease := w.snapshot().Leases["n2"].Rec.Lease
	w.request(ha.RequestFence, "n2") // a living node: its lease stands
	w.noRevoke = true
	w.run(8)
	w.wantNode("n2", ha.NodeFencing)
	if len(w.revoked) == 0 || slices.ContainsFunc(w.revoked, func(id ha.LeaseID) bool { return id != lease }) || !w.fenceRecord("n2").LeaseRevoked {
		t.Fatalf("revoked %v, want %v", w.revoked, lease)
	}
	others := []ha.LeaseID{w.snapshot().Leases["n1"].Rec.Lease, w.snapshot().Leases["n3"].Rec.Lease}
	w.put(ha.KeyLease("n2"), ha.LeaseRecord{Node: "n2", Incarnation: "boot-x", Lease: 4711}) // another incarnation's lease under the name
	before := len(w.revoked)
	w.run(30)
	for _, id := range w.revoked[before:] {
		if id == 4711 || slices.Contains(others, id) {
			t.Fatalf("revoked lease %v of somebody else", id)
		}
	}
}

func TestSelfFenceAfterAnEndedLeaseWaitsForThePermit(t *testing.T) {
	w, _ := storageWorld(t)
	tm, _ := ha.Profile("normal")
	w.report("n2", func(r *ha.NodeReport) { r.Armed, r.WatchdogDriver = true, "lab" })
	w.request(ha.RequestFence, "n2")
	w.run(8)
	if _, held := w.snapshot().Leases["n2"]; held {
		t.Fatal("its lease stands")
	}
	gone := w.now
	w.gossip["n2"] = ha.GossipView{Known: true}
	for w.node("n2").State != ha.NodeFenced && w.now < gone.Add(time.Minute) {
		w.run(1)
	}
	if waited := w.now.Sub(gone); waited < tm.SelfFence()+tm.LeaseTTL-time.Second || waited > tm.SelfFence()+tm.LeaseTTL+time.Second {
		t.Fatalf("fenced after %v, want W %v and the %v that its permit may have had left", waited, tm.SelfFence(), tm.LeaseTTL)
	}
}

// TestRevokedNodeIsLetInByANewBootOnly: back in order, after ending itself, with its storages opened again: never in this incarnation.
func TestRevokedNodeIsLetInByANewBootOnly(t *testing.T) {
	for name, before := range map[string]func(*world, *cutter){
		"while fencing":                     func(*world, *cutter) {},
		"after it ended itself":             func(w *world, _ *cutter) { w.run(200); w.wantNode("n2", ha.NodeFenced) },
		"after its storages were open":      func(w *world, x *cutter) { x.blocked, x.broken = map[string]bool{}, true; w.run(150) },
		"after both":                        func(w *world, x *cutter) { w.run(200); x.blocked, x.broken = map[string]bool{}, true; w.run(150) },
		"after its fence record was lost":   func(w *world, _ *cutter) { w.del(ha.KeyFence("n2")); w.run(5) },
		"under a leader that knows nothing": func(w *world, _ *cutter) { w.takeOver() },
		"after its device was taken out of the configuration": func(w *world, _ *cutter) {
			w.leader.Plans["n2"] = ladder.Plan{Levels: [][]ladder.Device{{{Name: "n2-bmc", Kind: ha.PowerDevice}}}}
			w.run(5) // no command is on its way
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, x := storageWorld(t)
			w.report("n2", func(r *ha.NodeReport) { r.Armed, r.WatchdogDriver = true, "lab" })
			w.cut("n2")
			w.run(8)
			before(w, x)
			w.boot("n2", boot("n2"))
			w.publish("n2")
			w.run(100)
			if n := w.node("n2"); n.State != ha.NodeFencing && n.State != ha.NodeFenced {
				t.Fatalf("%s (%s) with its storages taken away", n.State, n.Reason)
			}
			if _, held := w.snapshot().Leases["n2"]; held {
				w.run(15)
				if _, held := w.snapshot().Leases["n2"]; held {
					t.Fatalf("it lives on a lease: %s", w.node("n2").Reason)
				}
			}
			x.blocked, x.broken = map[string]bool{}, false // its new addresses are not on the list
			w.device["n2-bmc"].problem = ""
			w.boot("n2", "boot-n2b")
			w.device["n2-bmc"].power = ha.PowerOn
			w.publish("n2")
			w.run(5)
			w.wantNode("n2", ha.NodeOnline)
		})
	}
}

func TestFencedNodesStoragesAreLookedAtUntilPowerOff(t *testing.T) {
	w, x := storageWorld(t)
	w.cut("n2")
	w.run(8)
	w.request(ha.RequestConfirmOff, "n2")
	w.run(5)
	w.wantNode("n2", ha.NodeFenced)
	x.blocked = map[string]bool{} // the operator was wrong, and somebody gave the access back
	w.run(150)
	if !x.blocked["ceph 10.0.0.2"] || !slices.ContainsFunc(w.trans, func(tr ha.Transition) bool { return strings.HasPrefix(tr.Reason, ha.Alarm+"access of n2") }) {
		t.Fatalf("not noticed: %+v, reason %q", x.blocked, w.node("n2").Reason)
	}
	w.wantNode("n2", ha.NodeFenced)
	if strings.HasPrefix(w.node("n2").Reason, ha.Alarm) {
		t.Fatalf("the alarm stays: %q", w.node("n2").Reason)
	}
}

// TestNodeBackWithAnIntendedRevocation: a leader died between the intent and the command; whether anything was taken away is read.
func TestNodeBackWithAnIntendedRevocation(t *testing.T) {
	for taken, want := range map[bool]ha.NodeState{false: ha.NodeOnline, true: ha.NodeFencing} {
		w, x := storageWorld(t)
		x.problem = "monitor unreachable"
		w.cut("n2")
		w.run(8)
		if !slices.Contains(w.fenceRecord("n2").Commanded, "cut") {
			t.Fatal("no intent")
		}
		w.takeOver()
		x.blocked["ceph 10.0.0.2"] = taken
		w.boot("n2", boot("n2"))
		w.publish("n2")
		w.run(20)
		w.wantNode("n2", ha.NodeFencing) // it cannot be read
		x.problem = ""
		w.run(150)
		w.wantNode("n2", want)
	}
}

// TestNodeBackRightAfterARevocationFailed: the command may still take effect; only a look some time after it counts.
func TestNodeBackRightAfterARevocationFailed(t *testing.T) {
	w, x := storageWorld(t)
	x.problem = "timed out"
	w.cut("n2")
	w.run(8)
	sent := w.state.Nodes["n2"].Ladder.Devices["cut"].Sent
	x.problem = ""
	w.boot("n2", boot("n2"))
	w.publish("n2")
	tm, _ := ha.Profile("normal")
	for w.now < sent.Add(tm.DeviceTimeout) {
		w.wantNode("n2", ha.NodeFencing)
		w.run(1)
	}
	w.run(30)
	w.wantNode("n2", ha.NodeOnline)
}

func TestStoragesAreNotLookedAtAfterPowerOff(t *testing.T) {
	w, x := storageWorld(t)
	w.device["n2-bmc"].problem = ""
	w.cut("n2")
	w.run(20)
	w.wantNode("n2", ha.NodeFenced)
	if len(x.blocked) == 0 || !slices.ContainsFunc(w.node("n2").Proofs, func(p ha.Proof) bool { return p.Kind() == ha.PowerOffConfirmed }) {
		t.Fatalf("blocked %v, proofs %+v", x.blocked, w.node("n2").Proofs)
	}
	x.blocked = map[string]bool{} // the operator gives the access back while the machine is off
	w.run(150)
	if len(x.blocked) != 0 {
		t.Fatal("taken away from a machine that is off: its next boot would not find its disks")
	}
}

func TestStorageDeviceHealth(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world, *cutter)
		want   string // in the check's problem; "" none
	}{
		"reads open":              {func(*world, *cutter) {}, ""},
		"does not answer":         {func(_ *world, x *cutter) { x.problem = "monitor unreachable" }, "monitor unreachable"},
		"reads revoked":           {func(_ *world, x *cutter) { x.blocked["ceph 10.0.0.3"] = true }, "although it is alive"},
		"knows another storage":   {func(_ *world, x *cutter) { x.storages = []string{"nfs"} }, "does not say"},
		"no address is published": {func(w *world, _ *cutter) { w.report("n3", func(r *ha.NodeReport) { r.Clients = nil }) }, "published no client address"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			x := &cutter{storages: []string{"ceph"}, blocked: map[string]bool{}}
			w.publish("n3")
			c.change(w, x)
			w.use("n3", ladder.Device{Name: "cut3", Kind: ha.StorageDevice, Storages: []string{"ceph"}}, x)
			w.run(10)
			i := slices.IndexFunc(w.node("n3").Devices, func(c ha.DeviceCheck) bool { return c.Device == "cut3" })
			if i < 0 {
				t.Fatalf("no check: %+v", w.node("n3").Devices)
			}
			got := w.node("n3").Devices[i]
			if got.Identified(boot("n3")) != (c.want == "") || !strings.Contains(got.Problem, c.want) {
				t.Fatalf("check %+v", got)
			}
			w.cut("n3")
			w.device["n3-bmc"].problem = "unreachable"
			w.run(20)
			if used := slices.ContainsFunc(w.sent, func(c ha.DeviceCommand) bool { return c.Device == "cut3" }); used != (c.want == "") {
				t.Fatalf("used %v", used)
			}
		})
	}
}

func TestPoisonPillFencesAfterMsgWait(t *testing.T) {
	w := newWorld(t, 3)
	x := &disks{of: 3}
	w.use("n2", ladder.Device{Name: "sbd", Kind: ha.PoisonDevice, MsgWait: 20 * time.Second}, x)
	w.leader.Plans["n2"].Levels[0] = w.leader.Plans["n2"].Levels[0][:1]
	w.report("n2", func(r *ha.NodeReport) {
		r.Armed, r.WatchdogDriver, r.Watches = true, "lab", []string{"sbd"}
		r.Timing.PermitGrace = time.Hour
	}) // time alone proves nothing today
	w.guest(101, ha.QEMU, "n2")
	w.run(10)
	w.cut("n2")
	w.run(100)
	w.takeOver() // its wait begins anew
	w.run(190)
	w.wantNode("n2", ha.NodeFencing)
	w.run(20)
	w.wantNode("n2", ha.NodeFenced)
	w.wantGuest(101, ha.GuestStarting, "")
	if p := w.node("n2").Proofs; len(p) != 1 || p[0].Kind() != ha.PoisonPill {
		t.Fatalf("proofs %+v", p)
	}
}

func TestPoisonDeviceHealthAndReturn(t *testing.T) {
	w := newWorld(t, 3)
	x := &disks{of: 3, pills: 1}
	w.use("n2", ladder.Device{Name: "sbd", Kind: ha.PoisonDevice, MsgWait: 20 * time.Second}, x)
	w.report("n2", func(r *ha.NodeReport) {
		r.Armed, r.WatchdogDriver, r.Watches = true, "lab", []string{"sbd"}
		r.Timing.PermitGrace = time.Hour
	})
	w.run(10)
	i := slices.IndexFunc(w.node("n2").Devices, func(c ha.DeviceCheck) bool { return c.Device == "sbd" })
	if c := w.node("n2").Devices[i]; c.Identified(boot("n2")) || !strings.Contains(c.Problem, "although it is alive") {
		t.Fatalf("check %+v", c)
	}
	x.pills = 0
	w.run(30)
	w.device["n2-bmc"].problem = "unreachable"
	w.cut("n2")
	w.run(8)
	armed := w.snapshot().Reports["n2"].Rec
	w.boot("n2", boot("n2")) // back at once; it may read its message any moment
	w.takeOver()             // and the new leader knows only of the intent
	w.report("n2", func(r *ha.NodeReport) { r.Armed, r.WatchdogDriver, r.Timing = true, "lab", armed.Timing })
	w.run(150)
	w.wantNode("n2", ha.NodeFencing)
	w.run(60)
	w.wantNode("n2", ha.NodeOnline)
}

func TestUnfenceable(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		want   string
	}{
		"a device is usable": {func(*world) {}, ""},
		"no device":          {func(w *world) { w.leader.Plans["n2"] = ladder.Plan{} }, "no fencing device"},
		"a person only": {func(w *world) {
			w.leader.Plans["n2"] = ladder.Plan{Levels: [][]ladder.Device{{{Name: "manual", Kind: ha.ManualDevice}}}}
		}, "no fencing device"},
		"never identified":          {func(w *world) { w.device["n2-bmc"].problem = "unreachable"; w.boot("n2", "boot-n2b"); w.run(10) }, "unreachable"},
		"not healthy, time may end": {func(w *world) { w.leader.Plans["n2"] = ladder.Plan{}; w.cut("n2"); w.run(2) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.run(10)
			c.change(w)
			tm, _ := ha.Profile("normal")
			r := newRound(&w.leader, w.now, w.state, Observation{Self: self, Term: w.term, Timing: tm, Store: w.snapshot(), Gossip: w.gossip, Corosync: w.coro})
			mem := w.state.Nodes["n2"]
			got := r.unfenceable(r.nodes["n2"], &mem)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Fatalf("%q, want %q", got, c.want)
			}
		})
	}
}
