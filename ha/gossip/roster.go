package gossip

import (
	"bytes"
	"sync"

	"github.com/hashicorp/memberlist"

	"bascule/ha"
)

// seen is one node as the events described it last.
type seen struct {
	alive   bool
	meta    Meta
	address string // host:port that it advertises
}

// roster is memberlist's event delegate: it keeps a copy of what was announced. memberlist calls it with its own
// locks held, so it only copies and never calls back.
type roster struct {
	changed func() // must not block
	mu      sync.Mutex
	nodes   map[ha.NodeName]seen
}

// NotifyJoin is memberlist's: a node came, or came back.
func (r *roster) NotifyJoin(n *memberlist.Node) { r.put(n, true) }

// NotifyUpdate is memberlist's: a node's metadata changed.
func (r *roster) NotifyUpdate(n *memberlist.Node) { r.put(n, true) }

// NotifyLeave is memberlist's: a node died or left; which of the two, its last metadata tells.
func (r *roster) NotifyLeave(n *memberlist.Node) { r.put(n, false) }

func (r *roster) put(n *memberlist.Node, alive bool) {
	s := seen{alive: alive, meta: decodeMeta(n.Meta), address: n.Address()}
	r.mu.Lock()
	r.nodes[ha.NodeName(n.Name)] = s
	r.mu.Unlock()
	r.changed()
}

func (r *roster) view() map[ha.NodeName]ha.GossipView {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := make(map[ha.NodeName]ha.GossipView, len(r.nodes))
	for name, s := range r.nodes {
		v[name] = ha.GossipView{Known: true, Alive: s.alive, Leaving: s.meta.Leaving}
	}
	return v
}

func (r *roster) metas() map[ha.NodeName]Meta {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := make(map[ha.NodeName]Meta, len(r.nodes))
	for name, s := range r.nodes {
		m[name] = s.meta
	}
	return m
}

// has says whether an alive node advertises one of these addresses.
func (r *roster) has(addresses []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.nodes {
		for _, a := range addresses {
			if s.alive && s.address == a {
				return true
			}
		}
	}
	return false
}

// delegate is memberlist's source of our own metadata; the other callbacks are not used.
type delegate struct {
	meta    func() Meta
	receive func([]byte) // must not block; nil: messages are dropped
}

// NodeMeta is memberlist's: our metadata in at most limit bytes.
func (d delegate) NodeMeta(limit int) []byte { return d.meta().encode(limit) }

// NotifyMsg is memberlist's: a message of another member. The bytes are memberlist's own, so they are copied.
func (d delegate) NotifyMsg(b []byte) {
	if d.receive != nil {
		d.receive(bytes.Clone(b))
	}
}

// GetBroadcasts is memberlist's: nothing to broadcast.
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState is memberlist's: nothing to exchange.
func (delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState is memberlist's: nothing to merge.
func (delegate) MergeRemoteState([]byte, bool) {}
