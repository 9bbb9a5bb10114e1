//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"bascule/ha/api"
	"bascule/tests/lab"
	"bascule/tests/lab/bench"
)

// status asks one node's basculed.
func (b *bed) status(ctx context.Context, node string) (api.Status, error) {
	var s api.Status
	data, err := b.Ask(ctx, node, "/v1/status")
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	return s, err
}

// hactl runs hactl on a node and returns what it printed and its exit code.
func (b *bed) hactl(node string, args ...string) (string, int) {
	b.t.Helper()
	text, err := bench.Hactl(b.ctx, b.Lab, node, args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return text, exit.ExitCode()
	}
	b.must(err)
	return text, 0
}

// leader names the leader and its term.
func (b *bed) leader() (string, int64) {
	b.t.Helper()
	s, err := b.status(b.ctx, b.Names()[0])
	b.must(err)
	return string(s.Leader), int64(s.Term)
}

// guestsOn lists the protected guests whose processes run on a node, by /proc.
func (b *bed) guestsOn(node string) []int {
	var out []int
	for _, p := range b.Processes() {
		if p.Node == node && slices.Contains(b.Options.GuestIDs(), p.Guest) && !slices.Contains(out, p.Guest) {
			out = append(out, p.Guest)
		}
	}
	slices.Sort(out)
	return out
}

// plain returns a node that runs guests, does not lead, and is none of those given.
func (b *bed) plain(not ...string) string {
	b.t.Helper()
	leader, _ := b.leader()
	best := ""
	for _, n := range b.Names() {
		if n != leader && !slices.Contains(not, n) && len(b.guestsOn(n)) > 0 && (best == "" || len(b.guestsOn(n)) > len(b.guestsOn(best))) {
			best = n
		}
	}
	if best == "" {
		b.t.Fatalf("no node runs guests besides the leader %s and %v", leader, not)
	}
	return best
}

// fresh is how old the last line of a running guest may be; it writes five per second.
const fresh = 1500 * time.Millisecond

// runOnce says whether each guest runs in exactly one place, none of the given nodes, and writes.
func (b *bed) runOnce(guests []int, not ...string) func(context.Context) error {
	return func(context.Context) error {
		for _, id := range guests {
			on := b.RunningOn(id)
			if len(on) != 1 || slices.Contains(not, on[0]) {
				return fmt.Errorf("guest %d runs on %v", id, on)
			}
			line, ok, err := b.LastLine(id)
			if err != nil {
				return err
			}
			if !ok || line.Node != on[0] || time.Since(line.At) > fresh {
				return fmt.Errorf("guest %d is a process on %s, but its last line is from %q, %s old", id, on[0], line.Node, time.Since(line.At).Round(time.Millisecond))
			}
		}
		return nil
	}
}

// nowhere says whether none of the guests runs, except on the given node, nor wrote there since a moment.
func (b *bed) nowhere(guests []int, since time.Time, but string) func(context.Context) error {
	return func(context.Context) error {
		for _, id := range guests {
			if on := slices.DeleteFunc(b.RunningOn(id), func(n string) bool { return n == but }); len(on) > 0 {
				return fmt.Errorf("guest %d runs on %v", id, on)
			}
			line, found, err := b.FirstLineAfter(id, since, but)
			if err != nil {
				return err
			}
			if found {
				return fmt.Errorf("guest %d wrote on %s at %s", id, line.Node, line.At.Format(clock))
			}
		}
		return nil
	}
}

const clock = "15:04:05.000"

// firstElsewhere is when a guest first wrote on another node after a moment.
func (b *bed) firstElsewhere(id int, after time.Time, not string) time.Time {
	b.t.Helper()
	line, ok, err := b.FirstLineAfter(id, after, not)
	b.must(err)
	if !ok {
		b.t.Fatalf("guest %d never wrote elsewhere than on %s after %s", id, not, after.Format(clock))
	}
	return line.At
}

// lastOn is when a guest last wrote on a node; zero if it never did.
func (b *bed) lastOn(id int, node string) time.Time {
	b.t.Helper()
	lines, err := b.GuestLines(id)
	b.must(err)
	for _, line := range slices.Backward(lines) {
		if line.Node == node {
			return line.At
		}
	}
	return time.Time{}
}

// happened lists the lab's events of some kinds from a moment on, about one node ("" for any).
func (b *bed) happened(since time.Time, node string, kinds ...string) []lab.Event {
	b.t.Helper()
	all, _, err := b.Events(0)
	b.must(err)
	return slices.DeleteFunc(all, func(e lab.Event) bool {
		return e.At().Before(since) || node != "" && e.Node != node || !slices.Contains(kinds, e.Kind)
	})
}

// bmcCommand is the kind of the event that a BMC adds when it is told to switch.
const bmcCommand = "bmc-command"

// bascule lists Bascule's stored events from a moment on, asking any node but one.
func (b *bed) bascule(since time.Time, not string) []lab.DaemonEvent {
	b.t.Helper()
	var all []lab.DaemonEvent
	b.within(20*time.Second, "somebody tells Bascule's events", func(ctx context.Context) (err error) {
		all, err = bench.AnyEvents(ctx, b.Lab, not)
		return err
	})
	return slices.DeleteFunc(all, func(e lab.DaemonEvent) bool { return e.At.Before(since) })
}

// logFrom follows one program's log from its present end on.
func (b *bed) logFrom(node, role string) func() string {
	b.t.Helper()
	path := b.Node(node, "log", role+".log")
	before, err := os.ReadFile(path)
	b.must(err)
	return func() string {
		b.t.Helper()
		data, err := os.ReadFile(path)
		b.must(err)
		return string(data[len(before):])
	}
}

// lineWith is the first line of a text that holds all words, or "".
func lineWith(text string, words ...string) string {
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// critical is the first critical problem whose whole text holds all words.
func critical(s api.Status, words ...string) (api.Problem, bool) {
	for _, p := range s.Problems {
		if p.Severity == api.Critical && lineWith(strings.Join([]string{p.Subject, p.What, p.Why, p.Do}, " "), words...) != "" {
			return p, true
		}
	}
	return api.Problem{}, false
}
