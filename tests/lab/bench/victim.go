package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bascule/tests/lab"
)

// choose names a victim of a kind. Nodes that run guests go first.
func choose(kind Kind, nodes []string, leader, raft string, guests map[string]int) (string, error) {
	if kind == Leader && leader != "" {
		return leader, nil
	}
	if kind == Raft && raft != "" && raft != leader {
		return raft, nil
	}
	best := ""
	for _, n := range nodes {
		if kind != Plain || n == leader || n == raft {
			continue
		}
		if best == "" || guests[n] > guests[best] {
			best = n
		}
	}
	if best == "" {
		return "", fmt.Errorf("%s: %w: the leader is %q and etcd's leader %q of %v", kind, errNoVictim, leader, raft, nodes)
	}
	return best, nil
}

// prepareVictim chooses a victim and sees to it that it runs guests: a node that has just come back runs none, and gets some by draining
// another. Leaders can move meanwhile, so the choice is made again.
func prepareVictim(ctx context.Context, l *lab.Lab, kind Kind) (victim string, alsoRaft bool, err error) {
	deadline := time.Now().Add(apartLimit)
	for tries := 0; tries < 5; {
		s, err := AnyStatus(ctx, l, "")
		if err != nil {
			return "", false, err
		}
		guests := map[string]int{}
		for _, g := range s.Guests {
			if g.State == "started" {
				guests[g.Node]++
			}
		}
		victim, err = choose(kind, l.Names(), s.Leader, s.Etcd.RaftLeader, guests)
		if errors.Is(err, errNoVictim) && time.Now().Before(deadline) && ctx.Err() == nil {
			time.Sleep(time.Second) // raft's leader is moved off the leader's node when all is calm
			continue
		}
		if err != nil {
			return "", false, err
		}
		tries++
		if guests[victim] > 0 {
			return victim, s.Leader == s.Etcd.RaftLeader, nil
		}
		if err := feed(ctx, l, victim, guests); err != nil {
			return "", false, err
		}
	}
	return "", false, fmt.Errorf("%s as the %s victim gets no guest by draining others", victim, kind)
}

// feed moves guests to a node by draining the fullest other one for a while.
func feed(ctx context.Context, l *lab.Lab, victim string, guests map[string]int) error {
	donor := ""
	for _, n := range l.Names() {
		if n != victim && (donor == "" || guests[n] > guests[donor]) {
			donor = n
		}
	}
	if out, err := Hactl(ctx, l, victim, "drain", donor); err != nil {
		return fmt.Errorf("draining %s to give %s guests: %w\n%s", donor, victim, err, out)
	}
	limited, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	drained := lab.Await(limited, donor+" is drained", func(ctx context.Context) error {
		left, err := StartedOn(ctx, l, donor)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("guests %v still run on %s", left, donor)
		}
		return err
	})
	if out, err := Hactl(ctx, l, victim, "undrain", donor); err != nil {
		return fmt.Errorf("undraining %s: %w\n%s", donor, err, out)
	}
	if drained != nil {
		return drained
	}
	return AwaitHealthy(ctx, l)
}
