package leader

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// slowBMC accepts "off" and takes its time for it; or it answers badly.
type slowBMC struct {
	node   ha.NodeName
	takes  time.Duration
	says   string // problem of each answer to a command
	silent bool   // answers nothing at all to a command
	deaf   bool   // nor to a read
	offAt  ha.Instant
}

func (b *slowBMC) answer(now ha.Instant, c ha.DeviceCommand) ha.DeviceReading {
	r := ha.DeviceReading{Device: c.Device, Node: c.Node, Incarnation: c.Incarnation, Action: c.Action, Asked: now, Answered: now, Power: ha.PowerUnknown, SystemUUID: uuidOf(b.node)}
	switch {
	case c.Action == ha.DeviceRead && b.deaf:
		r.Device = "an answer that is lost"
	case c.Action == ha.DeviceRead:
		r.Power = ha.PowerOn
		if b.offAt != 0 && now >= b.offAt {
			r.Power = ha.PowerOff
		}
	case b.says != "":
		r.Problem = b.says
	case b.silent:
		r.Device = "an answer that is lost"
	case b.offAt == 0:
		b.offAt = now.Add(b.takes)
	}
	return r
}

// slow gives nodes devices that take so long to switch off.
func (w *world) slow(takes time.Duration, nodes ...ha.NodeName) map[ha.NodeName]*slowBMC {
	out := map[ha.NodeName]*slowBMC{}
	if w.other == nil {
		w.other = map[string]interface {
			answer(now ha.Instant, c ha.DeviceCommand) ha.DeviceReading
		}{}
	}
	for _, n := range nodes {
		out[n] = &slowBMC{node: n, takes: takes}
		w.other[string(n)+"-bmc"] = out[n]
	}
	return out
}

// vip is a guest with a priority.
func (w *world) vip(id ha.VMID, n ha.NodeName, priority int) {
	w.guest(id, ha.QEMU, n)
	w.report(n, func(r *ha.NodeReport) { r.Guests[len(r.Guests)-1].Priority = priority })
	w.run(1)
}

func (w *world) voters(percent int, names ...ha.NodeName) {
	w.leader.MinHealthy, w.leader.Voters = percent, names
}

// order lists the nodes in the order in which they were first told to go off.
func (w *world) order() []ha.NodeName {
	var out []ha.NodeName
	for _, c := range w.sent {
		if c.Action == ha.DeviceOff && !slices.Contains(out, c.Node) {
			out = append(out, c.Node)
		}
	}
	return out
}

func TestSoManyNodesAreFencedAtOnceAndTheImportantOnesFirst(t *testing.T) {
	for _, tt := range []struct {
		limit, together int
		order           []ha.NodeName
	}{
		{0, 4, nil},
		{1, 1, []ha.NodeName{"n4", "n3", "n5", "n2"}}, // priorities 9, 5, 0, no guest
		{2, 2, nil},
		{4, 4, nil},
	} {
		t.Run(fmt.Sprintf("limit %d", tt.limit), func(t *testing.T) {
			w := newWorld(t, 7)
			w.leader.MaxConcurrent = tt.limit
			w.vip(103, "n3", 5)
			w.vip(104, "n4", 9)
			w.vip(105, "n5", 0)
			dead := []ha.NodeName{"n2", "n3", "n4", "n5"}
			w.slow(2*time.Second, dead...)
			for _, n := range dead {
				w.cut(n)
			}
			together := 0
			for range 150 {
				w.run(1)
				now := 0
				for _, n := range dead {
					if slices.Contains(w.order(), n) && w.node(n).State == ha.NodeFencing {
						now++
					}
				}
				together = max(together, now)
			}
			for _, n := range dead {
				w.wantNode(n, ha.NodeFenced)
			}
			if together != tt.together {
				t.Errorf("%d nodes were under way at once, want %d", together, tt.together)
			}
			if tt.order != nil && !slices.Equal(w.order(), tt.order) {
				t.Errorf("order %v, want %v", w.order(), tt.order)
			}
		})
	}
}

