package sim

import (
	"math"
	"slices"
	"time"

	"bascule/ha"
)

// Gossip is memberlist as a model: who takes whom for alive, and how late.
type Gossip struct {
	loop    *Loop
	net     *Net
	timing  ha.Timing
	members []*gossiper // by name
	ticking bool
}

// gossiper is one node's membership.
type gossiper struct {
	node    string
	proc    *Proc
	changed func()
	leaving bool
	peers   []*gossipPeer // of the same index as the members
	view    map[ha.NodeName]ha.GossipView
}

// gossipPeer is what one node believes of another.
type gossipPeer struct {
	known, alive, leaving bool
	dieAt, backAt         time.Duration // when it changes its mind if nothing else happens; 0: it does not
	falseUntil            time.Duration // by fault: taken for dead until then
}

// NewGossip returns a gossip without members.
func NewGossip(l *Loop, n *Net, t ha.Timing) *Gossip { return &Gossip{loop: l, net: n, timing: t} }

// Join (re)starts a node's membership in a process, with an empty view; changed is called in the process when the view changes.
func (g *Gossip) Join(node string, p *Proc, changed func()) {
	m := g.member(node)
	if m == nil {
		m = &gossiper{node: node}
		g.members = append(g.members, m)
		for range g.members[1:] {
			m.peers = append(m.peers, &gossipPeer{})
		}
		for _, o := range g.members {
			o.peers = append(o.peers, &gossipPeer{})
		}
	}
	m.proc, m.changed, m.leaving = p, changed, false
	for i := range m.peers {
		m.peers[i] = &gossipPeer{}
	}
	m.view = nil
	if !g.ticking {
		g.ticking = true
		g.loop.Every(max(g.timing.GossipProbe, 100*time.Millisecond), g.tick)
	}
}

// Leave announces that a node stops in order; those it reaches see it leave, the others see a death.
func (g *Gossip) Leave(node string) {
	i := g.index(node)
	if i < 0 {
		return
	}
	g.members[i].leaving = true
	for _, m := range g.members {
		if m != g.members[i] && g.contact(m, g.members[i]) {
			g.loop.After(g.loop.Between("gossip", 10*time.Millisecond, 200*time.Millisecond), m.proc.In(func() {
				if !g.members[i].leaving {
					return // it came back meanwhile
				}
				p := m.peers[i]
				p.known, p.alive, p.leaving, p.dieAt = true, false, true, 0
				g.moved(m)
			}))
		}
	}
}

// View is what a node believes of all it has seen since its start, itself included. It must not be changed.
func (g *Gossip) View(node string) map[ha.NodeName]ha.GossipView {
	m := g.member(node)
	if m == nil {
		return nil
	}
	if m.view == nil {
		m.view = map[ha.NodeName]ha.GossipView{}
		for i, p := range m.peers {
			if p.known {
				m.view[ha.NodeName(g.members[i].node)] = ha.GossipView{Known: true, Alive: p.alive, Leaving: p.leaving}
			}
		}
		m.view[ha.NodeName(node)] = ha.GossipView{Known: true, Alive: true, Leaving: m.leaving}
	}
	return m.view
}

// FalseDead makes an observer ("*": all) take a living subject for dead, from now on for d.
func (g *Gossip) FalseDead(observer, subject string, d time.Duration) {
	i := g.index(subject)
	for _, m := range g.members {
		if i >= 0 && (observer == "*" || m.node == observer) && m.node != subject {
			m.peers[i].falseUntil = g.loop.Now() + d
		}
	}
}

func (g *Gossip) index(node string) int {
	return slices.IndexFunc(g.members, func(m *gossiper) bool { return m.node == node })
}

func (g *Gossip) member(node string) *gossiper {
	if i := g.index(node); i >= 0 {
		return g.members[i]
	}
	return nil
}

// contact says whether a hears of b: directly, or through one other member, as memberlist's indirect probes go.
func (g *Gossip) contact(a, b *gossiper) bool {
	if !a.proc.Runs() || !b.proc.Runs() {
		return false
	}
	if g.near(a, b) {
		return true
	}
	for _, c := range g.members {
		if c != a && c != b && c.proc.Runs() && g.near(a, c) && g.near(c, b) {
			return true
		}
	}
	return false
}

// near says whether two members' probes are answered in time.
func (g *Gossip) near(a, b *gossiper) bool {
	return g.net.Within(NetCluster, a.node, b.node, g.timing.GossipProbe)
}

// suspicion draws how long silence lasts before it is called death: waiting for the next probes, then memberlist's suspicion
// time, which grows with the logarithm of the cluster.
func (g *Gossip) suspicion() time.Duration {
	probe := g.timing.GossipProbe
	grow := max(1, math.Log10(float64(len(g.members)+1)))
	return time.Duration(float64(g.timing.GossipMult)*grow*float64(probe)) + g.loop.Between("gossip", probe/2, 3*probe)
}

// tick lets every member look at every other.
func (g *Gossip) tick() {
	for _, m := range g.members {
		if !m.proc.Runs() {
			continue
		}
		for i, o := range g.members {
			if o != m {
				g.look(m, o, i)
			}
		}
	}
}

// look is one member judging another.
func (g *Gossip) look(m, o *gossiper, i int) {
	now, p := g.loop.Now(), m.peers[i]
	heard := g.contact(m, o) && now >= p.falseUntil && !o.leaving
	switch {
	case heard && p.alive:
		p.dieAt = 0
	case heard:
		if p.backAt == 0 {
			p.backAt = now + g.loop.Between("gossip", 100*time.Millisecond, 800*time.Millisecond)
		}
		if now >= p.backAt {
			p.known, p.alive, p.leaving, p.backAt, p.dieAt = true, true, false, 0, 0
			g.moved(m)
		}
	case p.alive:
		p.backAt = 0
		if p.dieAt == 0 {
			p.dieAt = now + g.suspicion()
		}
		if now >= p.dieAt || now < p.falseUntil {
			p.alive, p.dieAt = false, 0
			g.moved(m)
			g.spread(m, o, i)
		}
	default:
		p.backAt = 0
	}
}

// spread passes a death on: who does not hear the dead one either believes it at once.
func (g *Gossip) spread(m, o *gossiper, i int) {
	for _, other := range g.members {
		p := other.peers[i]
		if other != m && other != o && p.alive && g.contact(m, other) && !g.contact(other, o) {
			p.dieAt = g.loop.Now()
		}
	}
}

// moved tells a member's process that its view changed.
func (g *Gossip) moved(m *gossiper) {
	m.view = nil
	if m.changed != nil {
		m.proc.Post(m.changed)
	}
}
