package node

import (
	"maps"
	"slices"

	"bascule/ha"
	"bascule/ha/ladder"
)

// ReadPower asks to read a device. It is harmless: this machine never switches anything.
type ReadPower struct{ Command ha.DeviceCommand }

// PowerRead answers ReadPower.
type PowerRead struct{ Reading ha.DeviceReading }

// GossipSeen is what gossip says of the other members.
type GossipSeen struct{ View map[ha.NodeName]ha.GossipView }

// RevokeLease asks to revoke exactly this lease: its node is proven off.
type RevokeLease struct {
	Node ha.NodeName
	ID   ha.LeaseID
}

func (PowerRead) event()    {}
func (GossipSeen) event()   {}
func (ReadPower) effect()   {}
func (RevokeLease) effect() {}

// Watched is a member whose power this node reads: a silent peer, or the leader that it is a deputy of.
type Watched struct {
	Ladder ladder.Memory
	Asked  ha.Instant // when the reading was asked for that last came in
}

// watchedNodes are those whose power matters now: silent peers without the store, the leader when gossip lost it.
func (m *machine) watchedNodes() []ha.NodeName {
	var out []ha.NodeName
	if m.asks() || m.overdue() {
		out = append(out, m.missing()...)
	}
	if n, ok := m.deputyOf(); ok {
		out = append(out, n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// overdue says whether a renewal should have been answered by now: the store may be gone, and with it more than one member.
func (m *machine) overdue() bool {
	l := m.s.Lease
	return l.Acts(m.now) && l.Sent != 0 && m.now.Sub(l.Sent) > m.c.Timing.RenewEvery+m.c.Timing.PeerTimeout && !l.Leaving && !m.c.Witness
}

// missing are the members that missed the last round of asking, or that gossip lost: a second reading of "off" takes its time, so the first
// one is not waited for.
func (m *machine) missing() []ha.NodeName {
	return slices.DeleteFunc(slices.Clone(m.s.Members), func(n ha.NodeName) bool {
		g := m.s.Gossip[n]
		return n == m.c.Self || !slices.Contains(m.s.Silent, n) && !(g.Known && !g.Alive)
	})
}

// drivePower walks the ladder without touching anything, for each watched node, and acts on what it proves.
func (m *machine) drivePower(e Event) {
	m.forgetOff()
	watched := m.watchedNodes()
	if len(watched) == 0 {
		m.s.Watched = nil
		return
	}
	next := map[ha.NodeName]Watched{}
	for _, n := range watched {
		w := m.s.Watched[n]
		off := m.walk(n, &w, e)
		next[n] = w
		m.keepOff(n, w.Ladder)
		if !off {
			continue
		}
		if p := &m.s.Peers; p.Asking && slices.Contains(p.Waiting, n) && w.Asked >= p.Sent {
			m.stands(n)
		}
		m.deputize(n)
	}
	m.s.Watched = next
}

// keepOff keeps what has read a member off. A deputy's readings count when its node is elected: two readings of "off" take a second, and it
// has them. How long they count, and of which boot, the ladder says.
func (m *machine) keepOff(n ha.NodeName, walk ladder.Memory) {
	off := slices.ContainsFunc(sorted(walk.Devices), func(name string) bool { return walk.Devices[name].FirstOff != 0 })
	if _, had := m.s.Off[n]; !off && !had {
		return
	}
	m.s.Off = maps.Clone(m.s.Off)
	if m.s.Off == nil {
		m.s.Off = map[ha.NodeName]ladder.Memory{}
	}
	if delete(m.s.Off, n); off {
		m.s.Off[n] = walk
	}
}

// forgetOff drops what was read of members that show life again.
func (m *machine) forgetOff() {
	for _, n := range sorted(m.s.Off) {
		if m.s.Gossip[n].Alive {
			m.s.Off = maps.Clone(m.s.Off)
			delete(m.s.Off, n)
		}
	}
}

// walk takes one passive step and says whether the node's recorded incarnation is proven off right now. Under a round of asking the
// power is read anew, so that each renewal rests on a reading of its own.
func (m *machine) walk(n ha.NodeName, w *Watched, e Event) bool {
	rec, ok := m.s.Nodes[n]
	if !ok {
		return false
	}
	in := ladder.Input{Now: m.now, Timing: m.c.Timing, Plan: m.c.Plans[n], Memory: w.Ladder,
		Facts: ladder.Facts{Node: n, Incarnation: rec.Incarnation, Checks: rec.Devices, SystemUUID: rec.SystemUUID, GossipAlive: m.s.Gossip[n].Alive}}
	if r, ok := e.(PowerRead); ok && r.Reading.Node == n {
		in.Readings = []ha.DeviceReading{r.Reading}
		w.Asked = r.Reading.Asked
	}
	out := ladder.Step(in)
	w.Ladder = out.Memory
	for _, c := range out.Reads {
		m.out = append(m.out, ReadPower{Command: c})
	}
	if out.Wake != 0 {
		m.wakeAt(out.Wake)
	}
	return slices.ContainsFunc(out.Proofs, func(p ha.Proof) bool { return p.Kind() == ha.PowerOffConfirmed })
}

// readAgain makes the silent members' power be read at once: each renewal rests on a reading of its own.
func (m *machine) readAgain() {
	next := maps.Clone(m.s.Watched)
	for _, n := range sorted(next) {
		w := next[n]
		w.Ladder.Devices = maps.Clone(w.Ladder.Devices)
		for _, name := range sorted(w.Ladder.Devices) {
			d := w.Ladder.Devices[name]
			d.NextRead, d.Confirmed = m.now, false // the row of "off" readings goes on, its last one must be new
			w.Ladder.Devices[name] = d
		}
		next[n] = w
	}
	m.s.Watched = next
}

// deputyOf names the leader when gossip lost it while its lease still stands: any agent may read its power then.
func (m *machine) deputyOf() (ha.NodeName, bool) {
	l, lead := m.s.Lease, m.s.Leader
	if lead == nil || lead.Node == m.c.Self || !l.Acts(m.now) || l.Leaving || m.now < l.Quiet || m.c.Witness {
		return "", false
	}
	g := m.s.Gossip[lead.Node]
	return lead.Node, g.Known && !g.Alive && m.s.Nodes[lead.Node].Incarnation == lead.Incarnation
}

// deputize revokes the dead leader's lease, so that the election starts at once. It never switches off and never assigns.
func (m *machine) deputize(n ha.NodeName) {
	who, ok := m.deputyOf()
	if !ok || who != n || m.s.Revoked == m.s.Leader.Lease {
		return
	}
	m.s.Revoked = m.s.Leader.Lease
	m.out = append(m.out, RevokeLease{Node: n, ID: m.s.Leader.Lease})
}