// Whatever is wrong with the device of the node that has its turn, the next one is not kept waiting for longer than a turn, and the first one
// goes on meanwhile.
func TestABrokenDeviceHoldsUpNoOtherNode(t *testing.T) {
	turn := func(w *world) int { return int(turnTime(w.tm) / (100 * time.Millisecond)) }
	for name, tt := range map[string]struct {
		breaks func(b *slowBMC)
		within func(w *world) int // rounds of 100 ms
	}{
		"refuses":           {func(b *slowBMC) { b.says = "unreachable" }, func(*world) int { return 10 }},
		"lies":              {func(b *slowBMC) { b.takes = time.Hour }, turn},
		"answers are lost":  {func(b *slowBMC) { b.silent = true }, turn},
		"takes half minute": {func(b *slowBMC) { b.takes = 30 * time.Second }, turn},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 5)
			w.leader.MaxConcurrent = 1
			w.vip(102, "n2", 9)
			w.vip(103, "n3", 1)
			tt.breaks(w.slow(time.Second, "n2", "n3")["n2"])
			w.cut("n2")
			w.cut("n3")
			for range 20 {
				if w.run(1); len(w.order()) > 0 {
					break
				}
			}
			if got := w.order(); !slices.Equal(got, []ha.NodeName{"n2"}) {
				t.Fatalf("order %v", got)
			}
			w.run(tt.within(w) + 20)
			w.wantNode("n3", ha.NodeFenced)
			w.wantGuest(103, ha.GuestStarting, "")
			before := len(w.sent)
			w.run(150)
			if name != "takes half minute" && len(w.sent) == before {
				t.Error("n2 is not told to go off any more")
			}
		})
	}
}

// A device that is being read cannot be told anything yet: its node keeps its place in the order, and the others do not flicker meanwhile.
func TestABusyDeviceKeepsItsPlace(t *testing.T) {
	w := newWorld(t, 5)
	w.leader.MaxConcurrent = 1
	w.vip(102, "n2", 1)
	w.vip(103, "n3", 9)
	w.slow(time.Second, "n2", "n3")["n3"].deaf = true
	w.cut("n2")
	w.cut("n3")
	w.run(10)
	rev := w.rev
	w.run(40)
	if w.rev != rev || len(w.order()) != 0 {
		t.Fatalf("%d writes, sent %v", w.rev-rev, w.sent)
	}
	w.run(250)
	if got := w.order(); !slices.Equal(got, []ha.NodeName{"n3", "n2"}) {
		t.Fatalf("order %v", got)
	}
}

// A walk that waits for time or a person has no turn.
func TestWhoOnlyWaitsTakesNoTurn(t *testing.T) {
	w := newWorld(t, 5)
	w.leader.MaxConcurrent = 1
	w.leader.Plans["n2"] = ladder.Plan{Levels: [][]ladder.Device{{{Name: "manual"}}}}
	w.vip(102, "n2", 9)
	w.vip(103, "n3", 1)
	w.cut("n2")
	w.cut("n3")
	w.run(20)
	w.wantNode("n2", ha.NodeFencing)
	w.wantNode("n3", ha.NodeFenced)
}

// A fence in progress survives its leader, and counts for the next one.
func TestTheNextLeaderGoesOnWithWhatHasBegun(t *testing.T) {
	w := newWorld(t, 5)
	w.leader.MaxConcurrent = 1
	w.vip(103, "n3", 9)
	w.slow(4*time.Second, "n2", "n3")
	w.cut("n2")
	w.run(10)
	w.term, w.state, w.pending = 77, State{Began: 1}, nil
	w.cut("n3")
	w.run(12)
	if got := w.order(); !slices.Equal(got, []ha.NodeName{"n2"}) {
		t.Fatalf("order %v", got)
	}
	if p := w.node("n3").Reason; !strings.Contains(p, "waits for its turn (max_concurrent 1): now n2") {
		t.Fatalf("reason %q", p)
	}
	w.run(100)
	w.wantNode("n2", ha.NodeFenced)
	w.wantNode("n3", ha.NodeFenced)
}

func TestTooFewHealthyVoters(t *testing.T) {
	for _, tt := range []struct {
		percent int
		voters  int
		dead    int
		acts    bool
	}{
		{51, 3, 1, true}, {51, 5, 2, true}, {51, 5, 3, false}, {51, 4, 1, true}, {51, 4, 2, false}, {67, 3, 1, false}, {60, 5, 2, true}, {61, 5, 2, false},
		{100, 5, 1, false}, {0, 5, 4, true},
	} {
		t.Run(fmt.Sprintf("%d percent, %d of %d dead", tt.percent, tt.dead, tt.voters), func(t *testing.T) {
			w := newWorld(t, 5)
			var names []ha.NodeName
			for i := range tt.voters {
				names = append(names, ha.NodeName(fmt.Sprintf("n%d", i+1)))
			}
			w.voters(tt.percent, names...)
			for _, n := range names[1 : 1+tt.dead] {
				w.cut(n)
			}
			w.run(100)
			state := ha.NodeFencing
			if tt.acts {
				state = ha.NodeFenced
			}
			w.wantNode("n2", state)
			if got := len(w.order()); tt.acts != (got == tt.dead) || !tt.acts && got > 0 {
				t.Errorf("sent %v", w.sent)
			}
		})
	}
}

