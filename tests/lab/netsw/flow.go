package netsw

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// flow is one TCP connection through the switch: near is the half that the client opened, far the half that the
// switch opened to the server's bind address.
type flow struct {
	sw       *Switch
	src, dst string // node names; src is outsider for a person's client
	port     int    // of the server

	mu        sync.Mutex
	near, far *net.TCPConn
	lost      string         // the node whose power went while the connection was open
	shaking   bool           // the server's half is being opened
	died      bool           // the server's node lost its power meanwhile
	idle      map[*pipe]bool // directions whose sender has gone while nothing passed
	broken    chan struct{}  // closed when one side failed
	breakOnce sync.Once
	stop      chan struct{} // closed when the switch closes
	stopOnce  sync.Once
}

func (s *Switch) accept(l *net.TCPListener) {
	server := l.Addr().(*net.TCPAddr).AddrPort()
	dst := s.byIP[server.Addr()]
	for {
		conn, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.opt.Log("tcp: accepting on %s failed: %v", server, err)
			time.Sleep(10 * time.Millisecond) // out of descriptors, most likely: do not spin
			continue
		}
		f := &flow{sw: s, dst: dst, near: conn, idle: map[*pipe]bool{}, broken: make(chan struct{}), stop: make(chan struct{})}
		s.wg.Go(func() { f.run(server) })
	}
}

// run carries the connection from its acceptance to its end.
func (f *flow) run(server netip.AddrPort) {
	defer f.closeBoth()
	client := f.near.RemoteAddr().(*net.TCPAddr).AddrPort()
	src, err := f.sw.attribute(client, server)
	if err != nil {
		// Nobody is left to answer, and letting its bytes through could carry them across a cut link.
		f.sw.opt.Log("tcp: connection from %s to %s (%s) dropped: %v", client, f.dst, server, err)
		return
	}
	f.src, f.port = src, int(server.Port())
	if !f.register() {
		return
	}
	defer f.unregister()
	f.sw.count.add(src, func(c *Counter) { c.Connections++ })
	held, ok := f.awaitLink()
	if !ok {
		return
	}
	if !f.connect(server.Port()) {
		f.silence(f.near)
		return
	}
	f.copy(held)
}

// passes says whether a packet of this connection that from sends now arrives at to.
func (f *flow) passes(from, to string) bool {
	return f.sw.fabric.passes(from, to) && f.sw.fabric.open(f.port, from, to) && f.sw.fabric.lets(f.src, f.dst, f.port)
}

// awaitLink holds a new connection until a handshake could pass. What the client sends meanwhile is kept. It says false when
// the client went away first.
func (f *flow) awaitLink() ([]byte, bool) {
	p := pipe{flow: f, from: f.src, to: f.dst, r: f.near}
	for !f.stopped() {
		p.arm()
		if f.passes(f.src, f.dst) && f.passes(f.dst, f.src) {
			return p.held, true
		}
		if f.lostPower() == f.src && f.src != outsider {
			return nil, false
		}
		if p.fill(); p.end != nil {
			return nil, false // a SYN that nobody saw, taken back
		}
	}
	return nil, false
}

// connect opens the far half from the client's public address, so that the server sees who it talks to.
func (f *flow) connect(port uint16) bool {
	var d net.Dialer
	if f.src != outsider {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(f.sw.nodes[f.src].Public, 0))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	target := netip.AddrPortFrom(f.sw.nodes[f.dst].Bind, port)
	f.mu.Lock()
	f.shaking = true
	f.mu.Unlock()
	conn, err := d.DialContext(ctx, "tcp4", target.String())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shaking = false
	if err != nil {
		return false
	}
	f.far = conn.(*net.TCPConn)
	if f.died || !f.sw.fabric.powered(f.dst) {
		f.lost = f.dst // its power went during the handshake, and may be back
	}
	return true
}

