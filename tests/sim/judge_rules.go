package sim

import (
	"slices"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
	"bascule/ha/node"
)

// applied looks at every write of the store.
func (j *Judge) applied(a Applied) {
	if a.Op == "restore" {
		j.restoredAt = a.At
	}
	old := j.rev
	j.rev = a.Rev
	switch {
	case a.Op == "restore" && a.Rev > old: // by the procedure: a new epoch
		j.mustEpoch = j.w.store.Truth().Cluster.Rec.Epoch
	case a.Op == "restore" && a.Rev < old: // overwritten; else the copy is what there was
		j.mustEpoch = max(j.mustEpoch, j.guestEpoch()+1)
	}
	if a.Txn == nil {
		j.refreshGuests()
		return
	}
	truth := j.w.store.Truth()
	rests := slices.ContainsFunc(a.Txn.Guards, func(g ha.Guard) bool { return g.Key == ha.KeyCluster })
	for _, p := range a.Txn.Puts {
		if rests && strings.HasPrefix(p.Key, ha.PrefixGuestReport) { // the last verification before a start, by its transaction
			j.announced[p.Key] = j.w.loop.Now()
		}
		j.saysDisarmed(p.Key, truth)
		if n, ok := strings.CutPrefix(p.Key, ha.PrefixNode); ok && truth.Nodes[ha.NodeName(n)].Rec.State != j.states[ha.NodeName(n)] {
			j.states[ha.NodeName(n)], j.stateAt[ha.NodeName(n)] = truth.Nodes[ha.NodeName(n)].Rec.State, j.w.loop.Now()
		}
		j.w.loop.MixBytes(p.Value)
		if leaderOwned(p.Key) && (a.Term == 0 || a.Term != truth.Term) {
			j.violate("R4", "%s wrote %s under term %d, the leader's is %d", a.By, p.Key, a.Term, truth.Term)
		}
	}
	for _, k := range a.Txn.Dels {
		j.fenceOver(k)
		if leaderOwned(k) && (a.Term == 0 || a.Term != truth.Term) {
			j.violate("R4", "%s removed %s under term %d, the leader's is %d", a.By, k, a.Term, truth.Term)
		}
	}
	j.refreshGuests()
}

// guestEpoch is the epoch of the records as they were before the last write.
func (j *Judge) guestEpoch() ha.Epoch {
	var e ha.Epoch
	for _, g := range j.w.spec.Guests {
		e = max(e, j.guests[g.ID].Epoch)
	}
	return e
}

