package leader

import (
	"fmt"
	"testing"
	"time"

	"bascule/ha"
)

// bigWorld has so many nodes with so many running guests each.
func bigWorld(t testing.TB, nodes, each int) *world {
	w := newWorld(t, nodes)
	for i, m := range w.leader.Members {
		w.report(m.Name, func(r *ha.NodeReport) {
			r.Memory = 1 << 40
			for k := range each {
				r.Guests = append(r.Guests, ha.GuestSeen{ID: ha.VMID(100 + i*each + k), Name: "web", Kind: ha.QEMU, Protected: true, Running: true, Memory: 1 << 30, Storages: []string{"ceph"}})
			}
		})
	}
	w.run(2)
	s := w.snapshot()
	for _, id := range sorted(s.Guests) {
		w.put(ha.KeyGuestReport(s.Guests[id].Rec.Node, id), ha.GuestReport{Guest: id, Node: s.Guests[id].Rec.Node, Incarnation: boot(s.Guests[id].Rec.Node), Generation: s.Guests[id].Rec.Generation, Phase: ha.PhaseRunning})
	}
	w.run(2)
	if got := len(w.snapshot().Guests); got != nodes*each {
		t.Fatalf("%d guests are protected, want %d", got, nodes*each)
	}
	return w
}

// TestBigTransactions lets a node die and restores the store among 32 nodes: everything is decided, in transactions that any etcd takes
// (world.apply looks).
func TestBigTransactions(t *testing.T) {
	w := bigWorld(t, 32, 8)
	w.die("n32")
	w.run(30)
	s := w.snapshot()
	moved := 0
	for id := ha.VMID(100 + 31*8); id < 100+32*8; id++ {
		if g := s.Guests[id].Rec; g.Node != "n32" && g.State == ha.GuestStarting {
			moved++
		}
	}
	if moved != 8 {
		t.Errorf("%d of the dead node's 8 guests were placed", moved)
	}

	cluster := s.Cluster.Rec
	cluster.Epoch++
	w.put(ha.KeyCluster, cluster)
	for _, m := range w.leader.Members[:31] {
		w.report(m.Name, func(r *ha.NodeReport) { r.Epoch = cluster.Epoch })
	}
	w.run(30)
	s = w.snapshot()
	rebuilt := 0
	for _, id := range sorted(s.Guests) {
		if s.Guests[id].Rec.Epoch == cluster.Epoch {
			rebuilt++
		}
	}
	if rebuilt != 32*8 {
		t.Errorf("after a restore %d of 256 guests were assigned anew", rebuilt)
	}
}

// BenchmarkDecide is one round of the leader over 32 nodes and 500 guests: one in which nothing happens, and the one that places the
// guests of a dead node.
func BenchmarkDecide(b *testing.B) {
	for _, c := range []struct {
		name        string
		nodes, each int
		dies        bool
	}{{"idle", 32, 16, false}, {"recover-16-of-500", 32, 16, true}, {"recover-100-of-500", 5, 100, true}} {
		b.Run(c.name, func(b *testing.B) {
			w := bigWorld(b, c.nodes, c.each)
			if c.dies {
				last := ha.NodeName(fmt.Sprintf("n%d", c.nodes))
				w.die(last)
				for range 100 {
					w.run(1)
					if w.node(last).State == ha.NodeFenced {
						break
					}
				}
			}
			o := Observation{Wall: time.Unix(1700000000, int64(w.now)), Self: self, Term: w.term, Deadline: w.now.Add(4 * time.Second), Timing: w.tm,
				Store: w.snapshot(), Gossip: w.gossip, Corosync: w.coro}
			d := w.leader.Decide(w.now, w.state, o)
			b.ReportMetric(float64(len(d.Commits)), "commits")
			for b.Loop() {
				w.leader.Decide(w.now, w.state, o)
			}
		})
	}
}
