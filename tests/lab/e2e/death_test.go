//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bascule/tests/lab"
)

// cut cuts the power of several nodes at once and returns the last cut's moment.
func (b *bed) cut(nodes ...string) time.Time {
	b.t.Helper()
	at, errs := make([]time.Time, len(nodes)), make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() { at[i], errs[i] = b.Kill(b.ctx, n) })
	}
	wg.Wait()
	b.must(errors.Join(errs...))
	return slices.MaxFunc(at, time.Time.Compare)
}

func TestTwoOfFiveDie(t *testing.T) {
	b := up(t, lab.Options{Nodes: 5, Guests: 10})
	first, _ := b.leader()
	if len(b.guestsOn(first)) == 0 {
		first = b.plain()
	}
	second := b.plain(first)
	guests := slices.Concat(b.guestsOn(first), b.guestsOn(second))
	cut := b.cut(first, second)
	b.within(60*time.Second, fmt.Sprintf("the guests %v of %s and %s run elsewhere", guests, first, second), b.runOnce(guests, first, second))
	b.within(20*time.Second, "every guest runs once", b.runOnce(b.Options.GuestIDs(), first, second))
	for _, id := range guests {
		line, ok, err := b.LastLine(id)
		b.must(err)
		from, _, err := b.FirstLineAfter(id, cut, "")
		b.must(err)
		t.Logf("guest %d: first line %.2f s after the cut, now on %s (%v)", id, from.At.Sub(cut).Seconds(), line.Node, ok)
	}
}

func TestTwoOfThreeDie(t *testing.T) {
	b := up(t, lab.Options{})
	leader, _ := b.leader()
	survivor := b.plain()
	dead := slices.DeleteFunc(b.Names(), func(n string) bool { return n == survivor })
	own := b.guestsOn(survivor)
	others := slices.DeleteFunc(b.Options.GuestIDs(), func(id int) bool { return slices.Contains(own, id) })
	cut := b.cut(dead...)
	t.Logf("%s led; %v are dead, %s survives with guests %v", leader, dead, survivor, own)

	// The store is dead with its quorum. That the others are off is read from their BMCs for every renewal: the survivor keeps its guests.
	b.throughout(time.Until(cut.Add(40*time.Second)), "the survivor's guests run on and nobody starts anything", func(ctx context.Context) error {
		if here := b.guestsOn(survivor); !slices.Equal(here, own) {
			return fmt.Errorf("guests %v run on %s, not %v", here, survivor, own)
		}
		return b.nowhere(others, cut.Add(time.Second), "")(ctx)
	})
	b.mustExplain(survivor, dead)
	if resets := b.happened(cut, "", lab.EventReset); len(resets) > 0 {
		t.Errorf("nodes were reset: %v", resets)
	}
	if off := b.happened(cut, "", bmcCommand); len(off) > 0 {
		t.Errorf("power was switched without a quorum: %v", off)
	}

	for _, n := range dead {
		b.must(b.PowerOn(b.ctx, n))
	}
	t.Logf("all guests run again %s after power-on", b.healthy(90*time.Second))
	b.within(10*time.Second, "every guest runs once", b.runOnce(b.Options.GuestIDs()))
}

// mustExplain checks that a lone survivor says why nothing happens and what to do.
func (b *bed) mustExplain(survivor string, dead []string) {
	b.t.Helper()
	s, err := b.status(b.ctx, survivor)
	b.must(err)
	p, ok := critical(s, "no quorum", "nothing is started", dead[0], dead[1])
	if !ok {
		b.t.Errorf("the status of %s has no critical problem that names the missing quorum, the silent voters %v and that nothing is started: %+v", survivor, dead, s.Problems)
	} else if p.Do == "" {
		b.t.Errorf("the problem %q says not what to do", p.What)
	}
	if s.Etcd.Available {
		b.t.Errorf("the status of %s says that etcd is available: %+v", survivor, s.Etcd)
	}
	text, code := b.hactl(survivor, "status")
	if code != 1 && code != 2 {
		b.t.Errorf("hactl status ends with %d, not 1 or 2", code)
	}
	for _, word := range []string{"no quorum", "nothing is started", dead[0], dead[1]} {
		if flat := strings.Join(strings.Fields(text), " "); !strings.Contains(flat, word) {
			b.t.Errorf("hactl status does not say %q:\n%s", word, text)
		}
	}
}
