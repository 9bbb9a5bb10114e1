package fencing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

func TestPerhapsIsAMarkAndNoKind(t *testing.T) {
	err := fmt.Errorf("%w: reset by peer", fencing.ErrUnreachable)
	marked := fencing.Perhaps(err)
	if fencing.MayHaveWorked(err) || !fencing.MayHaveWorked(marked) || !fencing.MayHaveWorked(fmt.Errorf("x: %w", marked)) || fencing.MayHaveWorked(nil) {
		t.Error("the mark is lost, or there without being made")
	}
	if fencing.Classify(marked) != fencing.ErrUnreachable || marked.Error() != err.Error() || fencing.Perhaps(nil) != nil || fencing.Perhaps(marked) != marked {
		t.Errorf("%v: the mark changes more than it should", marked)
	}
}

func TestAChildWithoutAnAnswerMayHaveSent(t *testing.T) {
	for name, c := range map[string]struct {
		script  string
		perhaps bool
	}{
		"says nothing":        {`exit 0`, true},
		"fails":               {`exit 3`, true},
		"is killed":           {`kill -9 $$`, true},
		"takes too long":      {`exec sleep 300`, true},
		"accepts and fails":   {`echo '{"accepted":true}'; exit 3`, true},
		"says that it failed": {`echo '{"kind":"refused","text":"no"}'; exit 1`, false},
		"does not know":       {`echo '{"kind":"timeout","text":"lost","perhaps":true}'; exit 1`, true},
		"too late to send":    {`echo '{"kind":"too-late","text":"x"}'; exit 1`, false},
		"accepts":             {`cat >/dev/null; echo '{"accepted":true}'`, false},
	} {
		child := fencing.Child{Path: "/bin/sh", Args: []string{"sh", "-c", c.script}}
		limit := 40 * time.Second
		if name == "takes too long" {
			limit = 200 * time.Millisecond
		}
		err := child.Switch(context.Background(), order("", limit, 2*time.Minute))
		if fencing.MayHaveWorked(err) != c.perhaps {
			t.Errorf("%s: %v, marked %v", name, err, !c.perhaps)
		}
	}
	child := fencing.Child{Path: "/nonexistent/basculed", Args: []string{"basculed"}}
	if err := child.Switch(context.Background(), order("", 40*time.Second, 2*time.Minute)); fencing.MayHaveWorked(err) || !errors.Is(err, fencing.ErrHelper) {
		t.Errorf("never started: %v", err)
	}
}

// wary is a reset service that may say that it must not be asked.
type wary struct {
	closed error
	heard  []error
}

func (*wary) Read(context.Context) error  { return nil }
func (*wary) Reset(context.Context) error { return nil }
func (w *wary) MayAsk() error             { return w.closed }
func (w *wary) Heard(err error)           { w.heard = append(w.heard, err) }

func TestResetsThroughTheExecutor(t *testing.T) {
	lost := fencing.Perhaps(fmt.Errorf("%w: lost", fencing.ErrTimeout))
	refused := fmt.Errorf("%w: no", fencing.ErrRefused)
	for name, c := range map[string]struct {
		closed, send error
		sent         bool
		perhaps      bool
	}{
		"accepted":           {nil, nil, true, false},
		"refused":            {nil, refused, true, false},
		"its answer lost":    {nil, lost, true, true},
		"must not be asked":  {fmt.Errorf("%w: locked", fencing.ErrAuth), nil, false, false},
		"a crash, half-done": {nil, errPanic, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, sent := &wary{closed: c.closed}, false
			m := fencing.Method{Name: "wary", Reset: func(map[string]string) (fencing.ResetDevice, error) { return w, nil }}
			send := func(context.Context, fencing.Order) error {
				sent = true
				if errors.Is(c.send, errPanic) {
					panic("boom")
				}
				return c.send
			}
			e, err := fencing.NewExecutor([]fencing.Spec{{Name: "d", Node: "n", Method: "wary"}}, fencing.Methods{m}, send, fencing.BootNow)
			if err != nil {
				t.Fatal(err)
			}
			r := e.Do(t.Context(), ha.DeviceCommand{Device: "d", Node: "n", Action: ha.DeviceReset, Timeout: 40 * time.Second, Deadline: fencing.BootNow().Add(2 * time.Minute)})
			if sent != c.sent || r.Perhaps != c.perhaps || (r.Problem == "") != (c.sent && c.send == nil) || r.Power != ha.PowerUnknown {
				t.Fatalf("sent %v, %+v", sent, r)
			}
			if r.Problem != "" && !strings.Contains(r.Problem, "having it reset failed") {
				t.Errorf("says %q", r.Problem)
			}
			if told := len(w.heard) == 1; told != (c.sent && !errors.Is(c.send, errPanic)) || told && !errors.Is(w.heard[0], c.send) && c.send != nil {
				t.Errorf("it heard %v", w.heard)
			}
			if r := e.Do(t.Context(), ha.DeviceCommand{Device: "d", Node: "n", Action: ha.DeviceOff, Timeout: 40 * time.Second, Deadline: fencing.BootNow().Add(2 * time.Minute)}); !strings.Contains(r.Problem, fencing.ErrRefused.Error()) {
				t.Errorf("it takes an off: %+v", r)
			}
		})
	}
}

var errPanic = errors.New("the sender crashes")

func TestOnlyAResetIsEverPerhaps(t *testing.T) {
	s := newStubs(t, map[string]func(context.Context) (fencing.Reading, error){"node1": reading(ha.PowerUnknown, errors.New("x"))})
	s.send = func(context.Context, fencing.Order) error { return fencing.Perhaps(fencing.ErrTimeout) }
	for _, a := range []ha.DeviceAction{ha.DeviceOff, ha.DeviceOn, ha.DeviceRead} {
		if r := s.Do(t.Context(), command("node1", a)); r.Perhaps || r.Problem == "" {
			t.Errorf("%s: %+v", a, r)
		}
	}
	if r := s.Do(t.Context(), command("node1", ha.DeviceReset)); r.Perhaps || !strings.Contains(r.Problem, fencing.ErrRefused.Error()) {
		t.Errorf("a power switch takes a reset: %+v", r)
	}
}
