package fencing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// stub is a device made of functions.
type stub struct {
	read func(ctx context.Context) (fencing.Reading, error)
}

func (s stub) Read(ctx context.Context) (fencing.Reading, error) { return s.read(ctx) }
func (stub) Off(context.Context) error                           { return nil }
func (stub) On(context.Context) error                            { return nil }

// stubs makes an executor over one stub per node and a switcher that counts.
type stubs struct {
	*fencing.Executor
	clock atomic.Int64
	sent  atomic.Int64
	send  fencing.Switcher
}

func newStubs(t *testing.T, reads map[string]func(context.Context) (fencing.Reading, error)) *stubs {
	t.Helper()
	m := fencing.Method{Name: "stub",
		Keys:  []fencing.Key{{Name: "code", Secret: true, Doc: "x"}},
		Power: func(s map[string]string) (fencing.PowerDevice, error) { return stub{reads[s["node"]]}, nil }}
	s := &stubs{}
	s.clock.Store(int64(100 * time.Second))
	var specs []fencing.Spec
	for n := range reads {
		specs = append(specs, fencing.Spec{Name: "d-" + n, Node: ha.NodeName(n), Method: "stub", Settings: map[string]string{"node": n, "code": "hunter2"}})
	}
	send := func(ctx context.Context, o fencing.Order) error {
		s.sent.Add(1)
		if s.send != nil {
			return s.send(ctx, o)
		}
		return nil
	}
	e, err := fencing.NewExecutor(specs, fencing.Methods{m}, send, s.now)
	if err != nil {
		t.Fatal(err)
	}
	s.Executor = e
	return s
}

func (s *stubs) now() ha.Instant { return ha.Instant(s.clock.Load()) }

func reading(p ha.Power, err error) func(context.Context) (fencing.Reading, error) {
	return func(context.Context) (fencing.Reading, error) {
		return fencing.Reading{Power: p, SystemUUID: "uuid\x1b[31m\n"}, err
	}
}

func command(node string, a ha.DeviceAction) ha.DeviceCommand {
	return ha.DeviceCommand{Device: "d-" + node, Node: ha.NodeName(node), Incarnation: "b", Action: a, Term: 1,
		Deadline: ha.Instant(200 * time.Second), Timeout: 50 * time.Second}
}

func TestWhatIsNeverSent(t *testing.T) {
	s := newStubs(t, map[string]func(context.Context) (fencing.Reading, error){"node1": reading(ha.PowerOn, nil)})
	now := s.now()
	for _, c := range []struct {
		name   string
		change func(*ha.DeviceCommand)
		want   error
	}{
		{"unknown device", func(c *ha.DeviceCommand) { c.Device = "d-node9" }, fencing.ErrSettings},
		{"another node's device", func(c *ha.DeviceCommand) { c.Node = "node2" }, fencing.ErrWrongMachine},
		{"a power cycle", func(c *ha.DeviceCommand) { c.Action = "cycle" }, fencing.ErrRefused},
		{"a revocation by a power switch", func(c *ha.DeviceCommand) { c.Action = ha.DeviceRevoke }, fencing.ErrRefused},
		{"a poison pill by a power switch", func(c *ha.DeviceCommand) { c.Action = ha.DevicePoison }, fencing.ErrRefused},
		{"no action", func(c *ha.DeviceCommand) { c.Action = "" }, fencing.ErrRefused},
		{"no time-out", func(c *ha.DeviceCommand) { c.Timeout = 0 }, fencing.ErrTimeout},
		{"no deadline", func(c *ha.DeviceCommand) { c.Deadline = 0 }, fencing.ErrTooLate},
		{"deadline passed", func(c *ha.DeviceCommand) { c.Deadline = now - 1 }, fencing.ErrTooLate},
		{"deadline nearer than the time-out", func(c *ha.DeviceCommand) { c.Deadline = now.Add(49 * time.Second) }, fencing.ErrTooLate},
		{"deadline just as far", func(c *ha.DeviceCommand) { c.Deadline = now.Add(50 * time.Second) }, fencing.ErrTooLate},
	} {
		cmd := command("node1", ha.DeviceOff)
		c.change(&cmd)
		r := s.Do(context.Background(), cmd)
		if !strings.Contains(r.Problem, c.want.Error()) || !strings.Contains(r.Problem, cmd.Device) || r.Power != ha.PowerUnknown {
			t.Errorf("%s: %+v; want %v", c.name, r, c.want)
		}
		if s.sent.Load() != 0 {
			t.Fatalf("%s: it was sent", c.name)
		}
	}
	cmd := command("node1", ha.DeviceOff)
	cmd.Deadline = now.Add(50*time.Second + 1)
	if r := s.Do(context.Background(), cmd); r.Problem != "" || s.sent.Load() != 1 {
		t.Errorf("in time: %+v, sent %d times", r, s.sent.Load())
	}
}

func TestAReadNeedsNoLeadership(t *testing.T) {
	s := newStubs(t, map[string]func(context.Context) (fencing.Reading, error){"node1": reading(ha.PowerOff, nil)})
	cmd := command("node1", ha.DeviceRead)
	cmd.Deadline, cmd.Term = 0, 0
	r := s.Do(context.Background(), cmd)
	if r.Power != ha.PowerOff || r.Problem != "" || r.SystemUUID != "uuid [31m" || r.Asked != s.now() || r.Answered != s.now() {
		t.Errorf("%+v", r)
	}
}

