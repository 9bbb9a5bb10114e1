package sim

import (
	"testing"
	"time"
)

func TestNetCuts(t *testing.T) {
	type cut struct {
		from, to string
		on       bool
	}
	for _, c := range []struct {
		name   string
		cuts   []cut
		ab, ba bool
		ac     bool
	}{
		{name: "whole", ab: true, ba: true, ac: true},
		{name: "one way", cuts: []cut{{"a", "b", true}}, ab: false, ba: true, ac: true},
		{name: "healed", cuts: []cut{{"a", "b", true}, {"a", "b", false}}, ab: true, ba: true, ac: true},
		{name: "two faults, one healed", cuts: []cut{{"a", "b", true}, {"a", "b", true}, {"a", "b", false}}, ab: false, ba: true, ac: true},
		{name: "nobody hears a", cuts: []cut{{"a", "*", true}}, ab: false, ba: true, ac: false},
		{name: "a hears nobody", cuts: []cut{{"*", "a", true}}, ab: true, ba: false, ac: true},
		{name: "dead switch", cuts: []cut{{"*", "*", true}}},
		{name: "healing what is whole does not count", cuts: []cut{{"a", "b", false}, {"a", "b", true}}, ab: false, ba: true, ac: true},
	} {
		n := NewNet(NewLoop(1, nil))
		for _, x := range c.cuts {
			n.Cut(NetCluster, x.from, x.to, x.on)
		}
		got := [4]bool{n.Reaches(NetCluster, "a", "b"), n.Reaches(NetCluster, "b", "a"), n.Reaches(NetCluster, "a", "c"), n.Reaches(NetCluster, "a", "a")}
		if got != [4]bool{c.ab, c.ba, c.ac, true} {
			t.Errorf("%s: %v", c.name, got)
		}
		if !n.Reaches(NetMgmt, "a", "b") {
			t.Errorf("%s: another network is cut", c.name)
		}
		if n.Both(NetCluster, "a", "b") != (c.ab && c.ba) {
			t.Errorf("%s: both ways", c.name)
		}
	}
}

// arrivals sends n things and returns when they came.
func arrivals(l *Loop, send func(deliver func()), n int, until time.Duration) (at []time.Duration) {
	for range n {
		send(func() { at = append(at, l.Now()) })
	}
	l.Run(until)
	return at
}

func TestNetDelivery(t *testing.T) {
	const k = NetCluster
	for _, c := range []struct {
		name     string
		stream   bool
		fault    func(*Loop, *Net)
		min, max int           // how many of 200 arrive
		by       time.Duration // the last
		after    time.Duration // none before
	}{
		{name: "datagrams", min: 200, max: 200, after: 100 * time.Microsecond, by: time.Millisecond},
		{name: "slow", fault: func(_ *Loop, n *Net) { n.Delay(k, "*", "b", time.Second) }, min: 200, max: 200, after: time.Second, by: 1001 * time.Millisecond},
		{name: "healed slowness", fault: func(_ *Loop, n *Net) { n.Delay(k, "a", "b", time.Second); n.Delay(k, "a", "b", 0) }, min: 200, max: 200, by: time.Millisecond},
		{name: "lossy", fault: func(_ *Loop, n *Net) { n.Loss(k, "a", "b", 0.3) }, min: 110, max: 170, by: time.Millisecond},
		{name: "lossy stream", stream: true, fault: func(_ *Loop, n *Net) { n.Loss(k, "a", "b", 0.3) }, min: 200, max: 200, by: 13 * time.Second},
		{name: "cut", fault: func(_ *Loop, n *Net) { n.Cut(k, "a", "b", true) }},
		{name: "stream over a short cut", stream: true, fault: func(l *Loop, n *Net) {
			n.Cut(k, "a", "b", true)
			l.After(time.Second, func() { n.Cut(k, "a", "b", false) })
		}, min: 200, max: 200, after: time.Second, by: 1500 * time.Millisecond},
		{name: "stream over a long cut", stream: true, fault: func(l *Loop, n *Net) {
			n.Cut(k, "a", "b", true)
			l.After(16*time.Second, func() { n.Cut(k, "a", "b", false) })
		}},
		{name: "the other direction is cut", fault: func(_ *Loop, n *Net) { n.Cut(k, "b", "a", true) }, min: 200, max: 200, by: time.Millisecond},
	} {
		l := NewLoop(7, nil)
		n := NewNet(l)
		if c.fault != nil {
			c.fault(l, n)
		}
		got := arrivals(l, func(f func()) {
			if c.stream {
				n.Stream(k, "a", "b", f)
			} else {
				n.Send(k, "a", "b", f)
			}
		}, 200, time.Minute)
		if len(got) < c.min || len(got) > c.max {
			t.Errorf("%s: %d arrive", c.name, len(got))
			continue
		}
		if len(got) > 0 && (got[0] < c.after || got[len(got)-1] > c.by) {
			t.Errorf("%s: from %v to %v", c.name, got[0], got[len(got)-1])
		}
	}
}