// copy runs both directions until the connection ends, and passes on the way in which it ended.
func (f *flow) copy(held []byte) {
	there := &pipe{flow: f, from: f.src, to: f.dst, r: f.near, w: f.far, held: held}
	back := &pipe{flow: f, from: f.dst, to: f.src, r: f.far, w: f.near}
	var wg sync.WaitGroup
	wg.Go(there.run)
	wg.Go(back.run)
	wg.Wait()

	lost := f.lostPower()
	if (lost == "" && there.clean && back.clean) || f.bothGone() {
		return
	}
	if lost == "" {
		lost = noNode
	}
	// A half whose process is dead goes at once; the other one hears of it when the network lets it.
	var alive []*net.TCPConn
	if !there.brokenR && !back.brokenW && lost != f.src {
		alive = append(alive, f.near)
	}
	if !back.brokenR && !there.brokenW && lost != f.dst {
		alive = append(alive, f.far)
	}
	f.silence(alive...)
}

// silence keeps connections open without a word until packets pass between the two nodes again, then resets them. A
// client that gives up first is let go.
func (f *flow) silence(conns ...*net.TCPConn) {
	var wg sync.WaitGroup
	for _, conn := range conns {
		wg.Go(func() {
			p := pipe{flow: f, r: conn}
			for !f.ended() {
				p.arm()
				if f.sw.fabric.both(f.src, f.dst) {
					break
				}
				if p.fill(); p.end != nil {
					break
				}
			}
			_ = conn.SetLinger(0) // makes Close send RST
			_ = conn.Close()
		})
	}
	wg.Wait()
}

// losePower marks an open connection of this node: it will never carry anything again, even if power returns at once.
func (f *flow) losePower(node string) {
	if node != f.src && node != f.dst {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// A connection that waits for its handshake has nothing to lose at the server's end; one in the middle of it may be open there.
	f.died = f.died || f.shaking && node == f.dst
	if f.far != nil || node == f.src {
		f.lost = node
		f.unblock()
	}
}

// breakUp ends both directions because one side failed.
func (f *flow) breakUp() {
	f.breakOnce.Do(func() { close(f.broken) })
	f.mu.Lock()
	f.unblock()
	f.mu.Unlock()
	f.kick()
}

// unblock ends writes to a side that does not read; the flow carries nothing any more. The caller holds mu.
func (f *flow) unblock() {
	past := time.Unix(1, 0)
	_ = f.near.SetWriteDeadline(past) // fails only on a closed connection
	if f.far != nil {
		_ = f.far.SetWriteDeadline(past)
	}
}

func (f *flow) isBroken() bool {
	select {
	case <-f.broken:
		return true
	default:
		return false
	}
}

// waiting notes whether a direction's sender has gone while its end cannot be passed on. It says true when both have: nobody is
// left to tell.
func (f *flow) waiting(p *pipe, on bool) bool {
	f.mu.Lock()
	if on {
		f.idle[p] = true
	} else {
		delete(f.idle, p)
	}
	f.mu.Unlock()
	if !f.bothGone() {
		return false
	}
	f.breakUp()
	return true
}

func (f *flow) bothGone() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.idle) == 2
}

func (f *flow) lostPower() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// kick wakes whoever reads from the connection, to look at the network again.
func (f *flow) kick() {
	f.mu.Lock()
	defer f.mu.Unlock()
	past := time.Unix(1, 0)
	_ = f.near.SetReadDeadline(past) // fails only on a closed connection, which needs no waking
	if f.far != nil {
		_ = f.far.SetReadDeadline(past)
	}
}

// abandon ends the flow because the switch closes.
func (f *flow) abandon() {
	f.stopOnce.Do(func() { close(f.stop) })
	f.closeBoth()
}

// stopped says whether the copying has to end: the switch closes, or a node lost its power.
func (f *flow) stopped() bool { return f.ended() || (f.far != nil && f.lostPower() != "") }

func (f *flow) ended() bool {
	select {
	case <-f.stop:
		return true
	default:
		return false
	}
}

func (f *flow) closeBoth() {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.near.Close() // closed twice at worst
	if f.far != nil {
		_ = f.far.Close()
	}
}

func (f *flow) register() bool {
	f.sw.mu.Lock()
	defer f.sw.mu.Unlock()
	if f.sw.closed {
		return false
	}
	f.sw.flows[f] = struct{}{}
	return true
}

func (f *flow) unregister() {
	f.sw.mu.Lock()
	defer f.sw.mu.Unlock()
	delete(f.sw.flows, f)
}
