package leader

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// A gossip blip of one round sends a read; its answer comes when the node is healthy again, and nobody takes it: the device counts as
// busy for the rest of the leadership, and the node's real death is never proven nor commanded.
func TestReviewLateAnswerAfterABlipBlocksTheDeviceForEver(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.gossip["n2"] = ha.GossipView{Known: true}
	w.run(1)
	w.gossip["n2"] = ha.GossipView{Known: true, Alive: true}
	w.run(3)
	w.wantNode("n2", ha.NodeOnline)
	w.cut("n2")
	w.run(1200) // two minutes
	if len(w.sent) == 0 {
		t.Fatalf("no command was ever sent to a healthy, identified device; memory %+v, problem %q", w.state.Nodes["n2"].Ladder.Devices["n2-bmc"], w.snapshot().Fences["n2"].Rec.Problem)
	}
}

// "off" readings of an old suspicion, not believed then because gossip answered, prove a death later without any fresh reading.
func TestReviewOffReadingsOfAnOldSuspicionProveNothingLater(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	lease := w.kv[ha.KeyLease("n2")]
	w.del(ha.KeyLease("n2")) // a stall: gossip goes on
	w.device["n2-bmc"].power = ha.PowerOff
	w.run(30)
	w.wantNode("n2", ha.NodeSuspect)
	w.device["n2-bmc"].power = ha.PowerOn
	w.rev++
	lease.ModRev = w.rev
	w.kv[ha.KeyLease("n2")] = lease
	w.run(1200) // two minutes in good health, its device reads "on"
	w.wantNode("n2", ha.NodeOnline)
	w.gossip["n2"] = ha.GossipView{Known: true} // gossip only: the lease stands, the device reads "on"
	w.run(3)
	if n := w.node("n2"); n.State != ha.NodeSuspect {
		t.Fatalf("a living node with its lease and a device that reads on became %s: %s", n.State, n.Reason)
	}
}

// The node registers anew after the leader's look and before its commit: the proof by time must not be stored.
func TestReviewSelfFenceElapsedRestsOnTheLeaseBeingGone(t *testing.T) {
	w := newWorld(t, 3)
	w.report("n2", func(r *ha.NodeReport) { r.Armed, r.WatchdogDriver = true, "lab" })
	w.guest(101, ha.QEMU, "n2")
	w.device["n2-bmc"].problem = "unreachable"
	w.cut("n2")
	w.run(140)
	w.wantNode("n2", ha.NodeFencing)
	for range 20 {
		tm, _ := ha.Profile("normal")
		w.now = w.now.Add(100 * time.Millisecond)
		d := w.leader.Decide(w.now, w.state, Observation{Wall: time.Unix(1700000000, int64(w.now)), Self: self, Term: w.term, Deadline: w.now.Add(4 * time.Second),
			Timing: tm, Store: w.snapshot(), Gossip: w.gossip, Corosync: w.coro, Readings: w.pending})
		w.pending = nil
		w.state = d.State
		for _, c := range d.Reads {
			w.answer(c)
		}
		proof := slices.ContainsFunc(d.Commits, func(c Commit) bool {
			return slices.ContainsFunc(c.Transitions, func(x ha.Transition) bool { return x.To == string(ha.NodeFenced) })
		})
		if proof { // it came back clean, registered, and may start its guests under a valid permit
			armed := w.snapshot().Reports["n2"].Rec
			w.boot("n2", boot("n2"))
			w.report("n2", func(r *ha.NodeReport) { r.Armed, r.WatchdogDriver, r.Guests = true, "lab", armed.Guests })
		}
		for _, c := range d.Commits {
			w.apply(c)
		}
		if proof {
			if n := w.node("n2"); n.State == ha.NodeFenced {
				t.Fatalf("committed although its lease stands again: %s", n.Reason)
			}
			return
		}
	}
	t.Fatal("no proof came")
}

