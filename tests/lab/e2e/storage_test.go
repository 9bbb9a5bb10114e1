//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/tests/lab"
)

// storages of the lab, with half of the guests on each.
const first, second = "ceph-vm", "ceph-data"

// says waits until a node's own looks say this of a storage.
func (b *bed) says(node, storage string, want ha.StorageState) time.Duration {
	b.t.Helper()
	return b.within(time.Minute, fmt.Sprintf("%s says that %s is %s", node, storage, want), func(ctx context.Context) error {
		s, err := b.status(ctx, node)
		if err != nil {
			return err
		}
		for _, x := range s.Storages {
			for _, n := range x.Nodes {
				if x.Name == storage && string(n.Node) == node {
					if n.State != want {
						return fmt.Errorf("it says %q (%s)", n.State, n.Problem)
					}
					return nil
				}
			}
		}
		return fmt.Errorf("it says nothing")
	})
}

// use sorts a node's guests by the storage that they are on.
func (b *bed) use(node string) map[string][]int {
	b.t.Helper()
	out := map[string][]int{}
	for _, id := range b.guestsOn(node) {
		s := first
		if i := slices.Index(b.Options.GuestIDs(), id); i/b.Options.Nodes%2 == 1 {
			s = second
		}
		out[s] = append(out[s], id)
	}
	return out
}

// where is on which node each guest runs.
func (b *bed) where() string {
	out := ""
	for _, id := range b.Options.GuestIDs() {
		out += fmt.Sprintf("%d%v ", id, b.RunningOn(id))
	}
	return out
}

// TestSlowStorageMovesNobody: one node finds a storage slow, and says so; it counts as good, and nobody moves.
func TestSlowStorageMovesNobody(t *testing.T) {
	b := up(t, lab.Options{Storages: true})
	for _, n := range b.Names() {
		b.says(n, first, ha.StorageGood)
	}
	node := b.plain()
	at := b.where()
	b.must(b.Storage(b.ctx, node, first, "slow"))
	slow := func(ctx context.Context) error {
		s, err := b.status(ctx, node)
		if err != nil {
			return err
		}
		for _, x := range s.Storages {
			for _, n := range x.Nodes {
				if x.Name == first && string(n.Node) == node && n.State == ha.StorageGood &&
					slices.ContainsFunc(n.Notes, func(note string) bool { return strings.Contains(note, "answers slowly") }) {
					return nil
				}
			}
		}
		return fmt.Errorf("its status does not say so: %+v", s.Storages)
	}
	took := b.within(2*time.Minute, node+" says that it is good and slow", slow)
	t.Logf("told after %s", took.Round(time.Second))
	b.throughout(40*time.Second, "nobody moves", func(context.Context) error {
		if now := b.where(); now != at {
			return fmt.Errorf("%s, it was %s", now, at)
		}
		return nil
	})
}

// TestStorageLostByOneNode: exactly its guests on that storage move, nothing moves back; lost by all, nobody moves.
func TestStorageLostByOneNode(t *testing.T) {
	for _, fault := range []string{"fail", "hang"} {
		t.Run(fault, func(t *testing.T) {
			b := up(t, lab.Options{Storages: true})
			for _, n := range b.Names() {
				b.says(n, first, ha.StorageGood)
			}
			node := b.plain()
			mine := b.use(node)
			if len(mine[first]) == 0 || len(mine[second]) == 0 {
				t.Fatalf("%s runs %v", node, mine)
			}
			before := map[string]bool{}
			for _, id := range b.Options.GuestIDs() {
				before[fmt.Sprint(id, b.RunningOn(id))] = true
			}
			b.must(b.Storage(b.ctx, node, first, fault))
			lost := time.Now()
			took := b.within(2*time.Minute, fmt.Sprintf("guests %v leave %s", mine[first], node), b.runOnce(mine[first], node))
			t.Logf("%s: %v left %s after %s", fault, mine[first], node, took.Round(100*time.Millisecond))
			for _, id := range mine[first] {
				t.Logf("guest %d: last write on %s %s, first elsewhere %s after the fault", id, node,
					b.lastOn(id, node).Sub(lost).Round(time.Millisecond), b.firstElsewhere(id, lost, node).Sub(lost).Round(time.Millisecond))
			}
			for _, id := range b.Options.GuestIDs() {
				if !slices.Contains(mine[first], id) && !before[fmt.Sprint(id, b.RunningOn(id))] {
					t.Errorf("guest %d was moved, too: %v", id, b.RunningOn(id))
				}
			}
			if got := b.happened(lost, "", lab.EventPowerOff); len(got) > 0 {
				t.Errorf("somebody was fenced: %+v", got)
			}

			b.must(b.Storage(b.ctx, node, first, "heal"))
			b.says(node, first, ha.StorageGood)
			at := b.where()
			b.throughout(40*time.Second, "nothing moves back", func(context.Context) error {
				if now := b.where(); now != at {
					return fmt.Errorf("%s, it was %s", now, at)
				}
				return nil
			})

			for _, n := range b.Names() {
				b.must(b.Storage(b.ctx, n, second, fault))
			}
			for _, n := range b.Names() {
				b.within(time.Minute, n+" has lost it", func(ctx context.Context) error {
					s, err := b.status(ctx, n)
					if err == nil {
						if _, told := critical(s, second, "works on no node"); !told {
							err = fmt.Errorf("its status does not say so: %v", s.Problems)
						}
					}
					return err
				})
			}
			b.throughout(40*time.Second, "nobody moves when it is down for all", func(context.Context) error {
				if now := b.where(); now != at {
					return fmt.Errorf("%s, it was %s", now, at)
				}
				return nil
			})
			for _, n := range b.Names() {
				b.must(b.Storage(b.ctx, n, second, "heal"))
			}
			b.healthy(time.Minute)
		})
	}
}
