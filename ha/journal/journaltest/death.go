// Package journaltest makes journals for tests: the decisions about a node that dies, made by the real machines in a small world that
// is always the same.
package journaltest

import (
	"context"
	"maps"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/journal"
	"bascule/ha/leader"
	"bascule/ha/node"
	"bascule/ha/placement"
)

// Began is the wall clock of the first decision.
func Began() time.Time { return time.Date(2026, 8, 3, 14, 29, 0, 0, time.UTC) }

// world is a store and a clock around one leader.
type world struct {
	now    ha.Instant
	rev    int64
	kv     map[string]ha.KV
	gossip map[ha.NodeName]ha.GossipView
	state  leader.State
	timing ha.Timing
}

// Death writes the journal of node1, which leads while node2 dies, an operator confirms it, and the guest of node2 is placed
// anew; then a few steps of node1's own machine. The last entry is a renewal that waits for its answer.
func Death(dir string) error {
	w := &world{now: 1e9, rev: 10, kv: map[string]ha.KV{}, gossip: map[ha.NodeName]ha.GossipView{}}
	var err error
	if w.timing, err = ha.Profile("normal"); err != nil {
		return err
	}
	wall := func() time.Time { return Began().Add(w.now.Sub(1e9)) }
	j := journal.New(journal.Config{Dir: dir, Version: "test", Node: "node1", Boot: "boot-node1", Wall: wall})
	w.rounds(j, wall)
	w.steps(j)
	ended, end := context.WithCancel(context.Background())
	end()
	j.Run(ended) // writes what waits, and returns
	return nil
}

func (w *world) put(key string, v any) {
	w.rev++
	w.kv[key] = ha.KV{Key: key, Value: ha.Encode(v), ModRev: w.rev, CreateRev: w.rev}
}

// register makes a node a living member.
func (w *world) register(n ha.NodeName, guests ...ha.GuestSeen) {
	inc, lease := ha.Incarnation("boot-"+string(n)), ha.LeaseID(w.rev)
	w.put(ha.KeyLease(n), ha.LeaseRecord{Node: n, Incarnation: inc, Lease: lease})
	w.put(ha.KeyReport(n), ha.NodeReport{Schema: 1, Node: n, Incarnation: inc, Lease: lease, Timing: w.timing, Memory: 16 << 30, Quorate: true,
		Storages: []ha.StorageReport{{Name: "ceph", Shared: true, Active: true}}, Guests: guests})
	w.gossip[n] = ha.GossipView{Known: true, Alive: true}
}

// rounds records from when all is well.
func (w *world) rounds(j *journal.Journal, wall func() time.Time) {
	for _, n := range []ha.NodeName{"node1", "node3"} {
		w.register(n)
	}
	w.register("node2", ha.GuestSeen{ID: 101, Kind: ha.QEMU, Name: "web", Protected: true, Running: true, Memory: 1 << 30, Storages: []string{"ceph"}})
	for range 3 {
		w.round(nil, wall)
	}
	w.now = w.now.Add(w.timing.LeaseTTL) // a fresh leader fences nobody
	w.put(ha.KeyGuestReport("node2", 101), ha.GuestReport{Guest: 101, Node: "node2", Incarnation: "boot-node2", Generation: 1, Phase: ha.PhaseRunning})
	for range 2 {
		w.round(nil, wall)
	}
	for range 2 {
		w.round(j, wall)
	}
	w.rev++
	delete(w.kv, ha.KeyLease("node2"))
	w.gossip = maps.Clone(w.gossip)
	w.gossip["node2"] = ha.GossipView{Known: true}
	for range 3 {
		w.round(j, wall)
	}
	w.put(ha.KeyRequest("r1"), ha.Request{ID: "r1", Kind: ha.RequestConfirmOff, Node: "node2", Incarnation: "boot-node2", By: "ada", At: wall()})
	for range 3 {
		w.round(j, wall)
	}
}

// round decides, records that unless j is nil, and makes true what was decided.
func (w *world) round(j *journal.Journal, wall func() time.Time) {
	w.now = w.now.Add(100 * time.Millisecond)
	var kvs []ha.KV
	for _, k := range slices.Sorted(maps.Keys(w.kv)) {
		kvs = append(kvs, w.kv[k])
	}
	snap, errs := ha.DecodeSnapshot(w.rev, kvs)
	if len(errs) > 0 {
		panic(errs)
	}
	snap.Term = 5
	l := leader.Leader{Placer: placement.Placer{}, Options: leader.Options{MaxRelocate: 1, ParallelMoves: 1,
		Members: []ha.Member{{Name: "node1", Address: "10.0.0.1"}, {Name: "node2", Address: "10.0.0.2"}, {Name: "node3", Address: "10.0.0.3"}}}}
	o := leader.Observation{Wall: wall(), Self: "node1", Term: 5, Deadline: w.now.Add(4 * time.Second), Timing: w.timing, Store: snap, Gossip: w.gossip}
	d := l.Decide(w.now, w.state, o)
	if j != nil {
		j.Round(w.now, l.Options, w.state, o, d)
	}
	w.state = d.State
	for _, c := range d.Commits {
		for _, p := range c.Txn.Puts {
			w.rev++
			w.kv[p.Key] = ha.KV{Key: p.Key, Value: p.Value, ModRev: w.rev, CreateRev: 1}
		}
		for _, k := range c.Txn.Dels {
			w.rev++
			delete(w.kv, k)
		}
	}
}

// steps is a node that takes its lease.
func (w *world) steps(j *journal.Journal) {
	c := node.Config{Self: "node1", Incarnation: "boot-node1", Timing: w.timing, MaxRestart: 1, ParallelStarts: 2}
	s := node.State{Guests: map[ha.VMID]node.Guest{}, Lease: node.Lease{Phase: node.LeaseEnding}}
	for _, e := range []node.Event{node.Tick{}, node.GuardSeen{Connected: true, Clean: true}, node.Granted{Sent: w.now, ID: 7, OK: true},
		node.Registered{ID: 7, OK: true, Rev: 20}, node.Tick{}} {
		after, out, next := c.Step(w.now, s, e)
		j.Step(w.now, c, s, e, after, out, next)
		s, w.now = after, w.now.Add(time.Second)
	}
}
