package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// ring is a formed membership. Hosts that agree share one value.
type ring struct {
	members []*Host
	online  []ha.NodeName
	quorate bool
	since   time.Duration // world time
}

// forming is a membership that is being formed.
type forming struct {
	members    []*Host
	begun, end time.Duration // world time
	lost       bool          // somebody was lost, so it began with a token that did not come
}

// joinTime is how long a ring takes to take somebody in, at most.
const joinTime = 2500 * time.Millisecond

// SetQDevice makes a host (usually the witness) give one more vote to one side; "" takes it away.
func (m *Machine) SetQDevice(host string) { m.qdevice = host }

// corosyncHosts are the hosts whose corosync moves now.
func (m *Machine) corosyncHosts() []*Host {
	var out []*Host
	for _, h := range m.hosts {
		if !h.spec.Witness && h.Runs() {
			out = append(out, h)
		}
	}
	return out
}

// corosync looks who hears whom, begins to form rings where that has changed, and completes those whose time has come.
func (m *Machine) corosync() {
	var next []*forming
	for _, c := range m.cliques() {
		if m.stable(c) {
			for _, h := range c {
				h.boot.forming = nil
			}
			continue
		}
		f := m.formingOf(c)
		if m.loop.Now() >= f.end {
			m.form(c)
			continue
		}
		for _, h := range c {
			h.boot.forming = f
		}
		next = append(next, f)
	}
	m.forming = next
	m.flushAll()
}

// cliques groups the hosts so that in a group everybody hears everybody.
func (m *Machine) cliques() [][]*Host {
	var out [][]*Host
	for _, h := range m.corosyncHosts() {
		at := slices.IndexFunc(out, func(c []*Host) bool {
			return !slices.ContainsFunc(c, func(o *Host) bool {
				return !m.net.Reaches(NetCorosync, h.Name, o.Name) || !m.net.Reaches(NetCorosync, o.Name, h.Name)
			})
		})
		if at < 0 {
			out = append(out, []*Host{h})
		} else {
			out[at] = append(out[at], h)
		}
	}
	return out
}

// stable says whether a group is one ring already.
func (m *Machine) stable(c []*Host) bool {
	r := c[0].boot.ring
	return r != nil && slices.Equal(r.members, c) && !slices.ContainsFunc(c, func(h *Host) bool { return h.boot.ring != r })
}

// formingOf is the forming of exactly this group: the one that is under way, or a new one.
func (m *Machine) formingOf(c []*Host) *forming {
	for _, f := range m.forming {
		if slices.Equal(f.members, c) {
			return f
		}
	}
	f := &forming{members: c, begun: m.loop.Now()}
	for _, h := range c {
		if r := h.boot.ring; r != nil && slices.ContainsFunc(r.members, func(o *Host) bool { return !slices.Contains(c, o) }) {
			f.lost = true
		}
	}
	d := m.Token
	if !f.lost {
		d = min(m.Token, m.loop.Between("corosync", time.Second, joinTime))
	}
	f.end = f.begun + d
	m.loop.After(d, m.corosync)
	return f
}

// form makes a group one ring. When it is quorate, it has the tree from now on, and everybody else keeps a copy that gets old.
func (m *Machine) form(c []*Host) {
	if len(c) == 0 {
		return
	}
	r := &ring{members: c, quorate: m.quorate(c), since: m.loop.Now()}
	for _, h := range c {
		r.online = append(r.online, ha.NodeName(h.Name))
		h.boot.ring, h.boot.forming = r, nil
	}
	m.loop.Logf("corosync", "ring %v, quorate %v", r.online, r.quorate)
	if !r.quorate {
		return
	}
	for _, h := range m.hosts {
		switch {
		case slices.Contains(c, h):
			h.tree = nil
		case h.tree == nil:
			h.tree = m.tree.clone()
		}
	}
}

// quorate counts votes: more than half of all, the quorum device's among them.
func (m *Machine) quorate(c []*Host) bool {
	all, have := 0, 0
	for _, h := range m.hosts {
		if h.spec.Vote && !h.spec.Witness {
			all++
		}
	}
	for _, h := range c {
		if h.spec.Vote {
			have++
		}
	}
	if m.qdevice != "" {
		all++
		if m.qdeviceFor(c) {
			have++
		}
	}
	return 2*have > all
}

// votes is what corosync.conf says of them.
func (m *Machine) votes() *ha.CorosyncVotes {
	v := &ha.CorosyncVotes{QDevice: min(1, len(m.qdevice)), QDeviceHost: m.qdevice}
	for _, h := range m.hosts {
		if h.spec.Vote && !h.spec.Witness {
			v.Nodes = append(v.Nodes, ha.CorosyncVote{Node: ha.NodeName(h.Name), Votes: 1})
		}
	}
	return v
}

// qdeviceFor says whether the quorum device votes for this group: among the groups that reach it, the largest; of equals, the one
// with the first host.
func (m *Machine) qdeviceFor(c []*Host) bool {
	if q := m.Host(m.qdevice); q != nil && !q.Runs() {
		return false
	}
	reaches := func(c []*Host) bool {
		return slices.ContainsFunc(c, func(h *Host) bool {
			return m.net.Reaches(NetCluster, h.Name, m.qdevice) && m.net.Reaches(NetCluster, m.qdevice, h.Name)
		})
	}
	if !reaches(c) {
		return false
	}
	for _, o := range m.cliques() {
		if reaches(o) && !slices.Equal(o, c) && (len(o) > len(c) || len(o) == len(c) && o[0].index < c[0].index) {
			return false
		}
	}
	return true
}

// view is the membership as the host's .members shows it. ok is false while reading it blocks.
func (h *Host) view() (v ha.CorosyncView, ok bool) {
	b := h.boot
	if h.cfsHangs() {
		return v, false
	}
	if b.ring == nil {
		return ha.CorosyncView{Known: true, Online: []ha.NodeName{ha.NodeName(h.Name)}}, true
	}
	if f := b.forming; f != nil {
		// Until the token's loss is noticed the old membership is shown; after that, reading waits for the new one.
		noticed := f.begun
		if f.lost {
			noticed += (f.end - f.begun) * 45 / 100
		}
		if h.m.loop.Now() >= noticed {
			return v, false
		}
	}
	return ha.CorosyncView{Known: true, Quorate: b.ring.quorate, Online: b.ring.online}, true
}

// Corosync is the membership that the host has now, without waiting; Known is false when it has none.
func (h *Host) Corosync() ha.CorosyncView {
	if h.boot == nil || h.boot.ring == nil {
		return ha.CorosyncView{}
	}
	r := h.boot.ring
	return ha.CorosyncView{Known: true, Quorate: r.quorate, Online: r.online}
}
