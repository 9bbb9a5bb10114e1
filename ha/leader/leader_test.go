package leader

import (
	"slices"
	"strings"
	"testing"

	"bascule/ha"
)

func TestPowerCutIsProvenByTwoReadsAndGuestsAreAssigned(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.die("n2")
	w.run(9)
	if s := w.node("n2").State; s == ha.NodeFenced {
		t.Fatal("one reading was enough")
	}
	w.run(5) // the second "off" is read a second after the first
	w.wantNode("n2", ha.NodeFenced)
	if len(w.sent) != 0 {
		t.Fatalf("commands sent to a machine that read off: %v", w.sent)
	}
	g := w.g(101)
	if g.State != ha.GuestStarting || g.Node == "n2" || g.Generation != 2 || len(g.Holders) != 1 || g.Holders[0].Node != g.Node || !slices.Contains(g.ConfigFrom, "n2") {
		t.Fatalf("guest %+v", g)
	}
	w.says(g.Node, 101, ha.PhaseRunning, "")
	w.run(2)
	w.wantGuest(101, ha.GuestStarted, g.Node)
}

func TestCutOffNodeIsSwitchedOffAfterBothHints(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.LXC, "n2")
	w.gossip["n2"] = ha.GossipView{Known: true}
	w.run(30)
	w.wantNode("n2", ha.NodeSuspect) // its lease stands
	if len(w.sent) != 0 {
		t.Fatal("switched off on gossip alone")
	}
	w.cut("n2")
	w.run(10)
	w.wantNode("n2", ha.NodeFenced)
	if len(w.sent) != 1 || w.sent[0].Action != ha.DeviceOff || w.sent[0].Incarnation != boot("n2") {
		t.Fatalf("sent %v", w.sent)
	}
	w.wantGuest(101, ha.GuestStarting, "n1")
}

// A machine that comes back after a while talks before it registers: it is not switched off in between.
func TestReturningNodeHasTimeToRegister(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.LXC, "n2")
	w.cut("n2")
	listed := w.coro.Online
	w.coro.Online = append(listed, "n2") // its daemon may have died alone
	w.run(140)
	w.coro.Online = listed
	w.gossip["n2"] = ha.GossipView{Known: true, Alive: true}
	w.run(500) // 64 s after the lease
	if len(w.sent) != 0 {
		t.Fatalf("sent %v", w.sent)
	}
	w.run(180) // it talks, never registers, and its guest runs nowhere
	w.wantNode("n2", ha.NodeFencing)
}

func TestCorosyncGraceWhileItStillListsTheNode(t *testing.T) {
	w := newWorld(t, 3)
	w.cut("n2")
	w.coro.Online = append(w.coro.Online, "n2")
	w.run(140)
	w.wantNode("n2", ha.NodeSuspect)
	w.run(20)
	w.wantNode("n2", ha.NodeFenced)
}

func TestLyingDeviceFreesNothingAndSaysSo(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.cut("n2")
	w.device["n2-bmc"].lies = true
	w.run(300)
	w.wantNode("n2", ha.NodeFencing)
	w.wantGuest(101, ha.GuestFence, "n2")
	if p := w.snapshot().Fences["n2"].Rec.Problem; !strings.Contains(p, "runs on") {
		t.Fatalf("problem %q", p)
	}
	w.request(ha.RequestConfirmOff, "n2")
	w.run(3)
	w.wantNode("n2", ha.NodeFenced)
	w.wantGuest(101, ha.GuestStarting, "")
}

func TestOffReadingIsNotBelievedWhileGossipAnswers(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.die("n2")
	w.gossip["n2"] = ha.GossipView{Known: true, Alive: true}
	w.run(50)
	w.wantNode("n2", ha.NodeSuspect)
	w.wantGuest(101, ha.GuestStarted, "n2")
}

func TestForeignDeviceIsNeitherUsedNorBelieved(t *testing.T) {
	w := newWorld(t, 3)
	w.device["n2-bmc"].uuid = uuidOf("n9")
	w.boot("n2", "boot-n2b") // identified again for the new boot: wrong machine
	w.run(40)
	if c := w.node("n2").Devices[0]; c.Identified("boot-n2b") || !strings.Contains(c.Problem, "another machine") {
		t.Fatalf("check %+v", c)
	}
	w.cut("n2")
	w.run(50)
	w.wantNode("n2", ha.NodeFencing)
	if len(w.sent) != 0 {
		t.Fatal("switched off somebody else's machine")
	}
}

