package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// readFor is a look of one leadership at what a storage device took away from a boot.
type readFor struct {
	device string
	inc    ha.Incarnation
	term   ha.Term
}

// looked notes that a leader's look reached a storage device.
func (a *audit) looked(device string, c ha.DeviceCommand) {
	if c.Action == ha.DeviceRead {
		a.readAt[readFor{device, c.Incarnation, c.Term}] = a.w.loop.Now()
	}
}

// revocations is R3: what was taken away is looked at every 10 s until power-off or a new boot, and the node's lease ends with it.
func (a *audit) revocations() {
	lead, led, ok := a.led()
	truth, t := a.w.store.Truth(), a.w.spec.Timing
	for _, h := range a.w.machine.Hosts() {
		n := ha.NodeName(h.Name)
		rec := truth.Nodes[n].Rec
		names := revokedNow(rec)
		if len(names) == 0 || rec.State != ha.NodeFencing && rec.State != ha.NodeFenced || !ok || a.restored() || lead == h.Name {
			delete(a.takenAt, rec.Incarnation)
			continue
		}
		if _, known := a.takenAt[rec.Incarnation]; !known {
			a.takenAt[rec.Incarnation] = a.w.loop.Now()
		}
		from := max(a.takenAt[rec.Incarnation], led, a.j.quietBut(h.Name))
		if s := a.gone[n]; s.there && s.inc == rec.Incarnation && a.w.loop.Now()-max(from, s.since) > a.slack() {
			a.j.violate("R3", "access to %v was taken away from %s (boot %s), whose lease stands", names, n, rec.Incarnation)
			return
		}
		for _, d := range a.plan(n, ha.StorageDevice) {
			last := a.readAt[readFor{d, rec.Incarnation, truth.Term}]
			if slices.Contains(truth.Fences[n].Rec.Commanded, d) && a.w.loop.Now()-max(from, last) > recheckEvery+2*t.DeviceTimeout+4*time.Second {
				a.j.violate("R3", "what %s took away from %s (boot %s) was not looked at for %v", d, n, rec.Incarnation, a.w.loop.Now()-max(from, last))
				return
			}
		}
	}
}

// recheckEvery is R3's pause between two looks.
const recheckEvery = 10 * time.Second

// revokedNow are the storages of which the record says that the recorded boot lost them, while nothing ends the looking.
func revokedNow(rec ha.NodeRecord) (names []string) {
	for _, p := range rec.Proofs {
		switch {
		case p.Incarnation() != rec.Incarnation:
		case p.Kind() == ha.PowerOffConfirmed || p.Kind() == ha.NewBoot:
			return nil
		case p.Kind() == ha.StorageRevoked:
			names = append(names, p.Storages()...)
		}
	}
	return names
}

// seenBySelf: a leader gives away what only a revocation frees when it has itself looked, in its own term.
func (a *audit) seenBySelf(x Applied, truth *ha.Snapshot, old, rec ha.GuestRecord) {
	for _, h := range old.Holders {
		if holds(rec, h) || rec.Node == old.Node && rec.Incarnation == old.Incarnation {
			continue
		}
		rep := truth.GuestReports[h.Node][rec.ID].Rec
		whole := slices.ContainsFunc(truth.Nodes[h.Node].Rec.Proofs, func(p ha.Proof) bool {
			return p.Incarnation() == h.Incarnation && p.Kind() != ha.StorageRevoked
		})
		if whole || rep.Incarnation == h.Incarnation && rep.Phase.Gone() || !slices.ContainsFunc(truth.Nodes[h.Node].Rec.Proofs, func(p ha.Proof) bool { return p.Incarnation() == h.Incarnation }) {
			continue
		}
		if !slices.ContainsFunc(a.plan(h.Node, ha.StorageDevice), func(d string) bool { return a.readAt[readFor{d, h.Incarnation, x.Term}] != 0 }) {
			a.j.violate("R3", "guest %d is taken from %s (boot %s) for revoked storages that this leader (term %d) has not looked at", rec.ID, h.Node, h.Incarnation, x.Term)
			return
		}
	}
}

// shutOut is R3: a node that works has its storages: what a leader told a device to take away is settled before it is let in.
func (a *audit) shutOut() {
	for _, h := range a.w.machine.Hosts() {
		rec := a.w.store.Truth().Nodes[ha.NodeName(h.Name)].Rec
		if !works(rec.State) || rec.Incarnation != h.Inc() || !h.Booted() || a.restored() || a.j.lied[h.Name] {
			continue
		}
		for _, s := range a.w.spec.Storages {
			if d := a.w.machine.Disk(s.Name); d != nil && d.Revoked(h.Inc()) {
				a.j.violate("R3", "%s (boot %s) is %s, and its access to %s was taken away", h.Name, h.Inc(), rec.State, s.Name)
				return
			}
		}
	}
}
