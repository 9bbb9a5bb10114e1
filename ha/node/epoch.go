package node

import "bascule/ha"

// seeStore notes how far the store has come. A store that shows less than it once did was rolled back (R8): nothing is begun any more
// until a leader has opened a new epoch, and this node has taken note of it.
func (m *machine) seeStore(v View) {
	e := &m.s.Epoch
	switch {
	case v.Cluster.Epoch > e.Known: // a new epoch: what was seen before counts for nothing
		e.Known, e.Rev, e.WentBack = v.Cluster.Epoch, v.Rev, false
		if e.Taken != 0 || m.s.Synced {
			m.forgetReports()
		}
		e.Since = m.now
		m.out = append(m.out, Look{})
	case v.Back, v.Cluster.Epoch < e.Known, v.Rev < e.Rev:
		e.WentBack = true
		if l := &m.s.Lease; l.Term != 0 {
			l.Term = 0 // the leadership was of a store that does not exist any more
		}
	default:
		e.Rev = v.Rev
	}
}

// Epoch is what this node knows of the store's lives (R8).
type Epoch struct {
	Known    ha.Epoch   // the newest seen
	Taken    ha.Epoch   // taken note of: looked afresh, and nothing begun before it is under way
	Rev      int64      // highest revision seen in it
	WentBack bool       // the store shows less than it did
	Since    ha.Instant // when Known was first seen
}

// lost is the epoch that the store went back in, at least 1; 0: it did not.
func (e Epoch) lost() ha.Epoch {
	if !e.WentBack {
		return 0
	}
	return max(e.Known, 1)
}

// takeEpoch takes note of a new epoch once nothing that was begun in an older one is under way here, and a look that began
// after it has shown what runs.
func (m *machine) takeEpoch() {
	e := &m.s.Epoch
	if e.Known == e.Taken || e.WentBack {
		return
	}
	for _, id := range sorted(m.s.Guests) {
		if m.s.Guests[id].Job.InFlight { // only a look that begins after its end shows what it did
			e.Since = m.now
			return
		}
	}
	if m.c.Witness || m.s.Looked && m.s.LookBegan >= e.Since {
		e.Taken = e.Known
	}
}

// forgetReports makes the machine say anew what it has, in the new epoch.
func (m *machine) forgetReports() {
	for _, id := range sorted(m.s.Guests) {
		g := m.s.Guests[id]
		g.Written = ha.GuestReport{}
		m.s.Guests[id] = g
	}
}

// Highest is the highest generation that this node knows of.
func (s State) Highest() ha.Generation {
	var h ha.Generation
	for _, id := range sorted(s.Guests) {
		h = max(h, s.Guests[id].Written.Generation, s.Guests[id].Job.Generation)
	}
	return h
}