func TestUnidentifiedOffProvesNothing(t *testing.T) {
	w := newWorld(t, 3)
	w.device["n2-bmc"].problem = "unreachable"
	w.boot("n2", "boot-n2b")
	w.run(20)
	w.die("n2")
	w.device["n2-bmc"].problem = ""
	w.run(60)
	w.wantNode("n2", ha.NodeFencing)
}

func TestNodeThatReturnsBeforeACommandIsLeftInPeace(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.device["n2-bmc"].problem = "unreachable"
	w.cut("n2")
	w.run(5)
	w.wantNode("n2", ha.NodeFencing)
	w.device["n2-bmc"].problem = ""
	w.device["n2-bmc"].lies = true
	w.pending = nil
	w.boot("n2", boot("n2"))
	w.report("n2", func(r *ha.NodeReport) {
		r.Guests = []ha.GuestSeen{{ID: 101, Kind: ha.QEMU, Protected: true, Running: true, Memory: 1 << 30, Storages: []string{"ceph"}}}
	})
	w.run(400)
	w.wantNode("n2", ha.NodeOnline)
	w.wantGuest(101, ha.GuestStarted, "n2")
}

func TestRebootIsAProof(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.boot("n2", "boot-n2b")
	w.run(4)
	w.wantNode("n2", ha.NodeOnline)
	g := w.g(101)
	if g.State != ha.GuestStarting || g.Generation != 2 || g.Node != "n2" { // where it was: a reboot scatters nothing
		t.Fatalf("guest %+v", g)
	}
}

func TestAnotherMachineUnderTheSameNameProvesNothing(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.boot("n2", "boot-x")
	w.report("n2", func(r *ha.NodeReport) { r.SystemUUID = uuidOf("n9") })
	w.put(ha.KeyLease("n2"), ha.LeaseRecord{Node: "n2", Incarnation: "boot-x", Lease: 999})
	w.run(10)
	w.wantNode("n2", ha.NodeSuspect)
	if w.g(101).Generation != 1 {
		t.Fatal("the newcomer's boot was taken for the old machine's end")
	}
	w.request(ha.RequestConfirmOff, "n2")
	w.run(5)
	w.wantGuest(101, ha.GuestStarting, "")
}

func TestProvenDeadNodeThatShowsLifeIsNeverLetIn(t *testing.T) {
	w := newWorld(t, 3)
	w.die("n2")
	w.run(20)
	w.wantNode("n2", ha.NodeFenced)
	w.boot("n2", boot("n2"))
	w.run(5)
	w.wantNode("n2", ha.NodeFenced)
	if !strings.Contains(w.node("n2").Reason, "ALARM") || len(w.revoked) == 0 {
		t.Fatalf("reason %q revoked %v", w.node("n2").Reason, w.revoked)
	}
}

func TestDeadNodesOwnLeaseIsNoSignOfLife(t *testing.T) {
	w := newWorld(t, 3)
	lease := w.kv[ha.KeyLease("n2")]
	w.die("n2")
	w.kv[ha.KeyLease("n2")] = lease // it has not run out yet, and revoking it takes a moment
	w.noRevoke = true
	w.run(20)
	w.wantNode("n2", ha.NodeFenced)
	if strings.Contains(w.node("n2").Reason, "ALARM") {
		t.Fatalf("reason %q", w.node("n2").Reason)
	}
	if n := len(w.revoked); n == 0 || n > 3 {
		t.Fatalf("revoked %d times", n)
	}
}

func TestFailedStartsMoveOnAndThenEndInError(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.die("n2")
	w.run(20)
	first := w.g(101).Node
	w.says(first, 101, ha.PhaseFailed, "no such volume")
	w.run(3)
	second := w.g(101).Node
	if second == first || second == "n2" {
		t.Fatalf("second try on %s", second)
	}
	w.says(second, 101, ha.PhaseFailed, "no such volume")
	w.run(3)
	w.wantGuest(101, ha.GuestError, second)
	if !strings.Contains(w.g(101).Reason, "no such volume") {
		t.Fatalf("reason %q", w.g(101).Reason)
	}
}

func TestNoPlaceIsSaidAndWaitedFor(t *testing.T) {
	w := newWorld(t, 2)
	w.report("n1", func(r *ha.NodeReport) { r.Memory = 1 << 29 })
	w.guest(101, ha.QEMU, "n2")
	w.die("n2")
	w.run(20)
	w.wantGuest(101, ha.GuestRecovery, "n2")
	if !strings.Contains(w.g(101).Reason, "needs 1024 MiB, 512 MiB free") {
		t.Fatalf("reason %q", w.g(101).Reason)
	}
	w.report("n1", func(r *ha.NodeReport) { r.Memory = 4 << 30 })
	w.run(2)
	w.wantGuest(101, ha.GuestStarting, "n1")
}

