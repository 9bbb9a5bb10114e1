package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"bascule/tests/lab"
)

// demoLimit is the time within which a demonstration must have all guests running again.
const demoLimit = 90 * time.Second

// Demo shows a failover on a lab that is up: power cut, timeline, status, drain. It returns an error unless every guest of
// the victim ran again within demoLimit and every guest runs exactly once at the end.
func Demo(ctx context.Context, l *lab.Lab, out io.Writer) error {
	fmt.Fprintln(out, "waiting until every guest runs under Bascule's protection …")
	if err := AwaitHealthy(ctx, l); err != nil {
		return err
	}
	victim, guests, err := fullest(ctx, l)
	if err != nil {
		return err
	}
	if err := timeline(ctx, l, victim, guests, out); err != nil {
		return err
	}
	survivor := otherThan(l, victim)
	if err := show(ctx, l, out, survivor, "status"); err != nil {
		return err
	}
	fmt.Fprintf(out, "\npower back on %s\n", victim)
	if err := l.PowerOn(ctx, victim); err != nil {
		return err
	}
	if err := AwaitHealthy(ctx, l); err != nil {
		return err
	}
	if err := drainAndBack(ctx, l, out); err != nil {
		return err
	}
	return verdict(l, out)
}

// fullest is the node that runs most guests, and those.
func fullest(ctx context.Context, l *lab.Lab) (string, []int, error) {
	node, most := "", []int(nil)
	for _, name := range l.Names() {
		guests, err := StartedOn(ctx, l, name)
		if err != nil {
			return "", nil, err
		}
		if len(guests) > len(most) {
			node, most = name, guests
		}
	}
	if node == "" {
		return "", nil, errors.New("no guest runs anywhere: there is nothing to show; look at `hactl status`")
	}
	return node, most, nil
}

// timeline cuts the victim's power and prints what happens until its guests run elsewhere.
func timeline(ctx context.Context, l *lab.Lab, victim string, guests []int, out io.Writer) error {
	follow := map[int]*lab.Follower{}
	for _, id := range guests {
		follow[id] = l.Follow(id)
	}
	before, err := AnyEvents(ctx, l, victim)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, e := range before {
		seen[eventKey(e)] = true
	}
	cut, err := l.Kill(ctx, victim)
	if err != nil {
		return err
	}
	say := func(at time.Time, text string) { fmt.Fprintf(out, "%+7.2f s  %s\n", at.Sub(cut).Seconds(), text) }
	fmt.Fprintf(out, "\npower cut of %s, which runs guests %v\n", victim, guests)
	say(cut, "power cut")
	for ; len(follow) > 0; time.Sleep(lookEvery) {
		if time.Since(cut) > demoLimit || ctx.Err() != nil {
			return fmt.Errorf("after %s guests are not running again: %d of %d", time.Since(cut).Round(time.Second), len(follow), len(guests))
		}
		if err := sayFirstLines(follow, victim, say); err != nil {
			return err
		}
		// The survivors are busy electing a leader and may not answer for a moment.
		if events, err := AnyEvents(ctx, l, victim); err == nil {
			sayEvents(events, seen, victim, guests, say)
		}
	}
	return nil
}

// sayFirstLines prints the guests that have begun to write on another node, and stops following them.
func sayFirstLines(follow map[int]*lab.Follower, victim string, say func(time.Time, string)) error {
	for id, f := range follow {
		lines, err := f.Next()
		if err != nil {
			return err
		}
		at := slices.IndexFunc(lines, func(line lab.Line) bool { return line.Node != victim })
		if at >= 0 {
			say(lines[at].At, fmt.Sprintf("guest %d RUNS on %s (its own first line there)", id, lines[at].Node))
			delete(follow, id)
		}
	}
	return nil
}

// sayEvents prints Bascule's new events about the victim and its guests.
func sayEvents(events []lab.DaemonEvent, seen map[string]bool, victim string, guests []int, say func(time.Time, string)) {
	for _, e := range events {
		if seen[eventKey(e)] {
			continue
		}
		seen[eventKey(e)] = true
		about := e.Node == victim && e.Guest == 0 || slices.Contains(guests, e.Guest) || e.Subject == "cluster"
		if about {
			say(e.At, fmt.Sprintf("%s: %s -> %s%s", e.Subject, e.From, e.To, because(e.Reason)))
		}
	}
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

// AnyEvents asks the nodes in turn for Bascule's stored events, all but one, until one answers.
func AnyEvents(ctx context.Context, l *lab.Lab, not string) ([]lab.DaemonEvent, error) {
	var last error
	for _, name := range l.Names() {
		if name == not {
			continue
		}
		events, err := l.DaemonEvents(ctx, name)
		if err == nil {
			return events, nil
		}
		last = err
	}
	return nil, last
}

func otherThan(l *lab.Lab, node string) string {
	for _, n := range l.Names() {
		if n != node {
			return n
		}
	}
	return node
}

// show runs hactl and prints the command with its output. With a node down "degraded", exit code 1, is the right answer to status.
func show(ctx context.Context, l *lab.Lab, out io.Writer, via string, args ...string) error {
	fmt.Fprintf(out, "\n$ hactl %s\n", strings.Join(args, " "))
	text, err := Hactl(ctx, l, via, args...)
	fmt.Fprintln(out, text)
	var exit *exec.ExitError
	if args[0] == "status" && errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hactl %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// drainAndBack drains a node that runs guests, waits until it is empty, and takes the drain back.
func drainAndBack(ctx context.Context, l *lab.Lab, out io.Writer) error {
	node, guests, err := fullest(ctx, l)
	if err != nil {
		return err
	}
	via, start := otherThan(l, node), time.Now()
	if err := show(ctx, l, out, via, "drain", node, "--wait", "--timeout", drainLimit.String()); err != nil {
		return err
	}
	for _, id := range guests {
		if on := l.RunningOn(id); len(on) != 1 || on[0] == node {
			return fmt.Errorf("%s is said to be drained, but guest %d runs on %v", node, id, on)
		}
	}
	fmt.Fprintf(out, "%s is empty after %.1f s; it ran %v\n", node, time.Since(start).Seconds(), guests)
	if err := show(ctx, l, out, via, "undrain", node); err != nil {
		return err
	}
	return AwaitHealthy(ctx, l)
}

// verdict checks that every guest runs exactly once, and ever did.
func verdict(l *lab.Lab, out io.Writer) error {
	var errs []error
	for _, id := range l.Options.GuestIDs() {
		if on := l.RunningOn(id); len(on) != 1 {
			errs = append(errs, fmt.Errorf("guest %d runs on %d nodes: %v", id, len(on), on))
		}
	}
	doubles, err := l.DoubleRuns()
	errs = append(errs, err)
	for _, d := range doubles {
		errs = append(errs, errors.New(d.String()))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the guests are NOT each running exactly once:\n%w", err)
	}
	fmt.Fprintf(out, "\nall %d guests run exactly once, and never ran twice\n", len(l.Options.GuestIDs()))
	return nil
}
