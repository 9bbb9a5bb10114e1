package agent

import (
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

func TestDeadNodesGuestRunsElsewhere(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true).lock = "backup"
		w.guest(201, ha.LXC, "n2", true)
		w.startAll()
		w.settle()
		dead := w.inc("n2")
		mark := w.mark()
		w.cutPower("n2")
		took := w.until(12*time.Second, "both guests run elsewhere", func(ha.Snapshot) bool {
			return len(w.where(101)) == 1 && len(w.where(201)) == 1
		})
		t.Logf("recovered %v after the cut", took)
		w.pass(5 * time.Second)
		s := w.snapshot()
		n := s.Nodes["n2"].Rec
		if n.State != ha.NodeFenced || len(n.Proofs) != 1 || n.Proofs[0].Incarnation() != dead || n.Proofs[0].Kind() != ha.PowerOffConfirmed {
			t.Errorf("n2: %s, proofs %+v", n.State, n.Proofs)
		}
		for _, id := range []ha.VMID{101, 201} {
			g := s.Guests[id].Rec
			if g.State != ha.GuestStarted || g.Generation != 2 || !w.runsAlone(id, g.Node) || g.Node == "n2" || len(g.Holders) != 1 {
				t.Errorf("%d: %+v, runs on %v", id, g, w.where(id))
			}
			at := string(g.Node)
			w.order(mark, "wrote node/n2", at+" claimed ", at+" asked: start ", at+" wrote guestreport/"+at)
		}
		if s.Guests[101].Rec.Node == s.Guests[201].Rec.Node {
			t.Error("both guests went to one node")
		}
		if len(w.since(mark, "sends off")) != 0 {
			t.Error("a machine that reads off was switched off")
		}
		if _, alive := s.Leases["n2"]; alive {
			t.Error("the dead node's lease stands")
		}
	})
}

// A node that is cut off still runs: its own guard ends its guests, the leader switches it off, and only then they start elsewhere.
func TestCutOffNodeIsSwitchedOffBeforeItsGuestsStart(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		mark := w.mark()
		w.isolate("n2", true)
		w.until(15*time.Second, "101 runs elsewhere", func(ha.Snapshot) bool { o := w.where(101); return len(o) == 1 && o[0] != "n2" })
		w.order(mark, "wrote fence/n2", "sends off to n2-bmc", "n2 lost power", "claimed 101 from n2", "runs 101 by start")
	})
}

func TestFencedNodeComesBackEmptyHanded(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		w.cutPower("n2")
		w.until(12*time.Second, "101 runs elsewhere", func(ha.Snapshot) bool { return len(w.where(101)) == 1 })
		at := w.where(101)[0]
		w.boot("n2")
		w.start("n2")
		w.until(15*time.Second, "n2 is online again", func(s ha.Snapshot) bool { return s.Nodes["n2"].Rec.State == ha.NodeOnline })
		w.pass(20 * time.Second)
		if !w.runsAlone(101, at) {
			t.Errorf("101 runs on %v, want %s as before", w.where(101), at)
		}
		if n := w.snapshot().Nodes["n2"].Rec; n.Incarnation != w.inc("n2") || len(n.Proofs) != 0 {
			t.Errorf("n2's record: %+v", n)
		}
	})
}

func TestDeadLeaderIsReplacedAndRecovered(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.startAll()
		w.settle()
		if l := w.snapshot().Leader; l.Node != "n1" {
			t.Fatalf("%s leads, this test wants n1", l.Node)
		}
		before := w.snapshot().Term
		w.cutPower("n1")
		w.until(20*time.Second, "101 runs elsewhere", func(ha.Snapshot) bool { return len(w.where(101)) == 1 })
		if s := w.snapshot(); s.Leader == nil || s.Leader.Node == "n1" || s.Term <= before {
			t.Errorf("leader %+v, term %d after %d", s.Leader, s.Term, before)
		}
	})
}

