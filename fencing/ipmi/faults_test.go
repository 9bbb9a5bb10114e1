package ipmi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
	"bascule/ha/waittest"
)

func TestOneSessionAndFewMessages(t *testing.T) {
	waittest.BestOf(t, func() string { // what is answered late is asked again
		c := newController(t, plain)
		d := open(t, c.settings())
		if _, err := d.Read(within(t, ample)); err != nil {
			t.Fatal(err)
		}
		read := len(settled(c.wire))
		if err := d.Off(within(t, ample)); err != nil {
			t.Fatal(err)
		}
		if off := len(settled(c.wire)) - read; read != 6 || off != 6 {
			return fmt.Sprintf("a read took %d datagrams, an off %d; want 6 (three to open, GUID, status, close) and 6 (three, privilege, control, close)", read, off)
		}
		return ""
	})
}

// settled waits until the last datagram (the close is not waited for) is through.
func settled(w *wire) []seen {
	for {
		n := len(w.sent())
		time.Sleep(100 * time.Millisecond)
		if got := w.sent(); len(got) == n {
			return got
		}
	}
}

func TestEachMessageMayGetLost(t *testing.T) {
	t.Parallel()
	for lost := range 5 {
		for _, back := range []bool{false, true} {
			c := newController(t, plain)
			n := -1
			drop := func(p []byte) [][]byte {
				if n++; n == lost {
					return nil
				}
				return [][]byte{p}
			}
			if back {
				c.hooks(nil, drop)
			} else {
				c.hooks(drop, nil)
			}
			began := time.Now()
			if err := open(t, c.settings()).Off(within(t, ample)); err != nil || c.Power() != ha.PowerOff {
				t.Errorf("datagram %d lost (answer: %v): %v after %v, machine %s", lost, back, err, time.Since(began), c.Power())
			}
			for _, a := range c.Heard() {
				if a != ha.DeviceOff {
					t.Errorf("heard %v", c.Heard())
				}
			}
		}
	}
}

// A controller may take the copy of a login's first message for a new one and forget the old: the login is begun once more.
func TestEachMessageMayComeTwice(t *testing.T) {
	t.Parallel()
	for n := range 6 {
		for _, back := range []bool{false, true} {
			c := newController(t, plain)
			at := -1
			twice := func(p []byte) [][]byte {
				if at++; at == n {
					return [][]byte{p, p}
				}
				return [][]byte{p}
			}
			if back {
				c.hooks(nil, twice)
			} else {
				c.hooks(twice, nil)
			}
			d := open(t, c.settings())
			if err := d.Off(within(t, ample)); err != nil {
				t.Errorf("datagram %d twice (answer: %v): off: %v", n, back, err)
			}
			if r, err := d.Read(within(t, ample)); err != nil || r.Power != ha.PowerOff {
				t.Errorf("datagram %d twice (answer: %v): %+v, %v", n, back, r, err)
			}
		}
	}
}

func TestItDiesHalfWay(t *testing.T) {
	t.Parallel()
	for after := range 5 {
		c := newController(t, plain)
		n := -1
		c.hooks(nil, func(p []byte) [][]byte {
			if n++; n >= after {
				return nil
			}
			return [][]byte{p}
		})
		r, err := open(t, c.settings()).Read(within(t, 400*time.Millisecond))
		if !errors.Is(err, fencing.ErrTimeout) || r.Power != ha.PowerUnknown {
			t.Errorf("silent after %d answers: %+v, %v; want a time-out", after, r, err)
		}
	}
	c := newController(t, plain)
	c.hooks(nil, func(p []byte) [][]byte { // the port closes after the second message
		if kind(p) == kindRakp2 {
			go c.cut()
			return nil
		}
		return [][]byte{p}
	})
	if err := open(t, c.settings()).Off(within(t, ample)); !errors.Is(err, fencing.ErrUnreachable) || len(c.Heard()) != 0 {
		t.Errorf("the port closed half-way: %v, heard %v; want unreachable", err, c.Heard())
	}
}

func TestNothingIsSentAfterItsTime(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func() (context.Context, context.CancelFunc){
		"deadline": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 700*time.Millisecond)
		},
		"cancelled": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(700*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		waittest.BestOf(t, func() string { return sentAfterItsTime(t, name, end) })
	}
	c := newController(t, plain)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := open(t, c.settings()).Off(ctx); !errors.Is(err, fencing.ErrTimeout) || len(settled(c.wire)) != 0 {
		t.Errorf("a context that is over before: %v, %d datagrams", err, len(c.sent()))
	}
}

// sentAfterItsTime lets an off whose answers get lost end in the middle, and says what is wrong with what was sent: how often it is asked
// again depends on the machine, too.
func sentAfterItsTime(t *testing.T, name string, end func() (context.Context, context.CancelFunc)) string {
	c := newController(t, plain)
	inSession := 0
	c.hooks(func(p []byte) [][]byte { // the privilege is raised, the chassis control gets lost, again and again
		if kind(p) == kindIPMI {
			if inSession++; inSession > 1 {
				return nil
			}
		}
		return [][]byte{p}
	}, nil)
	ctx, cancel := end()
	err := open(t, c.settings()).Off(ctx)
	over := time.Now()
	cancel()
	if !errors.Is(err, fencing.ErrTimeout) || len(c.Heard()) != 0 {
		t.Errorf("%s: %v, heard %v; want a time-out", name, err, c.Heard())
	}
	time.Sleep(2500 * time.Millisecond) // the next retransmissions would be due after 1 s and 2 s
	c.hooks(nil, nil)
	sent, late := c.sent(), 0
	place := map[string]bool{}
	for _, s := range sent {
		if s.at.After(over) {
			late++
		}
		if at := string(s.p[10:14]); kind(s.p) == kindIPMI && place[at] {
			t.Errorf("%s: two datagrams have the same place in the session: the controller drops the second", name)
		} else {
			place[at] = true
		}
	}
	// Three to open, the privilege, two controls (at once and after 0.5 s), and the one that closes, whose answer nobody awaits.
	if len(sent) != 7 || late > 1 {
		return fmt.Sprintf("%s: %d datagrams, %d of them after the end; want 7 and at most the one that closes", name, len(sent), late)
	}
	return ""
}

func TestABusyControllerIsAskedAgain(t *testing.T) {
	t.Parallel()
	c := newController(t, plain)
	d := open(t, c.settings())
	c.set(func() { c.busy = 3 })
	if r, err := d.Read(within(t, ample)); err != nil || r.Power != ha.PowerOn {
		t.Errorf("busy three times: %+v, %v", r, err)
	}
	c.set(func() { c.busy = 2 })
	if err := d.Off(within(t, ample)); err != nil || c.Power() != ha.PowerOff {
		t.Errorf("busy twice: %v", err)
	}
	c.set(func() { c.busy = 1 << 30 })
	waittest.BestOf(t, func() string { // it must be heard before the time is over
		_, err := d.Read(within(t, 600*time.Millisecond))
		if !errors.Is(err, fencing.ErrTimeout) {
			t.Errorf("always busy: %v, want a time-out", err)
		} else if !strings.Contains(err.Error(), "busy") {
			return err.Error()
		}
		return ""
	})
}
