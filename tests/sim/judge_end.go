package sim

import (
	"fmt"
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
	j.explain = true
	for _, what := range j.stuck() {
		j.violate("stuck", "%s", what)
	}
}

// stuck lists what is not in order.
func (j *Judge) stuck() []string {
	truth := j.w.store.Truth()
	if truth.Leader == nil {
		return []string{"nobody leads"}
	}
	var out []string
	for _, h := range j.w.machine.Hosts() {
		if !h.spec.Witness {
			out = append(out, j.nodeStuck(h, truth)...)
		}
	}
	for _, g := range j.w.spec.Guests {
		if rec, ok := truth.Guests[g.ID]; ok {
			out = append(out, j.guestStuck(rec.Rec)...)
		} else if g.Protected && j.w.machine.ConfigNode(g.ID) != "" && !j.broken[g.ID] {
			out = append(out, fmt.Sprintf("guest %d is protected and has no record", g.ID))
		}
	}
	return out
}

func (j *Judge) nodeStuck(h *Host, truth *ha.Snapshot) []string {
	rec, ok := truth.Nodes[ha.NodeName(h.Name)]
	if !ok {
		return []string{h.Name + " has no record"}
	}
	if j.w.stopped[h.index] || j.lied[h.Name] {
		return nil
	}
	switch rec.Rec.State {
	case ha.NodeOnline, ha.NodeQuarantined:
		return nil
	case ha.NodeMaintenance, ha.NodeDraining:
		if rec.Rec.Drain {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s is %s: %s", h.Name, rec.Rec.State, rec.Rec.Reason)}
}

// neverStops says whether a guest's process hangs for ever: whether it does its work says nothing about us.
func (j *Judge) neverStops(id ha.VMID) bool {
	return slices.ContainsFunc(j.w.spec.Guests, func(g GuestSpec) bool { return g.ID == id && g.NeverStops })
}

func (j *Judge) revokedFor(id ha.VMID, h *Host) bool {
	return slices.ContainsFunc(j.w.machine.guest(id).disks, func(d *Disk) bool { return d.Revoked(h.Inc()) })
}

func (j *Judge) guestStuck(g ha.GuestRecord) []string {
	h := j.w.machine.Host(string(g.Node))
	switch {
	case g.Requested != ha.RequestedStarted || g.Refused != "" || j.lied[string(g.Node)] || j.neverStops(g.ID):
		return nil
	case g.State == ha.GuestStarted && j.w.machine.Progress(g.ID):
		return nil
	case j.broken[g.ID] && g.State == ha.GuestError: // given up, said loudly
		return nil
	case j.audit.noRoom(g):
		return nil
	case h != nil && j.w.stopped[h.index]:
		return nil
	case h != nil && j.restoredAt != 0 && j.revokedFor(g.ID, h): // the restore has forgotten that it was taken away; the device's check tells its operator
		return nil
	}
	if h != nil && j.w.running(h) && j.explain {
		d := j.w.daemons[h.index]
		j.w.loop.Logf(h.Name, "guest %d here: %+v; lease %+v; peers %+v; epoch %+v", g.ID, d.state.Guests[g.ID], d.state.Lease, d.state.Peers, d.state.Epoch)
	}
	return []string{fmt.Sprintf("guest %d is %s (%s) and runs: %v", g.ID, g.State, g.Reason, j.w.machine.Progress(g.ID))}
}