// A store elsewhere is one more voter, as a witness would be: it is there as long as anybody leads.
func TestAStoreElsewhereIsAVoter(t *testing.T) {
	for _, tt := range []struct {
		percent, members, dead int
		acts                   bool
	}{{51, 2, 1, true}, {51, 3, 1, true}, {51, 3, 2, false}, {51, 4, 2, true}, {51, 5, 3, false}, {67, 2, 1, false}, {100, 3, 1, false}} {
		t.Run(fmt.Sprintf("%d percent, %d of %d dead", tt.percent, tt.dead, tt.members), func(t *testing.T) {
			w := newWorld(t, tt.members)
			var names []ha.NodeName
			for i := range tt.members {
				names = append(names, ha.NodeName(fmt.Sprintf("n%d", i+1)))
			}
			w.voters(tt.percent, names...)
			w.leader.Elsewhere = true
			for _, n := range names[1 : 1+tt.dead] {
				w.cut(n)
			}
			w.run(100)
			if got := w.node("n2"); (got.State == ha.NodeFenced) != tt.acts || !tt.acts && len(w.order()) > 0 {
				t.Errorf("n2 is %s (%s), sent %v", got.State, got.Reason, w.sent)
			}
		})
	}
}

// Hundreds of guests of one node change at once: each transaction is one that the store takes (world.apply looks).
func TestManyGuestsFitTheStoresTransactions(t *testing.T) {
	w := newWorld(t, 3)
	for i := range 300 {
		w.guest(ha.VMID(1000+i), ha.QEMU, "n2")
	}
	w.run(20)
	w.cut("n2")
	w.run(100)
	w.wantNode("n2", ha.NodeFenced)
}

// Of a voter that is a witness the lease and gossip count, too.
func TestAWitnessIsAVoter(t *testing.T) {
	for _, up := range []bool{true, false} {
		w := newWorld(t, 3)
		w.leader.Members[2].Witness = true
		w.voters(51, "n1", "n2", "n3")
		w.cut("n2")
		if !up {
			w.cut("n3")
		}
		w.run(50)
		if got := w.node("n2").State; (got == ha.NodeFenced) != up {
			t.Errorf("witness up: %v; n2 is %s (%s)", up, got, w.node("n2").Reason)
		}
	}
}

// fewVoters is a world in which n2 and n3 are silent and four of five voters are needed.
func fewVoters(t *testing.T) *world {
	w := newWorld(t, 5)
	w.voters(80, "n1", "n2", "n3", "n4", "n5")
	w.guest(102, ha.QEMU, "n2")
	w.guest(103, ha.QEMU, "n3")
	w.cut("n2")
	w.cut("n3")
	w.run(100)
	w.wantNode("n2", ha.NodeFencing)
	w.wantNode("n3", ha.NodeFencing)
	if len(w.sent) != 0 {
		t.Fatalf("sent %v", w.sent)
	}
	if p := w.node("n2").Reason; !strings.Contains(p, "fencing of n2 waits: 3 of 5 voters healthy, 4 needed (min_healthy 80 %); hactl fence n2 overrides") {
		t.Fatalf("reason %q", p)
	}
	return w
}

func TestProofsThatNeedNoCommandCountWhileFencingWaits(t *testing.T) {
	for name, happens := range map[string]func(w *world){
		"its power reads off": func(w *world) { w.device["n2-bmc"].power = ha.PowerOff },
		"confirm-off":         func(w *world) { w.request(ha.RequestConfirmOff, "n2") },
		"a new boot":          func(w *world) { w.boot("n2", "boot-n2b") },
		"W has passed": func(w *world) {
			w.report("n2", func(r *ha.NodeReport) { r.Armed, r.WatchdogDriver = true, "iTCO_wdt" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := fewVoters(t)
			happens(w)
			w.run(100)
			if g := w.g(102); g.State != ha.GuestStarting || g.Generation < 2 {
				t.Fatalf("guest %+v; n2 is %s (%s)", g, w.node("n2").State, w.node("n2").Reason)
			}
			if slices.Contains(w.order(), "n2") {
				t.Fatalf("sent %v", w.sent)
			}
		})
	}
}

func TestWhatEndsTheWaitForVoters(t *testing.T) {
	for name, tt := range map[string]struct {
		happens func(w *world)
		n2, n3  ha.NodeState
		sent    []ha.NodeName
	}{
		"an operator": {func(w *world) { w.request(ha.RequestFence, "n2") }, ha.NodeFenced, ha.NodeFencing, []ha.NodeName{"n2"}},
		"n3 is back":  {func(w *world) { w.boot("n3", boot("n3")) }, ha.NodeFenced, ha.NodeOnline, []ha.NodeName{"n2"}},
		"both are back": {func(w *world) {
			w.boot("n2", boot("n2"))
			w.boot("n3", boot("n3"))
		}, ha.NodeOnline, ha.NodeOnline, nil},
		"nothing": {func(*world) {}, ha.NodeFencing, ha.NodeFencing, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := fewVoters(t)
			tt.happens(w)
			w.run(100)
			w.wantNode("n2", tt.n2)
			w.wantNode("n3", tt.n3)
			if got := w.order(); !slices.Equal(got, tt.sent) {
				t.Errorf("told to go off: %v, want %v", got, tt.sent)
			}
		})
	}
}

