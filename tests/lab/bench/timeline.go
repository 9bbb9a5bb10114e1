package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"bascule/tests/lab"
)

// timeline follows the loss of a node and prints what happens when.
type timeline struct {
	lab    *lab.Lab
	victim string
	guests []int
	out    io.Writer

	lost
	follow   map[int]*lab.Follower
	seen     map[string]bool // Bascule's events
	hardware int64           // the lab's events, up to here
	lines    []happened      // found in this round, to be printed in their order
}

// happened is one line of the timeline.
type happened struct {
	at   time.Time
	text string
}

// lose takes a node away and prints what happens until its guests run elsewhere. The result is a line for programs. Where a message
// is to end it, its network is cut and the node lives on to read it; else its power is cut.
func lose(ctx context.Context, l *lab.Lab, victim string, guests []int, out io.Writer) (result string, err error) {
	t := &timeline{lab: l, victim: victim, guests: guests, out: out, follow: map[int]*lab.Follower{}, seen: map[string]bool{}}
	e, err := expect(l.Options)
	if err != nil {
		return "", err
	}
	for _, id := range guests {
		t.follow[id] = l.Follow(id)
	}
	before, err := AnyEvents(ctx, l, victim)
	if err != nil {
		return "", err
	}
	for _, event := range before {
		t.seen[eventKey(event)] = true
	}
	if _, t.hardware, err = l.Events(0); err != nil {
		return "", err
	}
	if err := t.strike(ctx); err != nil {
		return "", err
	}
	if err := t.watch(ctx); err != nil {
		return "", err
	}
	text, result, err := e.judge(l.Options, t.lost)
	if err == nil {
		fmt.Fprintln(out, text)
	}
	return result, err
}

func (t *timeline) strike(ctx context.Context) (err error) {
	if t.lab.Options.Fencing != lab.SBD {
		fmt.Fprintf(t.out, "\npower cut of %s, which runs guests %v\n", t.victim, t.guests)
		if t.cut, err = t.lab.Kill(ctx, t.victim); err == nil {
			t.add(t.cut, "power cut")
		}
		return err
	}
	fmt.Fprintf(t.out, "\n%s, which runs guests %v, is cut off from the network; it lives, and still reaches the shared disk\n", t.victim, t.guests)
	t.cut = time.Now()
	t.add(t.cut, "network cut")
	return t.lab.Cut(ctx, t.victim, "", false)
}

// watch prints until every guest runs elsewhere.
func (t *timeline) watch(ctx context.Context) error {
	for ; len(t.follow) > 0; time.Sleep(lookEvery) {
		if time.Since(t.cut) > demoLimit || ctx.Err() != nil {
			return fmt.Errorf("after %s guests are not running again: %d of %d", time.Since(t.cut).Round(time.Second), len(t.follow), len(t.guests))
		}
		t.lookAtProofs(ctx)
		if err := t.addHardware(); err != nil {
			return err
		}
		if err := t.addFirstLines(); err != nil {
			return err
		}
		// The survivors are busy electing a leader and may not answer for a moment.
		if events, err := AnyEvents(ctx, t.lab, t.victim); err == nil {
			t.addEvents(events)
		}
		t.print()
	}
	s, err := t.lab.Status(ctx)
	for _, n := range s.Nodes {
		t.downed = t.downed || n.Name == t.victim && n.Power == "off"
	}
	return err
}

// lookAtProofs notes the moments from which waits are reckoned.
func (t *timeline) lookAtProofs(ctx context.Context) {
	asked := time.Now()
	if s, err := AnyStatus(ctx, t.lab, t.victim); err == nil && s.Leased(t.victim) {
		t.lease = asked
	}
	if info, err := os.Stat(t.lab.SBDDisk()); err == nil && t.pill.IsZero() && info.ModTime().After(t.cut) {
		t.pill = info.ModTime()
		t.add(t.pill, "the shared disk is written to")
	}
}

// addHardware adds what the lab's machines did.
func (t *timeline) addHardware() error {
	events, next, err := t.lab.Events(t.hardware)
	t.hardware = next
	for _, e := range events {
		if text := hardwareText(e); e.Node == t.victim && e.At().After(t.cut) && text != "" {
			t.add(e.At(), text)
		}
	}
	return err
}

// hardwareText words an event of the lab, or is empty for one that belongs to the lab's own workings.
func hardwareText(e lab.Event) string {
	switch e.Kind {
	case "bmc-command":
		return "the BMC of " + e.Node + " takes the command " + e.Detail
	case lab.EventKeys:
		return e.Node + ": " + e.Detail
	case lab.EventPowerOff:
		return e.Node + ": " + e.Detail
	case lab.EventReset:
		return e.Node + " is reset: " + e.Detail
	}
	return ""
}

// addFirstLines adds the guests that have begun to write on another node, and stops following them.
func (t *timeline) addFirstLines() error {
	for id, f := range t.follow {
		lines, err := f.Next()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(lines, func(line lab.Line) bool { return line.Node != t.victim })
		if i < 0 {
			continue
		}
		at := lines[i].At
		t.add(at, fmt.Sprintf("guest %d RUNS on %s (its own first line there)", id, lines[i].Node))
		if t.first.IsZero() || at.Before(t.first) {
			t.first = at
		}
		if at.After(t.all) {
			t.all = at
		}
		delete(t.follow, id)
	}
	return nil
}

// addEvents adds Bascule's new events about the victim and its guests.
func (t *timeline) addEvents(events []lab.DaemonEvent) {
	for _, e := range events {
		if t.seen[eventKey(e)] {
			continue
		}
		t.seen[eventKey(e)] = true
		if e.Node == t.victim && e.Guest == 0 && e.To == "fenced" {
			t.proof = e.Reason
		}
		if e.Node == t.victim && e.Guest == 0 || slices.Contains(t.guests, e.Guest) || e.Subject == "cluster" {
			t.add(e.At, fmt.Sprintf("%s: %s -> %s%s", e.Subject, e.From, e.To, because(e.Reason)))
		}
	}
}

func (t *timeline) add(at time.Time, text string) { t.lines = append(t.lines, happened{at, text}) }

// print prints what was found in this round, the oldest first.
func (t *timeline) print() {
	slices.SortStableFunc(t.lines, func(a, b happened) int { return a.at.Compare(b.at) })
	for _, line := range t.lines {
		fmt.Fprintf(t.out, "%+7.2f s  %s\n", line.at.Sub(t.cut).Seconds(), line.text)
	}
	t.lines = nil
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func eventKey(e lab.DaemonEvent) string {
	return fmt.Sprint(e.At.UnixNano(), e.Subject, e.From, e.To, e.Reason)
}