// A device that lies proves nothing: the guests wait, and the record says why and what to do. An operator's word frees them.
func TestWithoutProofNothingIsRecovered(t *testing.T) {
	for name, dev := range map[string]bmc{
		"lies":           {uuid: uuidOf("n2"), lies: true},
		"does not serve": {uuid: uuidOf("n2"), problem: "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			inColdWorld(t, 3, func(w *world) {
				w.guest(101, ha.QEMU, "n2", true)
				w.startAll()
				w.settle()
				w.mu.Lock()
				w.nodes["n2"].bmc = dev
				w.mu.Unlock()
				w.isolate("n2", true)
				w.pass(2 * time.Minute)
				s := w.snapshot()
				if n := s.Nodes["n2"].Rec; n.State != ha.NodeFencing || len(n.Proofs) != 0 || !strings.Contains(n.Reason, "hactl confirm-off n2") {
					t.Errorf("n2: %s (%s), proofs %v", n.State, n.Reason, n.Proofs)
				}
				if g := s.Guests[101].Rec; g.State != ha.GuestFence || g.Node != "n2" || len(w.where(101)) != 0 {
					t.Errorf("101 is %s on %s (%s), runs on %v", g.State, g.Node, g.Reason, w.where(101))
				}
				w.cutPower("n2") // the operator pulls the plug
				q := ha.Request{ID: "r1", Kind: ha.RequestConfirmOff, Node: "n2", Incarnation: w.inc("n2"), By: "ada", At: time.Now()}
				if err := w.agent("n3").Submit(w.ctx, q); err != nil {
					t.Fatal(err)
				}
				w.until(10*time.Second, "101 runs elsewhere", func(ha.Snapshot) bool { return len(w.where(101)) == 1 })
				s = w.snapshot()
				if p := s.Nodes["n2"].Rec.Proofs; len(p) != 1 || p[0].Kind() != ha.OperatorConfirmed || !strings.Contains(p[0].Evidence(), "ada") {
					t.Errorf("proofs %+v", p)
				}
				if len(s.Requests) != 0 {
					t.Error("the request was not taken away")
				}
			})
		})
	}
}

// Without a device the node's own armed watchdog is the proof, after its whole time has passed.
func TestSelfFencingProvesAnArmedNode(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.opts.Plans = nil
		w.guest(101, ha.QEMU, "n2", true)
		w.guarding("n2", func(g *fakeGuard) { g.driver = "iTCO_wdt" })
		w.startAll()
		w.settle()
		w.isolate("n2", true)
		took := w.until(40*time.Second, "101 runs elsewhere", func(ha.Snapshot) bool { o := w.where(101); return len(o) == 1 && o[0] != "n2" })
		tm, _ := ha.Profile("normal")
		if took < tm.LeaseTTL-tm.RenewEvery+tm.SelfFence() {
			t.Errorf("it was recovered after %v, its own watchdog may take %v after its lease's end", took, tm.SelfFence())
		}
		if p := w.snapshot().Nodes["n2"].Rec.Proofs; len(p) != 1 || p[0].Kind() != ha.SelfFenceElapsed {
			t.Errorf("proofs %+v", p)
		}
	})
}

// Everybody cut off from everybody: each node's guard stops its guests, nothing is reset, and all start again by themselves.
func TestDeadSwitchStopsAndStartsEverything(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		for i, n := range w.names {
			w.guest(ha.VMID(101+i), ha.QEMU, n, true)
		}
		w.startAll()
		w.settle()
		mark := w.mark()
		for _, n := range w.names {
			w.isolate(n, true)
		}
		w.pass(30 * time.Second)
		for i := range w.names {
			if on := w.where(ha.VMID(101 + i)); len(on) != 0 {
				t.Errorf("%d runs on %v without a permit", 101+i, on)
			}
		}
		for _, n := range w.names {
			w.isolate(n, false)
		}
		w.until(60*time.Second, "all guests run again", func(ha.Snapshot) bool {
			return len(w.where(101)) == 1 && len(w.where(102)) == 1 && len(w.where(103)) == 1
		})
		if n := len(w.since(mark, "lost power")); n != 0 {
			t.Errorf("%d nodes were reset", n)
		}
	})
}
