package sim

import (
	"testing"
	"time"

	"bascule/ha"
)

// gossipWorld is a gossip of some nodes that have all seen each other.
type gossipWorld struct {
	l     *Loop
	n     *Net
	g     *Gossip
	procs map[string]*Proc
	moved map[string]int // how often each was told of a change
}

func newGossipWorld(t *testing.T, seed uint64, nodes ...string) *gossipWorld {
	t.Helper()
	l := NewLoop(seed, nil)
	n := NewNet(l)
	timing, err := ha.Profile("normal")
	if err != nil {
		t.Fatal(err)
	}
	w := &gossipWorld{l: l, n: n, g: NewGossip(l, n, timing), procs: map[string]*Proc{}, moved: map[string]int{}}
	for _, name := range nodes {
		w.start(name)
	}
	w.run(3 * time.Second)
	for _, a := range nodes {
		for _, b := range nodes {
			if !w.sees(a, b).Alive {
				t.Fatalf("%s does not see %s", a, b)
			}
		}
	}
	return w
}

func (w *gossipWorld) start(node string) {
	p := NewProc(w.l, NewClock(w.l, 0), node)
	w.procs[node] = p
	w.g.Join(node, p, func() { w.moved[node]++ })
}

func (w *gossipWorld) run(d time.Duration) { w.l.Run(w.l.Now() + d) }

func (w *gossipWorld) sees(a, b string) ha.GossipView { return w.g.View(a)[ha.NodeName(b)] }

// until runs until a's view of b is as wanted and returns how long that took, at most 20 s.
func (w *gossipWorld) until(a, b string, alive bool) time.Duration {
	at := w.l.Now()
	for w.sees(a, b).Alive != alive && w.l.Now() < at+20*time.Second {
		w.run(10 * time.Millisecond)
	}
	return w.l.Now() - at
}

func TestGossipDelays(t *testing.T) {
	for seed := range uint64(20) {
		w := newGossipWorld(t, seed, "a", "b", "c")
		told := w.moved["a"]
		w.procs["b"].Kill()
		if d := w.until("a", "b", false); d < 900*time.Millisecond || d > 1900*time.Millisecond {
			t.Errorf("seed %d: death noticed after %v", seed, d)
		}
		if d := w.until("c", "b", false); d > 250*time.Millisecond {
			t.Errorf("seed %d: the other one believes it %v later", seed, d)
		}
		if v := w.sees("a", "b"); !v.Known || v.Leaving {
			t.Errorf("seed %d: %+v", seed, v)
		}
		w.run(time.Millisecond)
		if w.moved["a"] == told {
			t.Errorf("seed %d: nobody was told", seed)
		}
		w.start("b")
		if v := w.sees("b", "a"); v.Known {
			t.Errorf("seed %d: a restarted process remembers: %+v", seed, v)
		}
		if d := w.until("a", "b", true); d < 100*time.Millisecond || d > 1100*time.Millisecond {
			t.Errorf("seed %d: return noticed after %v", seed, d)
		}
		if d := w.until("b", "a", true); d > time.Second {
			t.Errorf("seed %d: the restarted one learns after %v", seed, d)
		}
	}
}

