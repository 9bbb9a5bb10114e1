package netsw

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

type udpKey struct {
	node string
	port int
}

// relay forwards the datagrams that arrive at one public address. The receiver sees the sender's public address as
// their source, because they leave through the sender's own socket: so an answer finds its way back through the switch.
func (s *Switch) relay(at udpKey, conn *net.UDPConn) {
	target := netip.AddrPortFrom(s.nodes[at.node].Bind, uint16(at.port))
	buf := make([]byte, 65536)
	for {
		n, src, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier datagram: nobody listened there, which on a real wire nobody hears
		}
		from, known := s.byIP[src.Addr().Unmap()]
		if !known {
			s.opt.Log("udp: a datagram from %s to %s belongs to no node: dropped", src, at.node)
			continue
		}
		s.forward(from, at, target, buf[:n])
	}
}

func (s *Switch) forward(from string, at udpKey, target netip.AddrPort, data []byte) {
	s.count.add(from, func(c *Counter) { c.SentPackets++; c.SentBytes += int64(len(data)) })
	delay, lost := s.quality.draw(link{from, at.node})
	if lost || !s.fabric.passes(from, at.node) {
		s.count.add(from, func(c *Counter) { c.LostPackets++ })
		return
	}
	out := s.udp[udpKey{from, at.port}]
	deliver := func(data []byte) {
		// A packet under way when the receiver lost its power, or the cable was pulled, is lost as well.
		if !s.fabric.passes(from, at.node) {
			s.count.add(from, func(c *Counter) { c.LostPackets++ })
			return
		}
		s.count.add(at.node, func(c *Counter) { c.RecvPackets++; c.RecvBytes += int64(len(data)) })
		_, _ = out.WriteToUDPAddrPort(data, target) // lost like any datagram
	}
	if delay == 0 {
		deliver(data)
		return
	}
	held := append([]byte(nil), data...)
	s.quality.after(delay, func() { deliver(held) })
}

// quality holds the delay and loss of links, and the datagrams that wait for their time.
type quality struct {
	mu      sync.Mutex
	rng     *rand.Rand
	delay   map[link]time.Duration
	loss    map[link]float64
	timers  map[*time.Timer]struct{}
	stopped bool
}

func newQuality(seed uint64) *quality {
	return &quality{
		rng:   rand.New(rand.NewPCG(seed, 1)),
		delay: map[link]time.Duration{}, loss: map[link]float64{},
		timers: map[*time.Timer]struct{}{},
	}
}

func (q *quality) set(l link, delay time.Duration, loss float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.delay[l], q.loss[l] = delay, loss
}

func (q *quality) draw(l link) (time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lost := q.loss[l] > 0 && q.rng.Float64() < q.loss[l]
	return q.delay[l], lost
}

func (q *quality) after(d time.Duration, do func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		q.mu.Lock()
		delete(q.timers, t)
		stopped := q.stopped
		q.mu.Unlock()
		if !stopped {
			do()
		}
	})
	q.timers[t] = struct{}{}
}

func (q *quality) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	for t := range q.timers {
		t.Stop()
	}
}