// Protection off and on again starts the generations at 1; a report "released" of the former life then counts for a present holder.
func TestReviewReleaseOfAFormerLifeDoesNotCount(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	for _, n := range []ha.NodeName{"n1", "n3"} { // it once ran there, in generation 7
		w.put(ha.KeyGuestReport(n, 101), ha.GuestReport{Guest: 101, Node: n, Incarnation: boot(n), Generation: 7, Phase: ha.PhaseReleased})
	}
	w.report("n2", func(r *ha.NodeReport) { r.Guests[0].Protected = false })
	w.run(2)
	w.report("n2", func(r *ha.NodeReport) { r.Guests[0].Protected = true })
	w.run(2)
	w.says("n2", 101, ha.PhaseRunning, "")
	w.run(2)
	w.report("n1", func(r *ha.NodeReport) { r.Memory = 1 << 20 })
	w.request(ha.RequestDrain, "n2")
	w.run(3)
	dst := w.g(101).Move.Target // n3
	w.says("n2", 101, ha.PhaseMigrating, "")
	w.report("n1", func(r *ha.NodeReport) { r.Memory = 16 << 30 })
	w.run(2)
	w.die("n2") // in the middle; the target has the guest's process and has said nothing yet
	w.run(30)
	if g := w.g(101); g.State != ha.GuestRecovery {
		t.Fatalf("target %s (generation %d) never spoke about this move, yet the guest is %s on %s in generation %d: %s", dst, 2, g.State, g.Node, g.Generation, g.Reason)
	}
}

// A node that rebooted runs the guest (an operator, pve-guests); the leader must not assign it elsewhere.
func TestReviewGuestThatALivingNodeReportsRunningIsNotAssignedElsewhere(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.boot("n2", "boot-n2b")
	w.report("n2", func(r *ha.NodeReport) {
		r.Guests = []ha.GuestSeen{{ID: 101, Kind: ha.QEMU, Protected: true, Running: true, Memory: 1 << 30, Storages: []string{"ceph"}}}
	})
	w.run(5)
	if g := w.g(101); g.Node != "n2" {
		t.Fatalf("n2 (boot-n2b, registered) reports it running, assigned to %s with config_from %v", g.Node, g.ConfigFrom)
	}
}

// A guest in error that its operator moved and runs by hand on a living node: nobody notices, and when the last assigned node dies it is
// taken from under the running one (claim takes from every node of ConfigFrom).
func TestReviewConfigFromNamesNoLivingNodeThatRunsIt(t *testing.T) {
	w := newWorld(t, 4)
	w.guest(101, ha.QEMU, "n2")
	w.die("n2")
	w.run(20)
	first := w.g(101).Node
	w.says(first, 101, ha.PhaseFailed, "no such volume")
	w.run(3)
	second := w.g(101).Node
	w.says(second, 101, ha.PhaseFailed, "no such volume")
	w.run(3)
	w.wantGuest(101, ha.GuestError, second)
	w.boot("n2", "boot-n2b") // repaired; the operator moves the guest there and starts it
	w.device["n2-bmc"].power = ha.PowerOn
	w.report("n2", func(r *ha.NodeReport) {
		r.Guests = []ha.GuestSeen{{ID: 101, Kind: ha.QEMU, Protected: true, Running: true, Memory: 1 << 30, Storages: []string{"ceph"}}}
	})
	w.run(20)
	if second == self {
		t.Skip("the leader itself")
	}
	w.die(second)
	w.run(40)
	g := w.g(101)
	if g.Node != "n2" && slices.Contains(g.ConfigFrom, "n2") {
		t.Fatalf("%s on %s in generation %d with config_from %v: its agent renames the config away from n2, which lives and runs it, and starts it", g.State, g.Node, g.Generation, g.ConfigFrom)
	}
}

// ConfigFrom outlives the take-over of a stopped guest.
func TestReviewConfigFromEndsWithTheTakeOverOfAStoppedGuest(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.put(ha.KeyGuestReport("n2", 101), ha.GuestReport{Guest: 101, Node: "n2", Incarnation: boot("n2"), Generation: 1, Phase: ha.PhaseStopped, ByOperator: true})
	w.run(2)
	w.wantGuest(101, ha.GuestStopped, "n2")
	w.die("n2")
	w.run(20)
	w.says(w.g(101).Node, 101, ha.PhaseStopped, "")
	w.run(3)
	if g := w.g(101); len(g.ConfigFrom) > 0 {
		t.Fatalf("%s on %s keeps config_from %v: when the operator moves it back to n2 and starts it there, %s renames the config from under it", g.State, g.Node, g.ConfigFrom, g.Node)
	}
}

