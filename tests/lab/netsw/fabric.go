package netsw

import (
	"slices"
	"sync"
)

// outsider is the source of a connection that no node of the lab opened: a person's hactl, a test.
const outsider = ""

// noNode is equal to no node's name and not to outsider.
const noNode = "-"

// link is one direction between two nodes.
type link struct{ from, to string }

// way is a TCP port of one node, as another one uses it.
type way struct {
	link
	port int
}

// fabric is the state of the network: which links carry traffic and which nodes have power. Everything else in this
// package asks it before it forwards, and is woken when it changes.
type fabric struct {
	mu       sync.Mutex
	cut      map[link]bool
	isolated map[string]bool
	dark     map[string]bool // no power
	shut     map[int]bool    // TCP ports on which nothing passes between nodes
	barred   map[way]bool    // TCP ports that one node does not reach at another, while others do
	epoch    chan struct{}   // closed and replaced at every change
}

func newFabric() *fabric {
	return &fabric{
		cut:      map[link]bool{},
		isolated: map[string]bool{},
		dark:     map[string]bool{},
		shut:     map[int]bool{},
		barred:   map[way]bool{},
		epoch:    make(chan struct{}),
	}
}

// passes says whether a packet that from sends now arrives at to.
func (f *fabric) passes(from, to string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dark[from] || f.dark[to] {
		return false
	}
	// A node always reaches itself, and a person at the console is on no cable that could be cut.
	if from == to || from == outsider || to == outsider {
		return true
	}
	return !f.cut[link{from, to}] && !f.isolated[from] && !f.isolated[to]
}

// open says whether connections to this port carry anything from one of these nodes to the other.
func (f *fabric) open(port int, from, to string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.shut[port] || from == to || from == outsider || to == outsider
}

// lets says whether a client's connections to this port of a server carry anything.
func (f *fabric) lets(client, server string, port int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.barred[way{link{client, server}, port}]
}

// both says whether packets pass in both directions, as a TCP handshake needs.
func (f *fabric) both(a, b string) bool { return f.passes(a, b) && f.passes(b, a) }

// powered says whether the node has power. An outsider always has.
func (f *fabric) powered(node string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.dark[node]
}

// changed returns a channel that is closed at the next change. Take it before asking passes, or a change between
// the two is missed.
func (f *fabric) changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.epoch
}

// update applies one change and wakes everybody who waits for one.
func (f *fabric) update(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.epoch)
	f.epoch = make(chan struct{})
}

// cuts lists the cut links and the isolated nodes, sorted.
func (f *fabric) cuts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for l := range f.cut {
		out = append(out, l.from+"->"+l.to)
	}
	for n, on := range f.isolated {
		if on {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
