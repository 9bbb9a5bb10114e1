package journal

import (
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
	"bascule/ha/node"
)

func TestRoundsThatDecideNothing(t *testing.T) {
	var w thinner
	quiet := func(at time.Duration) *round {
		now := ha.Instant(1e9).Add(at)
		return &round{now: now, state: leader.State{Nodes: map[ha.NodeName]leader.NodeMemory{"n1": {}, "n2": {LeaseGone: now}}},
			observation: leader.Observation{Wall: time.Now(), Deadline: now + 5}, decision: leader.Decision{Wake: now + 7}}
	}
	busy := func(at time.Duration) *round {
		r := quiet(at)
		r.decision.Reads = []ha.DeviceCommand{{Device: "d"}}
		return r
	}
	other := func(at time.Duration) *round {
		r := quiet(at)
		r.observation.Store.Revision = 9
		return r
	}
	back := func(at time.Duration) *round {
		r := quiet(at)
		r.state.Nodes["n2"] = leader.NodeMemory{} // an instant that is none now
		return r
	}
	for i, tt := range []struct {
		r    *round
		want bool
	}{
		{quiet(0), true}, {quiet(time.Second), false}, {quiet(59 * time.Second), false}, {quiet(61 * time.Second), true}, {quiet(62 * time.Second), false},
		{other(63 * time.Second), true}, {quiet(64 * time.Second), true}, {busy(65 * time.Second), true}, {busy(66 * time.Second), true},
		{quiet(67 * time.Second), true}, {back(68 * time.Second), true}, {back(69 * time.Second), false},
	} {
		if got := tt.r.worth(&w); got != tt.want {
			t.Errorf("round %d: written: %v, want %v", i, got, tt.want)
		}
	}
}

func TestStepsThatRepeatThemselves(t *testing.T) {
	var w thinner
	held := node.State{Lease: node.Lease{Phase: node.LeaseHeld}}
	renewing := node.State{Lease: node.Lease{Phase: node.LeaseRenewing}}
	mk := func(at time.Duration, before node.State, e node.Event, after node.State, out ...node.Effect) *step {
		now := ha.Instant(1e9).Add(at)
		before.Lease.Deadline, after.Lease.Deadline = now+1, now+2
		return &step{now: now, before: before, event: e, after: after, effects: out, next: now + 3}
	}
	lost := node.State{Lease: node.Lease{Phase: node.LeaseEnding}}
	for i, tt := range []struct {
		s    *step
		want bool
	}{
		{mk(0, held, node.Tick{}, held), false}, // nothing at all
		{mk(1*time.Second, held, node.Tick{}, renewing, node.Renew{ID: 7}), true},
		{mk(2*time.Second, renewing, node.Renewed{ID: 7, Sent: 5, OK: true}, held, node.Permit{Deadline: 8}), true},
		{mk(3*time.Second, held, node.Tick{}, renewing, node.Renew{ID: 7}), false}, // the next renewal
		{mk(4*time.Second, renewing, node.Renewed{ID: 7, Sent: 6, OK: true}, held, node.Permit{Deadline: 9}), false},
		{mk(5*time.Second, renewing, node.Renewed{ID: 7, Sent: 7}, held), true}, // a failed one
		{mk(6*time.Second, held, node.Tick{}, lost), true},                      // the permit ends, without an effect
		{mk(62*time.Second, held, node.Tick{}, renewing, node.Renew{ID: 7}), true},
		{mk(63*time.Second, held, node.StepDone{Guest: 1, Seq: 4, Step: node.StepClaim, Outcome: node.Transient}, held, node.Do{Guest: 1, Seq: 5}), true},
		{mk(64*time.Second, held, node.StepDone{Guest: 1, Seq: 5, Step: node.StepClaim, Outcome: node.Transient}, held, node.Do{Guest: 1, Seq: 6}), false},
		{mk(65*time.Second, held, node.StepDone{Guest: 1, Seq: 6, Step: node.StepClaim, Outcome: node.Done}, held, node.Do{Guest: 1, Seq: 7}), true},
	} {
		if got := tt.s.worth(&w); got != tt.want {
			t.Errorf("step %d: written: %v, want %v", i, got, tt.want)
		}
	}
	for n := range 10 * maxSeen {
		w.keep(uint64(n), 1)
	}
	if len(w.seen) > maxSeen {
		t.Errorf("%d prints are kept, want at most %d", len(w.seen), maxSeen)
	}
}