// A node that ended its guests by itself and is verified clean is not reset (part 5); it must be let in again.
func TestReviewSelfFencedNodeIsLetInAgain(t *testing.T) {
	w := newWorld(t, 3)
	w.report("n2", func(r *ha.NodeReport) { r.Armed, r.WatchdogDriver = true, "lab" })
	w.guest(101, ha.QEMU, "n2")
	w.device["n2-bmc"].problem = "unreachable"
	w.cut("n2")
	w.run(200)
	w.wantNode("n2", ha.NodeFenced)
	w.boot("n2", boot("n2"))
	w.run(100)
	if n := w.node("n2"); n.State == ha.NodeFenced {
		t.Fatalf("revoked %d leases in 10 s, and for ever: %s", len(w.revoked), n.Reason)
	}
}

// R7: a guest that Proxmox's own HA manages stays frozen when its node dies.
func TestReviewGuestOfProxmoxHAIsNotRecovered(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.report("n2", func(r *ha.NodeReport) { r.Guests[0].Protected, r.Guests[0].Refused = false, "managed by Proxmox HA" })
	w.run(2)
	w.wantGuest(101, ha.GuestFrozen, "n2")
	w.die("n2")
	w.run(30)
	w.wantGuest(101, ha.GuestFrozen, "n2")
}

// The identification of a device is lost with a commit that was not stored, and looked for again only two minutes later.
func TestReviewDeviceCheckOutlivesALostCommit(t *testing.T) {
	w := newWorld(t, 3)
	w.boot("n2", "boot-n2b")
	w.run(2) // fenced by NewBoot, let in
	for range 10 {
		if w.node("n2").State == ha.NodeOnline && len(w.pending) > 0 {
			break
		}
		w.run(1)
	}
	saved := map[string]ha.KV{}
	for k, v := range w.kv {
		saved[k] = v
	}
	w.run(1) // the answer is taken, the commit's outcome:
	w.kv = saved
	w.run(600) // a minute
	if i := slices.IndexFunc(w.node("n2").Devices, func(c ha.DeviceCheck) bool { return c.Identified("boot-n2b") }); i < 0 {
		t.Fatalf("a minute later the device is still not identified: %+v", w.node("n2").Devices)
	}
}

// A guest that failed on a node and waits for a place is not frozen with that node's orderly stop: nothing holds it there.
func TestReviewReleasedGuestIsPlacedAlthoughItsLastNodeLeft(t *testing.T) {
	w := newWorld(t, 2)
	w.guest(101, ha.QEMU, "n2")
	for _, n := range []ha.NodeName{"n1", "n2"} { // and it fits nowhere any more
		w.report(n, func(r *ha.NodeReport) { r.Memory = 1 << 20 })
	}
	w.run(1)
	w.says("n2", 101, ha.PhaseFailed, "disk is broken here")
	w.run(2)
	w.wantGuest(101, ha.GuestRecovery, "n2")
	w.report("n2", func(r *ha.NodeReport) { r.Leaving = true; r.Guests = nil })
	w.del(ha.KeyLease("n2"))
	w.gossip["n2"] = ha.GossipView{Known: true, Leaving: true}
	w.run(3)
	w.report("n1", func(r *ha.NodeReport) { r.Memory = 16 << 30 })
	w.run(20)
	w.wantGuest(101, ha.GuestStarting, "n1")
}

// confirm-off while the lease stands: the node proves its life every second.
func TestReviewConfirmOffIsRefusedWhileTheLeaseStands(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.gossip["n2"] = ha.GossipView{Known: true}
	w.run(3)
	w.wantNode("n2", ha.NodeSuspect)
	w.request(ha.RequestConfirmOff, "n2")
	w.run(5)
	if n := w.node("n2"); n.State == ha.NodeFenced && len(w.sent) == 0 {
		t.Fatalf("its lease stands and its device reads on, yet: %s; guest on %s", n.Reason, w.g(101).Node)
	}
}

// A guest whose config lies where no daemon answers: nobody holds it, and nobody is told.
func TestReviewGuestThatNobodyHoldsIsNotShownAsStarted(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.report("n3", func(r *ha.NodeReport) { r.Leaving = true })
	w.del(ha.KeyLease("n3"))
	w.gossip["n3"] = ha.GossipView{Known: true, Leaving: true}
	w.run(3)
	w.report("n2", func(r *ha.NodeReport) { r.Guests = nil }) // moved by hand to n3, whose daemon is stopped
	w.says("n2", 101, ha.PhaseReleased, "")
	w.run(100)
	if g := w.g(101); g.State == ha.GuestStarted && strings.Contains(g.Reason, "runs on") {
		t.Fatalf("n2 released it, yet it is %s: %q", g.State, g.Reason)
	}
}
