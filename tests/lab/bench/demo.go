package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"bascule/tests/lab"
)

// demoLimit is the time within which a demonstration must have all guests running again.
const demoLimit = 90 * time.Second

// Demo shows a failover on a lab that is up: what fencing would do, a node that is lost, timeline, status, drain. It returns an error
// unless every guest of the victim ran again within demoLimit, by the proof that the lab's way of fencing gives and not before that proof
// may exist, and every guest runs exactly once at the end.
func Demo(ctx context.Context, l *lab.Lab, out io.Writer) error {
	fmt.Fprintln(out, "waiting until every guest runs under Bascule's protection and every node can be fenced …")
	if err := AwaitHealthy(ctx, l); err != nil {
		return err
	}
	if err := awaitFenceable(ctx, l); err != nil {
		return err
	}
	victim, guests, err := fullest(ctx, l)
	if err != nil {
		return err
	}
	survivor := otherThan(l, victim)
	if err := show(ctx, l, out, survivor, "fence", "test", victim); err != nil {
		return err
	}
	result, err := lose(ctx, l, victim, guests, out)
	if err != nil {
		return err
	}
	if err := show(ctx, l, out, survivor, "status"); err != nil {
		return err
	}
	if err := giveBack(ctx, l, victim, out); err != nil {
		return err
	}
	if err := AwaitHealthy(ctx, l); err != nil {
		return err
	}
	if err := drainAndBack(ctx, l, out); err != nil {
		return err
	}
	if err := verdict(l, out); err != nil {
		return err
	}
	fmt.Fprintln(out, result)
	return nil
}

// awaitFenceable waits until every node's fencing has been looked at and would work.
func awaitFenceable(ctx context.Context, l *lab.Lab) error {
	ctx, cancel := context.WithTimeout(ctx, healLimit)
	defer cancel()
	return lab.Await(ctx, "every node can be fenced", l.Fenceable)
}

// giveBack undoes what was done to the victim and switches it on.
func giveBack(ctx context.Context, l *lab.Lab, victim string, out io.Writer) error {
	fmt.Fprintf(out, "\npower back on %s\n", victim)
	if err := l.Heal(ctx, victim, ""); err != nil {
		return err
	}
	return l.PowerOn(ctx, victim)
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

// show runs hactl and prints the command with its output. With a node down "degraded", exit code 1, is the right answer to status, and
// so is "by no device" to a test of nodes that have none.
func show(ctx context.Context, l *lab.Lab, out io.Writer, via string, args ...string) error {
	fmt.Fprintf(out, "\n$ hactl %s\n", strings.Join(args, " "))
	text, err := Hactl(ctx, l, via, args...)
	fmt.Fprintln(out, text)
	var exit *exec.ExitError
	asks := args[0] == "status" || args[0] == "fence" && l.Options.Fencing == lab.Watchdog
	if asks && errors.As(err, &exit) && exit.ExitCode() == 1 {
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
