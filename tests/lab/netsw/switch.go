package netsw

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Node is one node's place in the network.
type Node struct {
	Name   string
	Public netip.Addr // the switch listens here; everybody's configuration names this address
	Bind   netip.Addr // the node's own processes listen here
}

// Options says what a switch connects.
type Options struct {
	Nodes    []Node
	TCPPorts []int // forwarded from each public address to the bind address behind it
	UDPPorts []int // the same; a node must send its datagrams from its bind address
	// Owner names the node whose process holds the socket with this inode, or "" for a process that belongs to
	// no node. It is asked once per TCP connection that does not come from a bind address. nil: nobody's.
	Owner func(inode uint64) string
	// Seed feeds the random generator that decides which datagrams a lossy link drops.
	Seed uint64
	// Log receives one line per oddity; nil drops them.
	Log func(format string, args ...any)
}

// Switch forwards between the nodes. All its methods are safe for concurrent use.
type Switch struct {
	opt    Options
	fabric *fabric
	count  *counters
	byIP   map[netip.Addr]string
	nodes  map[string]Node

	mu     sync.Mutex
	flows  map[*flow]struct{}
	closed bool

	listeners []*net.TCPListener
	udp       map[udpKey]*net.UDPConn
	quality   *quality
	wg        sync.WaitGroup
}

// New binds every public address and begins to forward. It fails, with nothing left bound, if one of the addresses is taken.
func New(opt Options) (*Switch, error) {
	if opt.Owner == nil {
		opt.Owner = func(uint64) string { return outsider }
	}
	if opt.Log == nil {
		opt.Log = func(string, ...any) {}
	}
	s := &Switch{
		opt: opt, fabric: newFabric(), count: newCounters(), quality: newQuality(opt.Seed),
		byIP: map[netip.Addr]string{}, nodes: map[string]Node{},
		flows: map[*flow]struct{}{}, udp: map[udpKey]*net.UDPConn{},
	}
	for _, n := range opt.Nodes {
		s.nodes[n.Name] = n
		s.byIP[n.Bind] = n.Name
		s.byIP[n.Public] = n.Name
	}
	if err := s.bind(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.serve()
	return s, nil
}

func (s *Switch) bind() error {
	for _, n := range s.opt.Nodes {
		for _, port := range s.opt.TCPPorts {
			at := netip.AddrPortFrom(n.Public, uint16(port))
			l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
			if err != nil {
				return fmt.Errorf("the lab's switch cannot listen on %s for %s: %w; another lab or program holds it: choose another octet or end that program", at, n.Name, err)
			}
			s.listeners = append(s.listeners, l)
		}
		for _, port := range s.opt.UDPPorts {
			at := netip.AddrPortFrom(n.Public, uint16(port))
			c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
			if err != nil {
				return fmt.Errorf("the lab's switch cannot listen on %s (udp) for %s: %w; another lab or program holds it: choose another octet or end that program", at, n.Name, err)
			}
			s.udp[udpKey{n.Name, port}] = c
		}
	}
	return nil
}

func (s *Switch) serve() {
	for _, l := range s.listeners {
		s.wg.Go(func() { s.accept(l) })
	}
	for key, conn := range s.udp {
		s.wg.Go(func() { s.relay(key, conn) })
	}
}

// SetLink raises or cuts the link from one node to another, in this direction only.
func (s *Switch) SetLink(from, to string, up bool) error {
	if err := s.known(from, to); err != nil {
		return err
	}
	s.change(func() {
		if up {
			delete(s.fabric.cut, link{from, to})
		} else {
			s.fabric.cut[link{from, to}] = true
		}
	})
	return nil
}

// Isolate cuts a node off from all others, in both directions, or ends that; links that were cut one by one stay cut.
func (s *Switch) Isolate(node string, on bool) error {
	if err := s.known(node); err != nil {
		return err
	}
	s.change(func() { s.fabric.isolated[node] = on })
	return nil
}

// SetPort lets nothing pass on a TCP port between nodes, or lets it pass again: a service is dead while the network is well.
func (s *Switch) SetPort(port int, up bool) {
	s.change(func() { s.fabric.shut[port] = !up })
}

// SetWay lets nothing pass on one node's connections to a TCP port of another, or lets it pass again: a firewall that drops what comes from
// one address. The other direction is left as it is.
func (s *Switch) SetWay(client, server string, port int, up bool) error {
	if err := s.known(client, server); err != nil {
		return err
	}
	s.change(func() { s.fabric.barred[way{link{client, server}, port}] = !up })
	return nil
}

// SetPower tells the switch that a node lost or regained its power. Call it BEFORE the node's processes are
// killed: what their sockets say from then on is no longer passed to anybody.
func (s *Switch) SetPower(node string, on bool) error {
	if err := s.known(node); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fabric.update(func() { s.fabric.dark[node] = !on })
	for f := range s.flows {
		if !on {
			f.losePower(node)
		}
		f.kick()
	}
	return nil
}

// Reachable says whether a packet of from arrives at to now.
func (s *Switch) Reachable(from, to string) bool { return s.fabric.passes(from, to) }

// Cuts lists what keeps packets from passing, as "a->b" for a cut link and "a" for an isolated node.
func (s *Switch) Cuts() []string { return s.fabric.cuts() }

// Counters returns what each node has sent and received so far.
func (s *Switch) Counters() map[string]Counter { return s.count.snapshot() }

// SetUDP delays the datagrams of one direction and drops the given share of them (0 to 1). The zero values restore a clean link.
func (s *Switch) SetUDP(from, to string, delay time.Duration, loss float64) error {
	if err := s.known(from, to); err != nil {
		return err
	}
	if loss < 0 || loss > 1 || delay < 0 {
		return fmt.Errorf("link %s->%s: delay %s and loss %g: give a delay of at least 0 and a loss between 0 and 1", from, to, delay, loss)
	}
	s.quality.set(link{from, to}, delay, loss)
	return nil
}

// Close resets every connection and releases every address.
func (s *Switch) Close() error {
	s.mu.Lock()
	s.closed = true
	for f := range s.flows {
		f.abandon()
	}
	s.mu.Unlock()
	for _, l := range s.listeners {
		_ = l.Close() // a listener that was never bound is the only failure, and is none
	}
	for _, c := range s.udp {
		_ = c.Close()
	}
	s.quality.stop()
	s.wg.Wait()
	return nil
}

func (s *Switch) known(nodes ...string) error {
	for _, n := range nodes {
		if _, ok := s.nodes[n]; !ok {
			return fmt.Errorf("the lab has no node %q", n)
		}
	}
	return nil
}

// change applies one change of the fabric and wakes every flow, so that held data goes on or stops.
func (s *Switch) change(apply func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fabric.update(apply)
	for f := range s.flows {
		f.kick()
	}
}
