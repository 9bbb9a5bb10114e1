//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/tests/lab"
)

// A store that is dead for everybody stops no guest: the nodes promise each other not to recover their guests, over gossip's own
// encrypted connections. When it is back all re-arms by itself.
func TestDeadStoreStopsNoGuest(t *testing.T) {
	t.Parallel()
	b := up(t, calm(lab.Options{}))
	before := map[string][]int{}
	for _, n := range b.Names() {
		before[n] = b.guestsOn(n)
	}
	at := time.Now()
	b.must(b.Etcd(b.ctx, false))
	still := func(context.Context) error {
		for _, n := range b.Names() {
			if here := b.guestsOn(n); !slices.Equal(here, before[n]) {
				return fmt.Errorf("guests %v run on %s, not %v", here, n, before[n])
			}
		}
		return nil
	}
	b.throughout(15*time.Second, "every guest runs on where it is", still)
	for _, n := range b.Names() {
		b.within(5*time.Second, n+" says that the store is away, and freezes all", func(ctx context.Context) error {
			s, err := b.status(ctx, n)
			if err != nil {
				return err
			}
			if _, ok := critical(s, "store", "nothing is started"); !ok {
				return fmt.Errorf("%s does not say that the store is away: %+v", n, s.Problems)
			}
			for _, g := range s.Guests {
				if g.State != ha.GuestFrozen {
					return fmt.Errorf("%s shows guest %d as %s (%s), not frozen", n, g.VMID, g.State, g.Reason)
				}
			}
			return still(ctx)
		})
	}
	b.within(5*time.Second, "hactl status says on whose word the guests run", func(ctx context.Context) error {
		if text, _ := b.hactl(b.Names()[0], "status"); !strings.Contains(strings.Join(strings.Fields(text), " "), "promised") {
			return errors.New(text)
		}
		return still(ctx)
	})
	b.throughout(40*time.Second, "every guest runs on where it is", still) // beyond any lease that there was
	b.must(b.Etcd(b.ctx, true))
	t.Logf("all in order again %s after the store's return", b.healthy(60*time.Second))
	b.throughout(5*time.Second, "every guest runs on where it is", still)
	if ends := b.happened(at, "", lab.EventReset, bmcCommand); len(ends) > 0 {
		t.Errorf("nodes were reset or switched: %v", ends)
	}
}
