package main

import (
	"context"
	"slices"
	"sync"

	"bascule/fencing"
	"bascule/ha"
	"bascule/ha/agent"
	"bascule/ha/api"
	"bascule/ha/ladder"
)

// fenceTester walks the fencing levels of nodes without switching: it knows the plans, and sends reads only.
type fenceTester struct {
	plans    map[ha.NodeName]ladder.Plan
	methods  map[string]string // by device
	timing   ha.Timing         // this node's own: how long a device may take
	executor agent.Executor
}

func newFenceTester(specs []fencing.Spec, plans map[ha.NodeName]ladder.Plan, t ha.Timing, x agent.Executor) fenceTester {
	f := fenceTester{plans: plans, methods: map[string]string{}, timing: t, executor: x}
	for _, s := range specs {
		f.methods[s.Name] = s.Method
	}
	return f
}

// FenceTest implements api.Backend.
func (b backend) FenceTest(ctx context.Context, node ha.NodeName) api.FenceTest {
	return b.tester.run(ctx, b.View(), node)
}

// run tests one node, or all members but witnesses: those are never fenced.
func (t fenceTester) run(ctx context.Context, v api.View, node ha.NodeName) api.FenceTest {
	out := api.FenceTest{Node: v.Self, At: v.Wall.UTC(), SnapshotAge: v.SnapshotAge.Seconds(), Nodes: []api.FenceTestNode{}}
	if v.Snapshot.Leader != nil {
		out.Leader = v.Snapshot.Leader.Node
	}
	var subjects []subject
	for _, m := range v.Members {
		if !m.Witness && (node == "" || node == m.Name) {
			subjects = append(subjects, t.subject(v, m.Name))
		}
	}
	answers := t.read(ctx, subjects)
	for _, s := range subjects {
		out.Nodes = append(out.Nodes, t.tell(s, answers))
	}
	return out
}

// subject is a node under test: what the records say of it, as the leader would have it were it to fence it now.
type subject struct {
	facts    ladder.Facts
	plan     ladder.Plan
	state    ha.NodeState
	watchdog string
	alive    bool // it holds its lease and is heard: its devices must show it so
}

func (t fenceTester) subject(v api.View, n ha.NodeName) subject {
	rec, rep, lease := v.Snapshot.Nodes[n].Rec, v.Snapshot.Reports[n].Rec, v.Snapshot.Leases[n].Rec
	s := subject{plan: t.plans[n], state: rec.State, facts: ladder.Facts{Node: n, Incarnation: rec.Incarnation, SystemUUID: rec.SystemUUID, Checks: slices.Clone(rec.Devices)}}
	if s.state == "" {
		s.state = api.StateUnknown
	}
	if rec.Incarnation != "" && rep.Incarnation == rec.Incarnation {
		s.watchdog = rep.WatchdogDriver
		s.facts.Armed, s.facts.Timing, s.facts.Clients = rep.Armed && rep.WatchdogDriver != "", rep.Timing.Through(rep.WatchdogDriver), rep.Clients
		s.facts.Watches = rep.Watches
		heard := n == v.Self || v.Gossip[n].Alive
		s.alive = lease.Incarnation == rec.Incarnation && heard && v.SnapshotAge <= rep.Timing.LeaseTTL && !s.busy() && rec.State != ha.NodeFenced
	}
	return s
}

// busy says whether the leader needs the node's devices now: each takes one command at a time, and a test must not stand before an "off".
func (s subject) busy() bool { return s.state == ha.NodeFencing || s.state == ha.NodeSuspect }

// read asks every device of the subjects once, all side by side. It returns when all have answered, or twice the time that one
// may take after the beginning.
func (t fenceTester) read(ctx context.Context, subjects []subject) map[string]ha.DeviceReading {
	ctx, cancel := context.WithTimeout(ctx, 2*t.timing.DeviceTimeout)
	defer cancel()
	answers := map[string]ha.DeviceReading{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	asked := map[string]bool{}
	for _, s := range subjects {
		for _, level := range s.plan.Levels {
			for _, d := range level {
				if !d.Kind.Acts() || s.busy() || asked[d.Name] {
					continue
				}
				asked[d.Name] = true
				c := ha.DeviceCommand{Device: d.Name, Node: s.facts.Node, Incarnation: s.facts.Incarnation, Action: ha.DeviceRead, Timeout: t.timing.DeviceTimeout}
				if d.Kind == ha.StorageDevice {
					c.Clients = slices.Clone(s.facts.Clients)
				}
				wg.Go(func() {
					r := t.executor.Do(ctx, c)
					mu.Lock()
					defer mu.Unlock()
					answers[c.Device] = r
				})
			}
		}
	}
	wg.Wait()
	return answers
}
