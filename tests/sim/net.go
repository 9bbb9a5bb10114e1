package sim

import (
	"math/rand/v2"
	"time"
)

// NetKind is one of the networks of the machine room; faults on one leave the others alone.
type NetKind uint8

// The networks. On NetMgmt a BMC's endpoint is "bmc:"+device; on NetStorage a storage's endpoint is "disk:"+name.
const (
	NetCluster  NetKind = iota // gossip, etcd, peer permits
	NetCorosync                // corosync's own links
	NetStorage                 // from a host to its shared disks
	NetMgmt                    // BMCs
	netKinds
)

// netDelay is how long a packet takes, least and most.
var netDelay = [netKinds][2]time.Duration{
	NetCluster:  {100 * time.Microsecond, 600 * time.Microsecond},
	NetCorosync: {100 * time.Microsecond, 600 * time.Microsecond},
	NetStorage:  {100 * time.Microsecond, 500 * time.Microsecond},
	NetMgmt:     {time.Millisecond, 5 * time.Millisecond},
}

const (
	loopback      = 30 * time.Microsecond  // from a node to itself, which no fault touches
	retransmit    = 200 * time.Millisecond // first repetition of a lost segment; each next takes twice as long
	streamGivesUp = 15 * time.Second       // a stream without progress for so long is dropped, silently
)

// netLink is a direction of a network, from one endpoint to another; "*" stands for all of them.
type netLink struct {
	kind     NetKind
	from, to string
}

// Net is all networks: who reaches whom, how slowly, and how much is lost.
type Net struct {
	loop *Loop
	rng  *rand.Rand
	cuts map[netLink]int // how many faults cut it
	cut  [netKinds]int   // how many cut directions each network has: 0 is the fast path
	loss map[netLink]float64
	slow map[netLink]time.Duration
}

// NewNet returns healthy networks.
func NewNet(l *Loop) *Net {
	return &Net{loop: l, rng: l.Rand("net"), cuts: map[netLink]int{}, loss: map[netLink]float64{}, slow: map[netLink]time.Duration{}}
}

// Send carries one datagram: it comes once, later, or never.
func (n *Net) Send(k NetKind, from, to string, deliver func()) {
	d := n.takes(k, from, to)
	if n.drops(k, from, to) {
		return
	}
	n.loop.After(d, deliver)
}

// Stream carries bytes of a connection: what is lost is sent again after 200 ms, 400 ms …; after 15 s in vain it is gone
// without a word. Two pieces may overtake each other, as those of two connections do.
func (n *Net) Stream(k NetKind, from, to string, deliver func()) {
	n.stream(k, from, to, deliver, 0, retransmit)
}

func (n *Net) stream(k NetKind, from, to string, deliver func(), waited, pause time.Duration) {
	d := n.takes(k, from, to)
	if !n.drops(k, from, to) {
		n.loop.After(d, deliver)
		return
	}
	if waited+pause > streamGivesUp {
		return
	}
	n.loop.After(pause, func() { n.stream(k, from, to, deliver, waited+pause, 2*pause) })
}

// Reaches says whether this direction is not cut now.
func (n *Net) Reaches(k NetKind, from, to string) bool {
	if n.cut[k] == 0 || from == to {
		return true
	}
	for _, l := range links(k, from, to) {
		if n.cuts[l] > 0 {
			return false
		}
	}
	return true
}

// Both says whether neither direction is cut now.
func (n *Net) Both(k NetKind, a, b string) bool {
	return n.cut[k] == 0 || n.Reaches(k, a, b) && n.Reaches(k, b, a)
}

// Within says whether both directions work well enough for an exchange that must not take longer than rtt: uncut, not slower,
// and without heavy loss (repetition copes with less).
func (n *Net) Within(k NetKind, a, b string, rtt time.Duration) bool {
	const heavy = 0.8
	if !n.Both(k, a, b) {
		return false
	}
	if len(n.slow) == 0 && len(n.loss) == 0 || a == b {
		return true
	}
	return n.extra(k, a, b)+n.extra(k, b, a) <= rtt && n.lossOf(k, a, b) < heavy && n.lossOf(k, b, a) < heavy
}

// Cut cuts one direction, or heals it. Cuts are counted: each must be healed. Healing what is whole does nothing.
func (n *Net) Cut(k NetKind, from, to string, on bool) {
	l := netLink{k, from, to}
	switch {
	case on:
		n.cuts[l]++
		n.cut[k]++
	case n.cuts[l] > 0:
		n.cuts[l]--
		n.cut[k]--
	}
}

// Loss lets this share of the packets of a direction be lost; 0 heals it.
func (n *Net) Loss(k NetKind, from, to string, p float64) {
	setOrDrop(n.loss, netLink{k, from, to}, p)
}

// Delay makes every packet of a direction take so much longer; 0 heals it.
func (n *Net) Delay(k NetKind, from, to string, d time.Duration) {
	setOrDrop(n.slow, netLink{k, from, to}, d)
}

// takes draws how long a packet takes.
func (n *Net) takes(k NetKind, from, to string) time.Duration {
	if from == to {
		return loopback
	}
	d := netDelay[k][0] + time.Duration(n.rng.Int64N(int64(netDelay[k][1]-netDelay[k][0])))
	return d + n.extra(k, from, to)
}

// extra is a direction's delay by faults.
func (n *Net) extra(k NetKind, from, to string) (d time.Duration) {
	if len(n.slow) > 0 {
		for _, l := range links(k, from, to) {
			d += n.slow[l]
		}
	}
	return d
}

// lossOf is a direction's loss, that of the worst fault on it.
func (n *Net) lossOf(k NetKind, from, to string) (p float64) {
	if len(n.loss) > 0 {
		for _, l := range links(k, from, to) {
			p = max(p, n.loss[l])
		}
	}
	return p
}

// drops says whether a packet sent now is lost.
func (n *Net) drops(k NetKind, from, to string) bool {
	if from == to {
		return false
	}
	if !n.Reaches(k, from, to) {
		return true
	}
	p := n.lossOf(k, from, to)
	return p > 0 && n.rng.Float64() < p
}

// links are the names under which a fault may lie on this direction.
func links(k NetKind, from, to string) [4]netLink {
	return [4]netLink{{k, from, to}, {k, "*", to}, {k, from, "*"}, {k, "*", "*"}}
}

func setOrDrop[V float64 | time.Duration](m map[netLink]V, l netLink, v V) {
	if v > 0 {
		m[l] = v
	} else {
		delete(m, l)
	}
}