// The level's time begins when the walk may begin.
func TestWaitingUsesUpNoLevel(t *testing.T) {
	w := fewVoters(t)
	w.run(700)
	if l := w.snapshot().Fences["n2"].Rec.Level; l != 0 {
		t.Fatalf("level %d", l)
	}
}

func TestAFenceInProgressIsNotInterrupted(t *testing.T) {
	w := newWorld(t, 5)
	w.voters(80, "n1", "n2", "n3", "n4", "n5")
	w.slow(time.Hour, "n2")
	w.cut("n2")
	w.run(10)
	w.cut("n3")
	before := len(w.sent)
	if before == 0 {
		t.Fatal("n2 is not being fenced")
	}
	w.run(250)
	if len(w.sent) == before || !slices.Equal(w.order(), []ha.NodeName{"n2"}) {
		t.Fatalf("sent %v", w.sent)
	}
}

// An operator's fence waits for no turn either.
func TestAnOperatorsFenceHasNoTurnToWaitFor(t *testing.T) {
	w := newWorld(t, 5)
	w.leader.MaxConcurrent = 1
	w.slow(10*time.Second, "n2", "n3")
	w.cut("n2")
	w.run(10)
	w.request(ha.RequestFence, "n3")
	w.run(5)
	if got := w.order(); !slices.Equal(got, []ha.NodeName{"n2", "n3"}) {
		t.Fatalf("order %v", got)
	}
}

func TestPriorityDelay(t *testing.T) {
	for name, tt := range map[string]struct {
		priorities [3]int // of the guests on n1, n2, n3; -1: none
		delayed    bool
	}{
		"the most important guest":    {[3]int{1, 5, 2}, true},
		"a tie":                       {[3]int{5, 5, 2}, false},
		"unimportant":                 {[3]int{5, 1, 2}, false},
		"the only guests":             {[3]int{-1, 0, -1}, true},
		"no guests anywhere":          {[3]int{-1, -1, -1}, false},
		"guests of priority 0 on all": {[3]int{0, 0, 0}, false},
		"guests on another node only": {[3]int{-1, -1, 3}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.leader.PriorityDelay = 10 * time.Second
			for i, p := range tt.priorities {
				if p >= 0 {
					w.vip(ha.VMID(101+i), ha.NodeName(fmt.Sprintf("n%d", i+1)), p)
				}
			}
			w.cut("n2")
			w.run(50)
			if tt.delayed {
				w.wantNode("n2", ha.NodeSuspect)
				if r := w.node("n2").Reason; !strings.Contains(r, "waits 10s longer: its guests are the most important ones (priority_delay); hactl fence n2 overrides") {
					t.Errorf("reason %q", r)
				}
				w.run(70)
			}
			w.wantNode("n2", ha.NodeFenced)
		})
	}
}

// The delay holds up commands alone: who comes back is left in peace, an "off" is a proof at once, an operator waits for nothing.
func TestPriorityDelayHoldsUpNothingElse(t *testing.T) {
	for name, tt := range map[string]struct {
		happens func(w *world)
		state   ha.NodeState
		sent    int
	}{
		"it comes back":       {func(w *world) { w.boot("n2", boot("n2")) }, ha.NodeOnline, 0},
		"its power reads off": {func(w *world) { w.device["n2-bmc"].power = ha.PowerOff }, ha.NodeFenced, 0},
		"an operator":         {func(w *world) { w.request(ha.RequestFence, "n2") }, ha.NodeFenced, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.leader.PriorityDelay = time.Hour
			w.vip(102, "n2", 7)
			w.cut("n2")
			w.run(100)
			w.wantNode("n2", ha.NodeSuspect)
			tt.happens(w)
			w.run(30)
			w.wantNode("n2", tt.state)
			if len(w.sent) != tt.sent {
				t.Errorf("sent %v", w.sent)
			}
		})
	}
}
