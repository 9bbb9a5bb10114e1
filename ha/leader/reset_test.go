package leader

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// resetter is a reset service: it takes resets and shows nothing.
type resetter struct {
	problem string
	perhaps bool
	reads   []ha.Instant
	resets  int
}

func (x *resetter) answer(now ha.Instant, c ha.DeviceCommand) ha.DeviceReading {
	r := ha.DeviceReading{Device: c.Device, Node: c.Node, Incarnation: c.Incarnation, Action: c.Action, Asked: now, Answered: now, Power: ha.PowerUnknown, Problem: x.problem}
	if c.Action == ha.DeviceRead {
		x.reads = append(x.reads, now)
	} else {
		r.Perhaps = x.perhaps && x.problem != ""
	}
	if c.Action == ha.DeviceReset && (x.problem == "" || x.perhaps) {
		x.resets++
	}
	return r
}

// resetWorld is three nodes; n2 has a reset service and nothing else.
func resetWorld(t *testing.T) (*world, *resetter) {
	w := newWorld(t, 3)
	x := &resetter{}
	w.use("n2", ladder.Device{Name: "robot", Kind: ha.ResetDevice}, x)
	w.leader.Plans["n2"].Levels[0] = w.leader.Plans["n2"].Levels[0][:1]
	w.tm.BootTime = time.Minute
	w.run(10)
	w.guest(101, ha.QEMU, "n2")
	return w, x
}

func TestAResetLeadsToANewBoot(t *testing.T) {
	w, x := resetWorld(t)
	w.cut("n2")
	w.run(100)
	w.wantNode("n2", ha.NodeFencing)
	if x.resets != 1 || len(w.node("n2").Proofs) != 0 {
		t.Fatalf("%d resets, proofs %+v", x.resets, w.node("n2").Proofs)
	}
	w.boot("n2", "boot-n2b")
	w.run(1)
	if p := w.node("n2").Proofs; len(p) != 1 || p[0].Kind() != ha.NewBoot || p[0].Incarnation() != boot("n2") {
		t.Fatalf("proofs %+v", p)
	}
	w.run(10)
	w.wantNode("n2", ha.NodeOnline)
	w.wantGuest(101, ha.GuestStarting, "")
	w.run(700) // longer than boot_time
	if x.resets != 1 {
		t.Fatalf("%d resets", x.resets)
	}
}

func TestAResetIsNotSentToABootThatHasJustRegistered(t *testing.T) {
	w, x := resetWorld(t)
	w.cut("n2")
	for range 100 {
		w.run(1)
		w.wantNode("n2", ha.NodeFencing)
		// the next round's view is one registration behind the store
		o := Observation{Wall: time.Unix(1700000000, 0), Self: self, Term: w.term, Deadline: w.now.Add(4 * time.Second), Timing: w.tm, Store: w.snapshot(), Gossip: w.gossip, Corosync: w.coro, Readings: w.pending}
		d := w.leader.Decide(w.now.Add(100*time.Millisecond), w.state, o)
		i := slices.IndexFunc(d.Commits, func(c Commit) bool {
			return slices.ContainsFunc(c.Commands, func(c ha.DeviceCommand) bool { return c.Action == ha.DeviceReset })
		})
		if i < 0 {
			continue
		}
		w.boot("n2", "boot-n2b")
		w.apply(d.Commits[i])
		if f := w.fenceRecord("n2"); x.resets != 0 || f.Told("robot") != 0 {
			t.Fatalf("%d resets of the new boot", x.resets)
		}
		return
	}
	t.Fatal("it was never told")
}

func TestANewLeaderRepeatsNoReset(t *testing.T) {
	for name, x := range map[string]*resetter{"accepted": {}, "its answer was lost": {problem: "no answer", perhaps: true}} {
		t.Run(name, func(t *testing.T) {
			w, y := resetWorld(t)
			w.cut("n2")
			y.problem, y.perhaps = x.problem, x.perhaps
			for range 200 {
				if w.run(1); y.resets > 0 {
					break
				}
			}
			w.takeOver()
			w.run(580)
			if y.resets != 1 {
				t.Fatalf("%d resets", y.resets)
			}
			y.problem = ""
			w.run(50) // and after boot_time by its own clock
			if y.resets != 2 {
				t.Fatalf("%d resets", y.resets)
			}
		})
	}
}

func TestANodeThatIsBackWaitsForItsReset(t *testing.T) {
	w, x := resetWorld(t)
	w.cut("n2")
	for range 200 {
		if w.run(1); x.resets > 0 {
			break
		}
	}
	w.boot("n2", boot("n2")) // the same boot: the service has not carried it out
	w.takeOver()
	w.run(550)
	w.wantNode("n2", ha.NodeFencing)
	if why := w.node("n2").Reason; !strings.Contains(why, "may still come") {
		t.Errorf("says %q", why)
	}
	w.run(100)
	w.wantNode("n2", ha.NodeOnline)
	if x.resets != 1 {
		t.Fatalf("%d resets", x.resets)
	}
}

func TestAResetServiceIsAskedSeldom(t *testing.T) {
	w, x := resetWorld(t)
	check := func() ha.DeviceCheck {
		i := slices.IndexFunc(w.node("n2").Devices, func(c ha.DeviceCheck) bool { return c.Device == "robot" })
		return w.node("n2").Devices[i]
	}
	if c := check(); !c.Identified(boot("n2")) || c.Kind != ha.ResetDevice || c.UUIDMatched {
		t.Fatalf("check %+v", c)
	}
	hour := func() { // a round a second
		for range 3600 {
			w.now = w.now.Add(900 * time.Millisecond)
			w.run(1)
		}
	}
	x.reads = nil
	hour()
	if n := len(x.reads); n < 11 || n > 12 {
		t.Errorf("asked %d times in an hour", n)
	}
	x.problem, x.reads = "unauthorized", nil
	hour()
	if n := len(x.reads); n < 55 || n > 60 {
		t.Errorf("asked %d times in an hour while it fails", n)
	}
	if c := check(); c.Identified(boot("n2")) || c.Problem != "unauthorized" {
		t.Errorf("check %+v", c)
	}
	w.cut("n2")
	w.run(300)
	if x.resets != 0 || !strings.Contains(w.node("n2").Reason, "robot may not be used: unauthorized") {
		t.Errorf("%d resets; %s", x.resets, w.node("n2").Reason)
	}
}

func TestAnOperatorMayHaveAHealthyNodeReset(t *testing.T) {
	w, x := resetWorld(t)
	w.request(ha.RequestFence, "n2")
	w.run(20)
	w.wantNode("n2", ha.NodeFencing)
	if x.resets != 1 {
		t.Fatalf("%d resets", x.resets)
	}
	w.boot("n2", "boot-n2b")
	w.run(20)
	w.wantNode("n2", ha.NodeOnline)
}