func leaderOwned(key string) bool {
	for _, p := range []string{ha.PrefixNode, ha.PrefixGuest, ha.PrefixFence, ha.KeyCluster} {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

// refreshGuests compares the guests' records with the last ones: R1 and R3 at the moment of the assignment.
func (j *Judge) refreshGuests() {
	truth := j.w.store.Truth()
	for _, g := range j.w.spec.Guests {
		v, ok := truth.Guests[g.ID]
		old, had := j.guests[g.ID]
		if !ok {
			delete(j.guests, g.ID)
			continue
		}
		if had && v.Rec.Generation == old.Generation && len(v.Rec.Holders) == len(old.Holders) {
			j.guests[g.ID] = v.Rec
			continue
		}
		if had && v.Rec.Epoch == old.Epoch && v.Rec.Generation >= old.Generation {
			j.assigned(old, v.Rec)
		}
		j.guests[g.ID] = v.Rec
	}
}

// assigned is R3: whoever is dropped as a holder is proven or has released, on paper and in truth; and a newcomer gets the guest only
// when that is so for all.
func (j *Judge) assigned(old, rec ha.GuestRecord) {
	newcomer := !slices.ContainsFunc(old.Holders, func(h ha.Holder) bool { return h.Node == rec.Node && h.Incarnation == rec.Incarnation })
	for _, h := range old.Holders {
		stays := slices.ContainsFunc(rec.Holders, func(o ha.Holder) bool { return o.Node == h.Node && o.Incarnation == h.Incarnation })
		if stays && !newcomer {
			continue
		}
		if !j.covered(h, old) && !j.lied[string(h.Node)] {
			j.violate("R3", "guest %d goes from %s to %s (generation %d) although holder %s (boot %s) is neither proven nor has released it", rec.ID, old.Node, rec.Node, rec.Generation, h.Node, h.Incarnation)
			return
		}
		for _, w := range j.w.machine.Writers(rec.ID) {
			justMoved := j.byHand[rec.ID] && j.w.loop.Now()-j.began[rec.ID] < 2*time.Second // by an operator, after its holder had released it
			if w.Host == string(h.Node) && w.Inc == h.Incarnation && !j.lied[w.Host] && !j.givenBack(w.Inc) && !stays && w.Host != string(rec.Node) && !justMoved {
				j.violate("R3", "guest %d is assigned to %s while holder %s (boot %s) can still write", rec.ID, rec.Node, h.Node, h.Incarnation)
				return
			}
		}
	}
}

func (j *Judge) covered(h ha.Holder, g ha.GuestRecord) bool {
	truth := j.w.store.Truth()
	for _, p := range truth.Nodes[h.Node].Rec.Proofs {
		if p.Covers(h, g.Storages) {
			return true
		}
	}
	rep, ok := truth.GuestReports[h.Node][g.ID]
	return ok && rep.Rec.Incarnation == h.Incarnation && rep.Rec.Generation >= h.Generation && rep.Rec.Phase.Gone()
}

// commands is R4 and R3 for devices: only the current term, only after its intent is stored, only off and on (and what takes access
// away, or resets where nothing else is known), on only for a node that is fenced.
func (j *Judge) commands(d *Daemon, c ha.DeviceCommand) {
	truth := j.w.store.Truth()
	f, ok := truth.Fences[c.Node]
	j.audit.tells(c)
	switch {
	case c.Term != truth.Term && j.mustEpoch == 0:
		j.violate("R4", "%s sends %q to %s under term %d, the leader's is %d", d.h.Name, c.Action, c.Device, c.Term, truth.Term)
	case c.Deadline > d.state.Lease.Leased || d.now().Add(c.Timeout) >= d.state.Lease.Leased:
		j.violate("R4", "%s sends %q to %s with too little of its leadership left", d.h.Name, c.Action, c.Device)
	case c.Action != ha.DeviceOff && c.Action != ha.DeviceOn && c.Action != ha.DeviceRevoke && c.Action != ha.DeviceRestore && c.Action != ha.DevicePoison &&
		!(c.Action == ha.DeviceReset && j.w.machine.Device(c.Device).Spec().Kind == ha.ResetDevice):
		j.violate("R4", "%s sends %q to %s: there is no such command", d.h.Name, c.Action, c.Device)
	case c.Action == ha.DeviceRestore && j.stillThere(c):
		j.violate("R3", "%s has %s give access back to boot %s of %s, which is there", d.h.Name, c.Device, c.Incarnation, c.Node)
	case c.Action == ha.DeviceOn && truth.Nodes[c.Node].Rec.State != ha.NodeFenced:
		j.violate("R4", "%s switches %s on, which is %s", d.h.Name, c.Node, truth.Nodes[c.Node].Rec.State)
	case c.Action == ha.DeviceOn && (f.Rec.Incarnation != c.Incarnation || !slices.Contains(f.Rec.SwitchedOn, c.Device)) && j.mustEpoch == 0:
		j.violate("R4", "%s switches %s (boot %s) on with %s although no intent is stored", d.h.Name, c.Node, c.Incarnation, c.Device)
	case c.Action != ha.DeviceOn && (!ok || f.Rec.Incarnation != c.Incarnation || !slices.Contains(f.Rec.Commanded, c.Device)) && j.mustEpoch == 0:
		j.violate("R4", "%s sends %q to %s for %s (boot %s) although no intent is stored", d.h.Name, c.Action, c.Device, c.Node, c.Incarnation)
	}
	j.resets(d, c)
}

// stillThere says whether the boot that a command is about has not ended, in truth.
func (j *Judge) stillThere(c ha.DeviceCommand) bool {
	h := j.w.machine.Host(string(c.Node))
	return h.Booted() && h.Inc() == c.Incarnation && !j.lied[h.Name]
}

// revokes is R3's "exactly that lease": a lease is revoked only of an incarnation that the record proves.
func (j *Judge) revokes(d *Daemon, id ha.LeaseID, _ leader.Commit) {
	truth := j.w.store.Truth()
	for _, n := range j.w.spec.memberNames() {
		l, ok := truth.Leases[n]
		if !ok || l.Rec.Lease != id {
			continue
		}
		proven := slices.ContainsFunc(truth.Nodes[n].Rec.Proofs, func(p ha.Proof) bool { return p.Incarnation() == l.Rec.Incarnation })
		if !proven && j.mustEpoch == 0 {
			j.violate("R3", "%s revokes the lease of %s (boot %s), which nothing proves dead", d.h.Name, n, l.Rec.Incarnation)
		}
	}
}

// deputyRevokes: a deputy ends the lease only of a leader that is really off.
func (j *Judge) deputyRevokes(d *Daemon, f node.RevokeLease) {
	j.res.Deputies++
	l, ok := j.w.store.Truth().Leases[f.Node]
	h := j.w.machine.Host(string(f.Node))
	if ok && l.Rec.Lease == f.ID && h.On() && h.Inc() == l.Rec.Incarnation && !j.lied[h.Name] {
		j.violate("R3", "%s, as its deputy, revokes the lease of %s, which is on", d.h.Name, f.Node)
	}
	if d.state.Quiet(d.now()) {
		j.violate("part5", "%s acts as a deputy in its quiet time", d.h.Name)
	}
}

// step looks at what an agent begins: R2, R5, R7, R8.
func (j *Judge) step(d *Daemon, f node.Do) {
	switch f.Step {
	case node.StepStart, node.StepMigrate:
		j.begins(d, f)
	case node.StepUnlock:
		if at := j.w.machine.ConfigNode(f.Guest); at != d.h.Name && !d.state.Guests[f.Guest].Seen.ConfigHere {
			j.violate("R5", "%s clears a lock of guest %d, whose config lies under %s", d.h.Name, f.Guest, at)
		}
	case node.StepClaim, node.StepStop, node.StepKill, node.StepOnboot:
		j.leftAlone(d, f)
	}
}

func (j *Judge) begins(d *Daemon, f node.Do) {
	truth := j.w.store.Truth()
	rec, own := truth.Guests[f.Guest].Rec, truth.Nodes[d.self].Rec
	j.leftAlone(d, f)
	quiet := d.w.spec.Timing.LeaseTTL + d.w.spec.Timing.DriftMargin
	switch {
	case d.p.clock.World(quiet) > d.w.loop.Now()-d.started+2*time.Millisecond:
		j.violate("part5", "%s begins %s of guest %d %v after its start", d.h.Name, f.Step, f.Guest, d.w.loop.Now()-d.started)
	case f.Step == node.StepStart && own.Incarnation == d.cfg.Incarnation && (own.State == ha.NodeFencing || own.State == ha.NodeFenced) && j.w.loop.Now()-j.stateAt[d.self] > time.Second && !j.announcedBefore(d, f.Guest):
		j.violate("R5", "%s begins %s of guest %d, and is %s", d.h.Name, f.Step, f.Guest, own.State)
	case d.now() >= d.state.Lease.Leased || d.now() >= d.state.Lease.Deadline: // not by the shipped words for it, which a mutant may have
		j.violate("R2", "%s begins %s of guest %d without a permit of its lease", d.h.Name, f.Step, f.Guest)
	case d.state.Quiet(d.now()):
		j.violate("part5", "%s begins %s of guest %d in its quiet time", d.h.Name, f.Step, f.Guest)
	case j.underWay(d, f.Guest): // its epoch is not taken note of before it has ended
	case f.Record.Epoch < j.mustEpoch:
		j.violate("R8", "%s begins %s of guest %d by an assignment of epoch %d, after the store was restored", d.h.Name, f.Step, f.Guest, f.Record.Epoch)
	case rec.Node != d.self || rec.Incarnation != d.cfg.Incarnation || rec.Generation != f.Record.Generation:
		j.violate("R5", "%s begins %s of guest %d in generation %d; the store says %s in generation %d", d.h.Name, f.Step, f.Guest, f.Record.Generation, rec.Node, rec.Generation)
	case f.Step == node.StepStart && !j.announcedSince(d, f.Guest):
		j.violate("R5", "%s starts guest %d without having asked the store just before", d.h.Name, f.Guest)
	case f.Step == node.StepStart && len(rec.Holders) != 1:
		j.violate("R1", "%s starts guest %d while others hold it: %v", d.h.Name, f.Guest, rec.Holders)
	case !j.guarded(d, f.Guest):
		j.violate("R2", "%s begins %s of guest %d, which its guard does not know", d.h.Name, f.Step, f.Guest)
	}
}

// announcedSince says whether the node made its start known, and so verified it, no longer ago than its answer and a stall may take.
func (j *Judge) announcedSince(d *Daemon, id ha.VMID) bool {
	at, ok := j.announced[ha.KeyGuestReport(d.self, id)]
	return ok && j.w.loop.Now()-at < 3*j.w.spec.Timing.LeaseTTL
}

// announcedBefore says whether the store took the start while the node was in order, and the answer has only just come: it is read back for
// a lease's time.
func (j *Judge) announcedBefore(d *Daemon, id ha.VMID) bool {
	at, ok := j.announced[ha.KeyGuestReport(d.self, id)]
	return ok && at <= j.stateAt[d.self] && j.w.loop.Now()-at < j.w.spec.Timing.LeaseTTL+time.Second
}

// guarded says whether the guard on the host would end this guest.
func (j *Judge) guarded(d *Daemon, id ha.VMID) bool {
	if rec := j.w.store.Truth().Guests[id].Rec; rec.Move == nil && d.cfg.Keeps(rec.Storages) {
		return true
	}
	g := d.h.boot.guard
	if g == nil { // it is being restarted: what it had saved counts
		return slices.ContainsFunc(d.h.boot.saved.Guests, func(r ha.GuestRef) bool { return r.ID == id })
	}
	return slices.ContainsFunc(g.s.Guests, func(r ha.GuestRef) bool { return r.ID == id })
}

// lookEcho is how long an agent's last look may go back to before corosync's quorum.
const lookEcho = 3 * time.Second

// leftAlone is R7: what Proxmox's own HA manages is not touched, once an agent has had the time to see it.
func (j *Judge) leftAlone(d *Daemon, f node.Do) {
	if !d.h.quorate() || j.w.loop.Now()-d.h.boot.ring.since < lookEcho {
		return // its copy of /etc/pve is old, and read-only, or what it saw last was
	}
	if since, ok := j.managed[f.Guest]; ok && j.w.loop.Now() > since+troubleEcho/3 {
		j.violate("R7", "%s begins %s of guest %d, which Proxmox's own HA manages", d.h.Name, f.Step, f.Guest)
	}
}

// promised notes a promise given to a peer: part 5 allows it only to one who leads nothing.
func (j *Judge) promised(d *Daemon, to ha.NodeName) {
	j.res.Promises++
	if d.state.Lease.Leads(d.now()) {
		j.violate("part5", "%s promises %s not to recover its guests, and leads", d.h.Name, to)
	}
}

// decided looks at each round of a leader.
func (j *Judge) decided(d *Daemon, o leader.Observation, dec leader.Decision) {
	j.audit.turns(o, dec)
	if d.state.Quiet(d.now()) {
		j.violate("part5", "%s leads in its quiet time (term %d)", d.h.Name, o.Term)
	}
}
