package leader

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// FenceLimits bounds what the leader does to machines on its own: how many at once, and while how many of the voters are healthy. They hold
// up commands to devices only, and only the first one of a fencing: reading power, and all proofs that need no command, go on, a fencing that
// has begun is never interrupted, and one that an operator asked for (hactl fence) waits for nothing.
type FenceLimits struct {
	MaxConcurrent int           // nodes whose devices are told something at once; 0: any number
	MinHealthy    int           // percent of Voters that must be healthy; 0: any number
	Voters        []ha.NodeName // the members that keep the store, witness included; all members when the store is elsewhere
	Elsewhere     bool          // the store is not on members: it counts as one more voter, and a healthy one, for whoever leads has it
	PriorityDelay time.Duration // extra wait before the fencing of the node whose guests are the most important ones
}

// turnTime is how long what a device was told may go without an effect before the next node has its turn: the answer, and the time after
// which the device is told again.
func turnTime(t ha.Timing) time.Duration { return t.DeviceTimeout + 10*t.OffReadGap }

// asking is a node being fenced that wants to tell a device something for the first time, and the step that does if nothing holds it up.
type asking struct {
	node ha.NodeName
	step ladder.Output
}

// handOut lets fencings begin that want to tell a device something for the first time: those with the more important guests first, because
// theirs wait, then those that have waited longer. The others go on looking and say what they wait for.
func (r *round) handOut() {
	if len(r.waiting) == 0 {
		return
	}
	weight := map[ha.NodeName]int{}
	for _, w := range r.waiting {
		weight[w.node] = r.importance(w.node)
	}
	slices.SortStableFunc(r.waiting, func(x, y asking) int {
		a, b := x.node, y.node
		return cmp.Or(cmp.Compare(weight[b], weight[a]), r.fences[a].Since.Compare(r.fences[b].Since), cmp.Compare(a, b))
	})
	busy := r.underWay()
	few := r.tooFew()
	for _, w := range r.waiting {
		n, held := w.node, ""
		switch {
		case few != "":
			held = fmt.Sprintf("fencing of %s waits: %s; hactl fence %s overrides", n, few, n)
		case r.MaxConcurrent > 0 && len(busy) >= r.MaxConcurrent:
			held = fmt.Sprintf("fencing of %s waits for its turn (max_concurrent %d): now %s", n, r.MaxConcurrent, strings.Join(busy, ", "))
		default:
			busy = append(busy, string(n))
		}
		rec, mem, f := r.nodes[n], r.state.Nodes[n], r.fences[n]
		if held != "" { // it goes on looking, which is another step
			in := r.input(rec, &mem, f)
			in.Facts.Held = held
			w.step = ladder.Step(in)
		}
		r.walked(rec, &mem, f, w.step)
		r.state.Nodes[n] = mem
	}
}

// underWay are the nodes that have their turn: a command to one of their devices is on its way or its effect is waited for, for at most
// turnTime. Whoever only waits gives the turn away and goes on beside the others: no broken device holds up another node's fencing.
func (r *round) underWay() []string {
	var out []string
	for _, n := range sorted(r.nodes) {
		mem, f := r.state.Nodes[n], r.fences[n]
		if r.nodes[n].State != ha.NodeFencing || !ladder.Begun(f) {
			continue
		}
		until := cmp.Or(mem.Turn, r.now).Add(turnTime(r.Timing))
		if r.now < until && ladder.UnderWay(r.Plans[n], f, mem.Ladder) {
			out = append(out, string(n))
			r.wakeAt(until)
		}
	}
	return out
}

// tooFew says that fewer voters are healthy than the leader may switch machines off with; empty when there are enough. A majority that does
// not answer is rather our own view that is wrong.
func (r *round) tooFew() string {
	voters := r.Voters
	if r.Etcd.known(r.now) { // others than configured, once one was replaced
		voters = r.Etcd.Voters
	}
	healthy, all, who := 0, len(voters), "voters"
	if r.Elsewhere {
		healthy, all, who = 1, all+1, "members (the external store counts as one)"
	}
	for _, v := range voters {
		if _, held := r.Store.Leases[v]; held && (r.Gossip[v].Alive || v == r.Self) {
			healthy++
		}
	}
	need := (r.MinHealthy*all + 99) / 100
	if healthy >= need {
		return ""
	}
	return fmt.Sprintf("%d of %d %s healthy, %d needed (min_healthy %d %%)", healthy, all, who, need, r.MinHealthy)
}

// held says whether a node's fencing has not begun: then an operator's word makes it begin.
func (r *round) held(rec *ha.NodeRecord) bool {
	f := r.fences[rec.Node]
	return f != nil && f.Incarnation == rec.Incarnation && f.Operator == "" && !ladder.Begun(f)
}

// importance is the highest priority of the guests that a node's recorded boot should run, -1 without any: many unimportant guests do not
// outweigh an important one, as in recovery.
func (r *round) importance(n ha.NodeName) int {
	most := -1
	rec := r.nodes[n]
	for _, id := range sorted(r.guests) {
		if g := r.guests[id]; rec != nil && g.Node == n && g.Incarnation == rec.Incarnation && g.Requested == ha.RequestedStarted {
			most = max(most, g.Priority)
		}
	}
	return most
}

// priorityDelay is the extra wait before a node is fenced whose guests are more important than those of every other node; with a tie nobody
// waits. The node is suspect meanwhile: it may come back, and its power is read.
func (r *round) priorityDelay(n ha.NodeName) time.Duration {
	if r.PriorityDelay == 0 {
		return 0
	}
	own := r.importance(n)
	for _, m := range r.Members {
		if m.Name != n && r.importance(m.Name) >= own {
			return 0
		}
	}
	return r.PriorityDelay
}