func TestGossipPaths(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  func(w *gossipWorld)
		ab, ac bool // a sees b, c after five seconds
		ba     bool
	}{
		{"healthy", func(*gossipWorld) {}, true, true, true},
		{"a and b do not reach each other, c helps", func(w *gossipWorld) { w.n.Cut(NetCluster, "a", "b", true); w.n.Cut(NetCluster, "b", "a", true) }, true, true, true},
		{"one way only, c helps", func(w *gossipWorld) { w.n.Cut(NetCluster, "a", "b", true) }, true, true, true},
		{"c cannot help", func(w *gossipWorld) { w.n.Cut(NetCluster, "a", "b", true); w.procs["c"].Kill() }, false, false, false},
		{"b is not heard", func(w *gossipWorld) { w.n.Cut(NetCluster, "b", "*", true) }, false, true, false},
		{"b is stopped", func(w *gossipWorld) { w.procs["b"].Stop() }, false, true, true},
		{"dead switch", func(w *gossipWorld) { w.n.Cut(NetCluster, "*", "*", true) }, false, false, false},
		{"two short stops", func(w *gossipWorld) {
			for i := range 2 {
				at := time.Duration(i) * 1200 * time.Millisecond
				w.l.After(at, w.procs["b"].Stop)
				w.l.After(at+800*time.Millisecond, w.procs["b"].Continue)
			}
			w.l.After(2*time.Second, func() {
				if w.moved["a"] != w.moved["c"] || !w.sees("a", "b").Alive {
					w.n.Cut(NetCluster, "*", "*", true) // two stops were taken for one
				}
			})
		}, true, true, true},
		{"20 % loss", func(w *gossipWorld) { w.n.Loss(NetCluster, "*", "*", 0.2) }, true, true, true},
		{"b is a second away", func(w *gossipWorld) { w.n.Delay(NetCluster, "*", "b", time.Second) }, false, true, false},
		{"another network is cut", func(w *gossipWorld) { w.n.Cut(NetCorosync, "*", "*", true) }, true, true, true},
		{"a short stop", func(w *gossipWorld) {
			w.procs["b"].Stop()
			w.l.After(800*time.Millisecond, w.procs["b"].Continue)
		}, true, true, true},
	} {
		w := newGossipWorld(t, 3, "a", "b", "c")
		c.fault(w)
		w.run(5 * time.Second)
		if got := [3]bool{w.sees("a", "b").Alive, w.sees("a", "c").Alive, w.sees("b", "a").Alive}; got != [3]bool{c.ab, c.ac, c.ba} {
			t.Errorf("%s: %v", c.name, got)
		}
		if !w.sees("a", "a").Alive {
			t.Errorf("%s: a takes itself for dead", c.name)
		}
	}
}

func TestGossipLeave(t *testing.T) {
	w := newGossipWorld(t, 4, "a", "b", "c")
	w.n.Cut(NetCluster, "c", "*", true) // does not hear of it
	w.g.Leave("b")
	w.run(250 * time.Millisecond)
	if v := w.sees("a", "b"); !v.Known || v.Alive || !v.Leaving {
		t.Errorf("a sees %+v", v)
	}
	w.run(3 * time.Second) // it goes on listening
	if w.sees("a", "b").Alive {
		t.Error("one that has left is alive again")
	}
	w.procs["b"].Kill()
	w.run(5 * time.Second)
	if v := w.sees("c", "b"); v.Alive || v.Leaving {
		t.Errorf("c sees %+v", v)
	}
	if v := w.sees("a", "b"); v.Alive || !v.Leaving {
		t.Errorf("later a sees %+v", v)
	}
	w.n.Cut(NetCluster, "c", "*", false)
	w.start("b")
	w.run(2 * time.Second)
	if v := w.sees("a", "b"); !v.Alive || v.Leaving {
		t.Errorf("back again: %+v", v)
	}
}

func TestGossipFalseDead(t *testing.T) {
	w := newGossipWorld(t, 5, "a", "b", "c")
	w.g.FalseDead("a", "b", 2*time.Second)
	if d := w.until("a", "b", false); d > 300*time.Millisecond {
		t.Errorf("begins after %v", d)
	}
	if !w.sees("c", "b").Alive {
		t.Error("c believes it, too")
	}
	if d := w.until("a", "b", true); d < 1700*time.Millisecond || d > 3200*time.Millisecond {
		t.Errorf("lasts %v", d)
	}
}

func TestGossipViewsAreNotChangedLater(t *testing.T) {
	w := newGossipWorld(t, 6, "a", "b")
	v := w.g.View("a")
	w.procs["b"].Kill()
	w.run(3 * time.Second)
	if !v["b"].Alive || w.sees("a", "b").Alive {
		t.Errorf("%+v, now %+v", v, w.sees("a", "b"))
	}
}
