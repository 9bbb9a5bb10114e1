package node

import (
	"cmp"
	"maps"
	"slices"

	"bascule/ha"
)

// Step takes one event and returns the next state, what to do, and when to send a Tick at the latest (0: no need).
// Equal inputs give equal outputs; the state passed in is not changed.
func (c Config) Step(now ha.Instant, s State, e Event) (State, []Effect, ha.Instant) {
	m := &machine{c: c, now: now, s: s}
	m.s.Guests = maps.Clone(s.Guests)
	m.stepLease(e)
	m.stepGuests(e)
	m.stepPeers(e)
	m.takeEpoch()
	m.driveLease()
	m.drivePeers()
	m.drivePower(e)
	m.driveGuests()
	next := m.nextLease()
	if g := m.wake; g != 0 && (next == 0 || g < next) {
		next = g
	}
	return m.s, m.out, next
}

type machine struct {
	c    Config
	now  ha.Instant
	s    State
	out  []Effect
	wake ha.Instant
}

func (m *machine) wakeAt(at ha.Instant) {
	if m.wake == 0 || at < m.wake {
		m.wake = at
	}
}

// stepGuests takes in what an event says about guests.
func (m *machine) stepGuests(e Event) {
	switch e := e.(type) {
	case View:
		m.seeStore(e)
		m.seeCluster(e)
		m.arrived(e.Records)
		m.s.Records, m.s.Onboot = e.Records, e.Onboot
		if !m.s.Synced { // a restarted daemon goes on from what it had reported
			for _, id := range sorted(e.Reports) {
				rep := e.Reports[id]
				if g := m.s.Guests[id]; rep.Incarnation == m.c.Incarnation {
					g.Written = rep
					m.s.Guests[id] = g
				}
			}
		}
		m.s.Synced = true
		for _, id := range sorted(e.Records) {
			if _, ok := m.s.Guests[id]; !ok {
				m.s.Guests[id] = Guest{}
			}
		}
	case Looked:
		m.looked(e)
	case GuardSeen:
		m.s.Guarded = e.Connected
	case GossipSeen:
		m.s.Gossip = e.View
	case StepDone:
		m.stepDone(e)
	}
}

// seeCluster takes in what the store says of the cluster. A list of members is never forgotten for an older one.
func (m *machine) seeCluster(v View) {
	m.s.Nodes, m.s.Leader, m.s.Newer = v.Nodes, v.Leader, v.Newer
	if v.Newer { // an older daemon does not lead over newer records; somebody else must be able to
		m.resign()
	}
	if v.Cluster.ListRev >= m.s.ListRev {
		m.s.Members, m.s.ListRev = v.Cluster.Members, v.Cluster.ListRev
	}
}

// arrived looks afresh at guests whose move to this node just ended: the last look may have been before they came.
func (m *machine) arrived(records map[ha.VMID]ha.GuestRecord) {
	for _, id := range sorted(m.s.Records) {
		old, now := m.s.Records[id], records[id]
		if old.Move != nil && old.Move.Target == m.c.Self && now.Move == nil && now.Node == m.c.Self {
			g := m.s.Guests[id]
			g.Job.Fresh = m.now
			m.s.Guests[id] = g
			m.out = append(m.out, Look{})
		}
	}
}

// looked takes in an inventory; a guest that a job of ours touched after the look began keeps the newer truth.
func (m *machine) looked(e Looked) {
	m.s.Looked, m.s.LookBegan, m.s.Managed, m.s.Quorate = true, e.Began, e.Managed, e.Quorate
	seen := map[ha.VMID]ha.GuestSeen{}
	for _, g := range e.Guests {
		seen[g.ID] = g
		if _, ok := m.s.Guests[g.ID]; !ok {
			m.s.Guests[g.ID] = Guest{}
		}
	}
	for _, id := range e.Strays {
		if _, ok := m.s.Guests[id]; !ok {
			m.s.Guests[id] = Guest{}
		}
	}
	for _, id := range sorted(m.s.Guests) {
		g := m.s.Guests[id]
		if g.Seen.At > e.Began {
			continue
		}
		x, here := seen[id]
		stalled := g.Seen.Stalled
		running := x.Running || slices.Contains(e.Strays, id)
		g.Seen = Seen{Kind: x.Kind, ConfigHere: here, Running: running, Protected: x.Protected, Refused: x.Refused != "", Onboot: x.Onboot, At: e.Began}
		if x.Stalled && running {
			g.Seen.Stalled = cmp.Or(stalled, e.Began)
		}
		if !running {
			g.Job.RunningAt = 0
		} else if g.Job.RunningAt == 0 {
			g.Job.RunningAt = m.now
		}
		m.s.Guests[id] = g
	}
}

// driveGuests begins what is due for every guest, important ones first.
func (m *machine) driveGuests() {
	if !m.s.Synced || !m.s.Looked || m.c.Witness { // what may be running here is not known yet
		return
	}
	for _, id := range m.byPriority() {
		g := m.s.Guests[id]
		m.drive(id, &g)
		m.s.Guests[id] = g
	}
}

// byPriority lists all guests, important ones first, then by number. It runs with every event: most clusters have no priorities at all.
func (m *machine) byPriority() []ha.VMID {
	ids := sorted(m.s.Guests)
	for _, rec := range m.s.Records { //arch:unordered whether any has one
		if rec.Priority != 0 {
			slices.SortStableFunc(ids, func(a, b ha.VMID) int { return cmp.Compare(m.s.Records[b].Priority, m.s.Records[a].Priority) })
			break
		}
	}
	return ids
}

// dropJobs forgets work in progress and what was reported as running: the permit ended, the guard ends the guests, and all is looked
// at afresh under the next permit.
func (m *machine) dropJobs() {
	for _, id := range sorted(m.s.Guests) {
		g := m.s.Guests[id]
		g.Job = Job{Seq: g.Job.Seq + 1}
		if !g.Written.Phase.Gone() { // what was said to be gone stays so in its generation
			g.Written = ha.GuestReport{}
		}
		g.Seen.Running = false
		g.Seen.At = m.now
		m.s.Guests[id] = g
	}
}

// sayAgain reports again what was said before the lease ended: it may never have reached the store.
func (m *machine) sayAgain() {
	for _, id := range sorted(m.s.Guests) {
		if w := m.s.Guests[id].Written; w.Phase != "" {
			m.out = append(m.out, Report{Report: w})
		}
	}
}

func sorted[K cmp.Ordered, V any](in map[K]V) []K { return slices.Sorted(maps.Keys(in)) }