func TestOnlyACleanReadingTellsThePower(t *testing.T) {
	for _, c := range []struct {
		name string
		read func(context.Context) (fencing.Reading, error)
		want string
	}{
		{"off with an error", reading(ha.PowerOff, fencing.ErrRubbish), fencing.ErrRubbish.Error()},
		{"an invented word", reading("OFF", nil), "does not say whether"},
		{"unknown", reading(ha.PowerUnknown, nil), "does not say whether"},
		{"a crash", func(context.Context) (fencing.Reading, error) { panic("index out of range") }, "please report"},
	} {
		s := newStubs(t, map[string]func(context.Context) (fencing.Reading, error){"node1": c.read})
		r := s.Do(context.Background(), command("node1", ha.DeviceRead))
		if r.Power != ha.PowerUnknown || !strings.Contains(r.Problem, c.want) || !strings.Contains(r.Problem, "Next: ") {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

func TestProblemsHoldNoSecretsAndNoControlCharacters(t *testing.T) {
	err := fmt.Errorf("%w: bad code hunter2\x1b[2J\r\nNov 3 basculed: all is well %s", fencing.ErrAuth, strings.Repeat("x", 5000))
	s := newStubs(t, map[string]func(context.Context) (fencing.Reading, error){"node1": reading(ha.PowerOn, err)})
	s.send = func(context.Context, fencing.Order) error { return err }
	for _, a := range []ha.DeviceAction{ha.DeviceRead, ha.DeviceOff, ha.DeviceOn} {
		p := s.Do(context.Background(), command("node1", a)).Problem
		if strings.Contains(p, "hunter2") || strings.ContainsAny(p, "\x1b\r\n") || len(p) > 800 || !strings.Contains(p, fencing.ErrAuth.Error()) {
			t.Errorf("%s: %q", a, p)
		}
	}
}

func TestOneCommandPerDeviceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside, most atomic.Int64
		read := func(context.Context) (fencing.Reading, error) {
			if n := inside.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer inside.Add(-1)
			time.Sleep(100 * time.Millisecond) // of the bubble's time: until nobody else can come in
			return fencing.Reading{Power: ha.PowerOn}, nil
		}
		s := newStubs(t, map[string]func(context.Context) (fencing.Reading, error){"node1": read})
		s.send = func(ctx context.Context, _ fencing.Order) error { _, err := read(ctx); return err }
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				a := []ha.DeviceAction{ha.DeviceRead, ha.DeviceOff}[i%2]
				if r := s.Do(context.Background(), command("node1", a)); r.Problem != "" {
					t.Errorf("%s", r.Problem)
				}
			})
		}
		wg.Wait()
		if most.Load() != 1 {
			t.Errorf("%d commands at once on one device", most.Load())
		}
	})
}

func TestAHungDeviceHoldsUpNobody(t *testing.T) {
	release := make(chan struct{})
	deaf := func(context.Context) (fencing.Reading, error) { // ignores its context
		<-release
		return fencing.Reading{Power: ha.PowerOff}, nil
	}
	s := newStubs(t, map[string]func(context.Context) (fencing.Reading, error){"node1": deaf, "node2": reading(ha.PowerOn, nil)})
	hung := command("node1", ha.DeviceRead)
	hung.Timeout = 50 * time.Millisecond
	if r := s.Do(context.Background(), hung); r.Power != ha.PowerUnknown || !strings.Contains(r.Problem, fencing.ErrTimeout.Error()) {
		t.Errorf("hung: %+v", r)
	}
	if r := s.Do(context.Background(), command("node2", ha.DeviceRead)); r.Power != ha.PowerOn {
		t.Errorf("the other device: %+v", r)
	}
	if r := s.Do(context.Background(), hung); r.Power != ha.PowerUnknown || !strings.Contains(r.Problem, "earlier command") {
		t.Errorf("still hung: %+v", r)
	}
	close(release)
	if r := s.Do(context.Background(), command("node1", ha.DeviceRead)); r.Power != ha.PowerOff {
		t.Errorf("released: %+v", r)
	}
}

func TestTheClockIsReadAgainAfterWaiting(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	slow := func(context.Context) (fencing.Reading, error) {
		close(started)
		<-release
		return fencing.Reading{Power: ha.PowerOn}, nil
	}
	s := newStubs(t, map[string]func(context.Context) (fencing.Reading, error){"node1": slow})
	go s.Do(context.Background(), command("node1", ha.DeviceRead))
	<-started
	got := make(chan ha.DeviceReading)
	go func() { got <- s.Do(context.Background(), command("node1", ha.DeviceOff)) }()
	s.clock.Store(int64(198 * time.Second)) // 2 s before the deadline, the time-out is 50 s
	close(release)
	if r := <-got; !strings.Contains(r.Problem, fencing.ErrTooLate.Error()) || s.sent.Load() != 0 {
		t.Errorf("%+v, sent %d", r, s.sent.Load())
	}
}

func TestCancelEndsACommand(t *testing.T) {
	s := newStubs(t, map[string]func(context.Context) (fencing.Reading, error){"node1": func(ctx context.Context) (fencing.Reading, error) {
		<-ctx.Done()
		return fencing.Reading{}, ctx.Err()
	}})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	cmd := command("node1", ha.DeviceRead)
	cmd.Timeout = time.Hour
	if r := s.Do(ctx, cmd); r.Problem == "" || r.Power != ha.PowerUnknown {
		t.Errorf("%+v", r)
	}
}

func TestBadDevicesAreAStartUpError(t *testing.T) {
	_, err := fencing.NewExecutor([]fencing.Spec{{Name: "x", Node: "node1", Method: "ipmi"}}, nil, nil, fencing.BootNow)
	if !errors.Is(err, fencing.ErrSettings) {
		t.Errorf("%v", err)
	}
}
