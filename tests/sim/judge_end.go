package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// Result is what one run showed.
type Result struct {
	Seed        uint64
	Hash        uint64
	Violations  []Violation
	Faults      int
	Kinds       []string
	Starts      int
	Recoveries  int
	Fences      int // machines ended by a device or a watchdog
	Fenced      int // incarnations proven dead
	FalseFences int // machines that worked, ended for a reason that a fault gave
	Deputies    int
	Promises    int
	Stopped     int                        // guests that stood still at the end without being asked to
	RTO         map[string][]time.Duration // by kind of proof
	NodeTime    time.Duration              // simulated, of all nodes
	Steps       int
	Rounds      int
}

// result is the finding of a run that has ended.
func (j *Judge) result() Result {
	r := j.res
	r.Seed, r.Hash, r.Violations = j.w.spec.Seed, j.w.loop.Hash(), j.violations
	for k := range j.kinds {
		r.Kinds = append(r.Kinds, k)
	}
	slices.Sort(r.Kinds)
	r.NodeTime = j.w.loop.Now() * time.Duration(len(j.w.spec.Hosts))
	r.Steps, r.Rounds = j.w.steps, j.w.rounds
	return r
}

// end judges the world when the faults have been over for the settling time: every protected guest with a place runs, nothing is stuck.
func (j *Judge) end() {
	truth := j.w.store.Truth()
	if truth.Leader == nil {
		j.violate("stuck", "nobody leads")
		return
	}
	for _, h := range j.w.machine.Hosts() {
		if !h.spec.Witness {
			j.nodeInOrder(h, truth)
		}
	}
	for _, g := range j.w.spec.Guests {
		if rec, ok := truth.Guests[g.ID]; ok {
			j.guestInOrder(rec.Rec)
		} else if g.Protected && j.w.machine.ConfigNode(g.ID) != "" && !j.broken[g.ID] {
			j.violate("stuck", "guest %d is protected and has no record", g.ID)
		}
	}
}

func (j *Judge) nodeInOrder(h *Host, truth *ha.Snapshot) {
	rec, ok := truth.Nodes[ha.NodeName(h.Name)]
	if !ok {
		j.violate("stuck", "%s has no record", h.Name)
		return
	}
	if j.w.stopped[h.index] || j.lied[h.Name] {
		return
	}
	switch rec.Rec.State {
	case ha.NodeOnline, ha.NodeQuarantined:
	case ha.NodeMaintenance, ha.NodeDraining:
		if !rec.Rec.Drain {
			j.violate("stuck", "%s is %s: %s", h.Name, rec.Rec.State, rec.Rec.Reason)
		}
	default:
		j.violate("stuck", "%s is %s: %s", h.Name, rec.Rec.State, rec.Rec.Reason)
	}
}

func (j *Judge) guestInOrder(g ha.GuestRecord) {
	if g.Requested != ha.RequestedStarted || g.Refused != "" || j.lied[string(g.Node)] {
		return
	}
	if g.State == ha.GuestStarted && j.w.machine.Progress(g.ID) {
		return
	}
	if j.broken[g.ID] && g.State == ha.GuestError { // given up, said loudly
		return
	}
	if h := j.w.machine.Host(string(g.Node)); h != nil && j.w.stopped[h.index] {
		return
	}
	j.violate("stuck", "guest %d is %s (%s) and runs: %v", g.ID, g.State, g.Reason, j.w.machine.Progress(g.ID))
}
