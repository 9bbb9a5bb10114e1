package pvesim

import (
	"maps"
	"slices"
	"time"
)

// tokenShare is the part of a re-formation that passes before corosync notices anything: token 3650 ms of the
// 8030 ms that token and consensus take together. A cut healed within it never becomes a membership change.
const tokenShare = 0.45

// corosync is the model of membership and quorum: which nodes form a ring, until when each is re-forming it, and
// who is quorate. It knows no clock and no locks; its owner passes the time and serializes the calls.
type corosync struct {
	cfg   Corosync
	order []string // nodes in the order of their ids
	nodes map[string]*ringNode
}

// ringNode is one node's own view of the ring.
type ringNode struct {
	powered bool
	boots   int            // counts power-ons: a rebooted node is a new member
	target  map[string]int // the ring being formed or formed: node → boots
	ring    map[string]int // the established ring
	quorate bool
	changed time.Time // when the current re-formation began
	until   time.Time // when it will be over; zero: settled
	version int       // counts established rings, for .members
}

func newCorosync(cfg Corosync, names []string) *corosync {
	m := &corosync{cfg: cfg, order: names, nodes: map[string]*ringNode{}}
	for _, n := range names {
		m.nodes[n] = &ringNode{version: 1}
	}
	return m
}

// busyShare is the last part of a return to the majority, while the copies of the tree are synchronized.
const busyShare = 0.1

// synchronizing says whether a node that had been cut off is about to be a member again: pmxcfs then answers EBUSY
// in passing to writes that arrive.
func (st *ringNode) synchronizing(now time.Time) bool {
	returns := len(st.ring) > 0 && !st.quorate && len(st.target) > len(st.ring)
	window := time.Duration(float64(st.until.Sub(st.changed)) * busyShare)
	return returns && !st.until.IsZero() && st.until.Sub(now) < window
}

// power switches a node on or off. Call change afterwards.
func (m *corosync) power(node string, on bool) {
	st := m.nodes[node]
	*st = ringNode{powered: on, boots: st.boots, version: 1}
	if on {
		st.boots++
	}
}

// change looks at the network again and starts re-formations where the membership is no longer right.
func (m *corosync) change(now time.Time, reach func(a, b string) bool) {
	for _, group := range m.groups(reach) {
		target := map[string]int{}
		for _, n := range group {
			target[n] = m.nodes[n].boots
		}
		var until time.Time // a ring is there when the slowest of its members is: who misses a token waits for it
		for _, n := range group {
			m.retarget(m.nodes[n], target, now)
			if u := m.nodes[n].until; u.After(until) {
				until = u
			}
		}
		for _, n := range group {
			if st := m.nodes[n]; !st.until.IsZero() {
				st.until = until
			}
		}
	}
}

func (m *corosync) retarget(st *ringNode, target map[string]int, now time.Time) {
	if maps.Equal(st.target, target) {
		return
	}
	st.target = target
	if maps.Equal(st.ring, target) && !st.until.IsZero() {
		detected := time.Duration(float64(m.cfg.Reform) * tokenShare)
		if now.Sub(st.changed) < detected {
			st.until = time.Time{} // healed before the token was missed
			return
		}
	}
	block := m.cfg.Join
	for n, boots := range st.ring {
		if target[n] != boots {
			block = m.cfg.Reform // somebody is missing: the token has to run out first
		}
	}
	st.changed, st.until = now, now.Add(block)
}

// groups splits the powered nodes into rings: largest sets in which everybody reaches everybody both ways, ties to
// the lowest ids.
func (m *corosync) groups(reach func(a, b string) bool) [][]string {
	var left []string
	for _, n := range m.order {
		if m.nodes[n].powered {
			left = append(left, n)
		}
	}
	var out [][]string
	for len(left) > 0 {
		best := largestClique(left, reach)
		out = append(out, best)
		left = slices.DeleteFunc(left, func(n string) bool { return slices.Contains(best, n) })
	}
	return out
}

// largestClique takes the lowest ids first and looks no further where a larger set is out of reach: whole and cleanly divided networks,
// the only ones that big labs have, are found at once.
func largestClique(nodes []string, reach func(a, b string) bool) []string {
	var best []string
	var extend func(clique, left []string)
	extend = func(clique, left []string) {
		if len(clique) > len(best) {
			best = slices.Clone(clique)
		}
		for i, n := range left {
			if len(clique)+len(left)-i <= len(best) {
				return
			}
			var fit []string
			for _, other := range left[i+1:] {
				if reach(n, other) && reach(other, n) {
					fit = append(fit, other)
				}
			}
			extend(append(slices.Clone(clique), n), fit)
		}
	}
	extend(nil, nodes)
	return best
}

// settle ends the re-formations whose time is over and returns the rings that were established by it.
func (m *corosync) settle(now time.Time) [][]string {
	var rings [][]string
	done := map[string]bool{}
	for _, n := range m.order {
		st := m.nodes[n]
		if done[n] || st.until.IsZero() || now.Before(st.until) {
			continue
		}
		var ring []string
		for _, peer := range m.order {
			p := m.nodes[peer]
			if maps.Equal(p.target, st.target) && p.powered {
				p.ring, p.until = p.target, time.Time{}
				p.version++
				done[peer] = true
				ring = append(ring, peer)
			}
		}
		rings = append(rings, ring)
	}
	if len(rings) > 0 {
		m.countVotes()
	}
	return rings
}

// countVotes decides quorum for every established ring: a strict majority of all configured votes.
func (m *corosync) countVotes() {
	total := len(m.order) + m.cfg.QDevice
	device := m.deviceHolder()
	for _, st := range m.nodes {
		votes := len(st.ring)
		if device != nil && maps.Equal(st.ring, device) {
			votes += m.cfg.QDevice
		}
		st.quorate = st.powered && 2*votes > total
	}
}

// deviceHolder is the ring that has the quorum device's votes: the largest one of which a member reaches it.
func (m *corosync) deviceHolder() map[string]int {
	if m.cfg.QDevice == 0 {
		return nil
	}
	var best map[string]int
	for _, n := range m.order {
		st := m.nodes[n]
		reached := m.cfg.QDeviceReach == nil || m.cfg.QDeviceReach(n)
		if st.powered && reached && len(st.ring) > len(best) {
			best = st.ring
		}
	}
	return best
}

// next is the earliest end of a re-formation; zero if all is settled.
func (m *corosync) next() time.Time {
	var first time.Time
	for _, st := range m.nodes {
		if !st.until.IsZero() && (first.IsZero() || st.until.Before(first)) {
			first = st.until
		}
	}
	return first
}