func TestOrderlyStopFreezesAndReturns(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.report("n2", func(r *ha.NodeReport) { r.Leaving = true })
	w.del(ha.KeyLease("n2"))
	w.gossip["n2"] = ha.GossipView{Known: true, Leaving: true}
	w.run(100)
	w.wantNode("n2", ha.NodeMaintenance)
	w.wantGuest(101, ha.GuestFrozen, "n2")
	if len(w.sent) != 0 {
		t.Fatal("an orderly stop was taken for a death")
	}
	w.boot("n2", boot("n2"))
	w.report("n2", func(r *ha.NodeReport) {
		r.Guests = []ha.GuestSeen{{ID: 101, Kind: ha.QEMU, Protected: true, Running: true}}
	})
	w.run(3)
	w.wantNode("n2", ha.NodeOnline)
	w.wantGuest(101, ha.GuestStarted, "n2")
}

func TestFrozenGuestIsRecoveredWhenItsNodeDies(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.report("n2", func(r *ha.NodeReport) { r.Leaving = true })
	w.die("n2")
	w.run(30)
	w.wantNode("n2", ha.NodeFenced)
	w.wantGuest(101, ha.GuestStarting, "")
}

func TestDrainMovesOneByOneAndEndsInMaintenance(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.guest(102, ha.LXC, "n2")
	w.request(ha.RequestDrain, "n2")
	w.run(3)
	w.wantNode("n2", ha.NodeDraining)
	w.wantGuest(101, ha.GuestMigrating, "n2")
	w.wantGuest(102, ha.GuestStarted, "n2") // ParallelMoves is 1
	for _, id := range []ha.VMID{101, 102} {
		g := w.g(id)
		if g.Move == nil || len(g.Holders) != 2 {
			t.Fatalf("guest %+v", g)
		}
		dst := g.Move.Target
		w.says(dst, id, ha.PhaseRunning, "")
		w.run(2)
		if g = w.g(id); g.Node != dst || len(g.Holders) != 2 {
			t.Fatalf("after the move: %+v", g)
		}
		w.says(dst, id, ha.PhaseRunning, "")
		w.says("n2", id, ha.PhaseReleased, "")
		w.run(3)
		w.wantGuest(id, ha.GuestStarted, dst)
		if g = w.g(id); len(g.Holders) != 1 {
			t.Fatalf("source still a holder: %+v", g)
		}
	}
	w.wantNode("n2", ha.NodeMaintenance)
	w.request(ha.RequestUndrain, "n2")
	w.run(3)
	w.wantNode("n2", ha.NodeOnline)
}

func TestMoveThatFailsStaysAndTargetMustRelease(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.request(ha.RequestDrain, "n2")
	w.run(3)
	dst := w.g(101).Move.Target
	w.says("n2", 101, ha.PhaseRunning, "no space on target")
	w.run(2)
	g := w.g(101)
	if g.Node != "n2" || g.Move != nil || len(g.Holders) != 2 || !slices.Contains(g.Excluded, dst) {
		t.Fatalf("guest %+v", g)
	}
	w.die("n2") // now the source dies: the target never said that it holds nothing
	w.run(30)
	w.wantGuest(101, ha.GuestRecovery, "n2")
	w.says(dst, 101, ha.PhaseReleased, "")
	w.run(2)
	w.wantGuest(101, ha.GuestStarting, "")
}

func TestNewLeaderFinishesAFence(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.device["n2-bmc"].lies = true
	w.cut("n2")
	w.run(10)
	w.wantNode("n2", ha.NodeFencing)
	w.term, w.state, w.pending = 77, State{Began: 1}, nil
	w.device["n2-bmc"].lies = false
	w.run(10)
	w.wantNode("n2", ha.NodeFenced)
	if last := w.sent[len(w.sent)-1]; last.Term != 77 {
		t.Fatalf("last command of term %d", last.Term)
	}
}

func TestOperatorFence(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.request(ha.RequestFence, "n2")
	w.run(5)
	w.gossip["n2"] = ha.GossipView{Known: true}
	w.run(15)
	w.wantNode("n2", ha.NodeFenced)
	if len(w.revoked) == 0 {
		t.Fatal("the dead lease was not revoked")
	}
	w.request(ha.RequestFence, self)
	w.run(3)
	w.wantNode(self, ha.NodeOnline)
}

