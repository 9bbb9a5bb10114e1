//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha/api"
	"bascule/tests/lab"
)

// problem finds one whose whole text holds all words.
func problem(s api.Status, words ...string) (api.Problem, bool) {
	i := slices.IndexFunc(s.Problems, func(p api.Problem) bool {
		return lineWith(strings.Join([]string{p.Subject, p.What, p.Why, p.Do}, " "), words...) != ""
	})
	if i < 0 {
		return api.Problem{}, false
	}
	return s.Problems[i], true
}

// guestSays waits until a guest is in a state with a reason that holds all words.
func (b *bed) guestSays(limit time.Duration, via string, id int, state string, words ...string) {
	b.t.Helper()
	b.within(limit, fmt.Sprintf("guest %d is in %s and says %q", id, state, words), func(ctx context.Context) error {
		s, err := b.status(ctx, via)
		if err != nil {
			return err
		}
		for _, g := range s.Guests {
			if int(g.VMID) == id && string(g.State) == state && lineWith(g.Reason, words...) != "" {
				return nil
			}
			if int(g.VMID) == id {
				err = fmt.Errorf("it is %s: %s", g.State, g.Reason)
			}
		}
		return err
	})
}

// Two nodes and a witness for the store only: corosync has two votes. It is said beforehand; when a node dies, nothing is recovered, and why
// stands behind each guest.
func TestTwoNodesWithoutQDevice(t *testing.T) {
	b := up(t, lab.Options{Nodes: 2, Witness: true, Guests: 4})
	for _, via := range b.Machines() {
		s, err := b.status(b.ctx, via)
		b.must(err)
		if p, ok := problem(s, "died now", "node1 or node2", "no quorum", "could not be recovered", "pvecm qdevice setup"); !ok || p.Severity != api.Critical {
			t.Errorf("%s does not say beforehand that nothing could be recovered: %+v", via, s.Problems)
		}
	}
	if text, code := b.hactl("node1", "status"); code != 1 || !strings.Contains(text, "qdevice") {
		t.Errorf("hactl status ends with %d:\n%s", code, text)
	}
	victim := b.plain()
	survivor := b.other(victim)
	guests, own := b.guestsOn(victim), b.guestsOn(survivor)
	cut := b.cut(victim)
	for _, id := range guests {
		b.guestSays(40*time.Second, survivor, id, "recovery", "no Proxmox (corosync) quorum", "do not outlast a node", "pvecm qdevice setup")
	}
	b.throughout(time.Until(cut.Add(40*time.Second)), "the dead node's guests run nowhere, the others run on", func(ctx context.Context) error {
		if here := b.guestsOn(survivor); !slices.Equal(here, own) {
			return fmt.Errorf("guests %v run on %s, not %v", here, survivor, own)
		}
		return b.nowhere(guests, cut.Add(time.Second), "")(ctx)
	})
	if text, code := b.hactl(survivor, "status"); code != 1 || !strings.Contains(text, "NO QUORUM") {
		t.Errorf("hactl status ends with %d:\n%s", code, text)
	}
	b.must(b.PowerOn(b.ctx, victim))
	t.Logf("all guests run again %s after the power-on of %s", b.healthy(90*time.Second), victim)
	b.within(10*time.Second, "every guest runs once", b.runOnce(b.Options.GuestIDs()))
	if bad := b.happened(cut.Add(time.Millisecond), survivor, bmcCommand, lab.EventReset, lab.EventPowerCut); len(bad) > 0 {
		t.Errorf("the survivor was touched: %v", bad)
	}
}

// With the witness as corosync's QDevice the death of a node is like any other.
func TestTwoNodesWithQDevice(t *testing.T) {
	b := up(t, lab.Options{Nodes: 2, Witness: true, QDevice: true, Guests: 4})
	s, err := b.status(b.ctx, "node1")
	b.must(err)
	if len(s.Problems) > 0 && s.Problems[0].Severity != api.Info {
		t.Errorf("a well two-node site has problems: %+v", s.Problems)
	}
	victim := b.plain()
	survivor := b.other(victim)
	guests := b.guestsOn(victim)
	cut := b.cut(victim)
	b.within(60*time.Second, fmt.Sprintf("the guests %v run on %s", guests, survivor), b.runOnce(guests, victim))
	for _, id := range guests {
		t.Logf("guest %d: first line %.2f s after the cut", id, b.firstElsewhere(id, cut, victim).Sub(cut).Seconds())
	}
	b.must(b.PowerOn(b.ctx, victim))
	b.healthy(90 * time.Second)
	b.within(10*time.Second, "every guest runs once", b.runOnce(b.Options.GuestIDs()))
	if bad := b.happened(cut.Add(time.Millisecond), survivor, bmcCommand, lab.EventReset, lab.EventPowerCut); len(bad) > 0 {
		t.Errorf("the survivor was touched: %v", bad)
	}
}

// The witness takes the store's third vote and corosync's QDevice with it, and nothing else.
func TestWitnessDies(t *testing.T) {
	b := up(t, lab.Options{Nodes: 2, Witness: true, QDevice: true, Guests: 4})
	before := b.guestPids()
	cut := b.cut(lab.WitnessName)
	b.within(20*time.Second, "the status says what it means", func(ctx context.Context) error {
		s, err := b.status(ctx, "node1")
		if err != nil {
			return err
		}
		if _, ok := problem(s, "witness is silent", "QDevice", "node1 or node2 died", "bring witness back"); !ok {
			return fmt.Errorf("nothing about the QDevice: %+v", s.Problems)
		}
		if _, ok := problem(s, "2 of 3 voters", "it can lose 0 more"); !ok {
			return fmt.Errorf("nothing about the store's vote: %+v", s.Problems)
		}
		return nil
	})
	b.throughout(time.Until(cut.Add(40*time.Second)), "no guest is touched, nobody is suspected", func(ctx context.Context) error {
		if now := b.guestPids(); !maps.Equal(now, before) {
			return fmt.Errorf("guests' processes were %v and are %v", before, now)
		}
		for _, e := range b.bascule(cut, "") {
			if e.Subject == "node node1" || e.Subject == "node node2" {
				return fmt.Errorf("%s: %s -> %s (%s)", e.Subject, e.From, e.To, e.Reason)
			}
		}
		return nil
	})
	b.must(b.PowerOn(b.ctx, lab.WitnessName))
	b.within(60*time.Second, "all is well", func(ctx context.Context) error {
		s, err := b.status(ctx, "node1")
		if err == nil && s.Health != api.HealthOK {
			err = fmt.Errorf("%+v", s.Problems)
		}
		return err
	})
}