func TestProtectionTakenAwayAndOtherHA(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.report("n2", func(r *ha.NodeReport) { r.Guests[0].Protected, r.Guests[0].Refused = false, "managed by Proxmox HA" })
	w.run(2)
	w.wantGuest(101, ha.GuestFrozen, "n2")
	w.report("n2", func(r *ha.NodeReport) { r.Guests[0].Refused = "" })
	w.run(2)
	if _, ok := w.snapshot().Guests[101]; ok {
		t.Fatal("record kept without protection")
	}
}

func TestManualMoveIsFollowed(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.says("n2", 101, ha.PhaseReleased, "config lies on n3")
	w.report("n2", func(r *ha.NodeReport) { r.Guests = nil })
	w.report("n3", func(r *ha.NodeReport) {
		r.Guests = []ha.GuestSeen{{ID: 101, Kind: ha.QEMU, Protected: true, Running: true}}
	})
	w.run(3)
	if g := w.g(101); g.Node != "n3" || g.Generation != 2 {
		t.Fatalf("guest %+v", g)
	}
}

func TestNewerSchemaIsNotLed(t *testing.T) {
	w := newWorld(t, 2)
	w.put(ha.KeyNode("n2"), ha.NodeRecord{Schema: ha.Schema + 1, Node: "n2", State: ha.NodeOnline})
	w.die("n2")
	rev := w.rev
	w.run(20)
	if w.rev != rev {
		t.Fatal("wrote over records of a newer version")
	}
}

// After an outage of everything the nodes come back one after the other: a fresh leader switches nobody off before a lease's time.
func TestFreshLeaderGivesTheOthersTimeToComeBack(t *testing.T) {
	w := newWorld(t, 3)
	w.run(3)
	w.state = State{}
	w.cut("n2")
	w.run(3)
	if s := w.node("n2").State; s != ha.NodeSuspect {
		t.Fatalf("n2 is %s at once", s)
	}
	w.run(51)
	if s := w.node("n2").State; s != ha.NodeFencing && s != ha.NodeFenced {
		t.Fatalf("n2 is %s after a lease's time", s)
	}
}

// A store that went back gets one new epoch, however long the members take to say that they have seen it.
func TestRollbackRaisesTheEpochOnce(t *testing.T) {
	w := newWorld(t, 3)
	w.run(3)
	was := w.snapshot().Cluster.Rec.Epoch
	w.report("n2", func(r *ha.NodeReport) { r.WentBack = was })
	w.run(20)
	if now := w.snapshot().Cluster.Rec.Epoch; now != was+1 {
		t.Fatalf("epoch %d after %d", now, was)
	}
	w.report("n2", func(r *ha.NodeReport) { r.WentBack = was + 1 }) // it happened again
	w.run(3)
	if now := w.snapshot().Cluster.Rec.Epoch; now != was+2 {
		t.Fatalf("epoch %d, then %d", was+1, now)
	}
}

// A guest that fits on one node only, where its start failed once, is tried there again: nothing else can have it.
func TestAFailedStartIsRepeatedWhereNoOtherNodeMayHaveTheGuest(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	for _, n := range []ha.NodeName{"n1", "n2"} { // all but n3 are too small
		w.report(n, func(r *ha.NodeReport) { r.Memory = 1 << 20 })
	}
	w.run(2)
	w.die("n2")
	w.run(20)
	w.wantGuest(101, ha.GuestStarting, "n3")
	gen := w.g(101).Generation
	w.says("n3", 101, ha.PhaseFailed, "storage busy")
	w.run(30)
	if g := w.g(101); g.Node != "n3" || g.Generation <= gen || g.State != ha.GuestStarting {
		t.Fatalf("%+v", g)
	}
}

// A guest in recovery that somebody moved by hand is taken over where it runs, and its memory is gone for the others.
func TestAGuestFoundRunningTakesItsMemoryFirst(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.guest(102, ha.QEMU, "n2")
	w.report("n1", func(r *ha.NodeReport) { r.Memory = 1 << 20 })
	w.report("n3", func(r *ha.NodeReport) {
		r.Memory = 3 << 29 // room for one of them
		r.Guests = append(r.Guests, ha.GuestSeen{ID: 102, Kind: ha.QEMU, Protected: true, Running: true, Memory: 1 << 30, Storages: []string{"ceph"}})
	})
	w.die("n2")
	w.run(20)
	w.wantGuest(102, ha.GuestStarting, "n3")
	w.wantGuest(101, ha.GuestRecovery, "n2")
}
