package bench

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"bascule/tests/lab"
)

// awaitAllRun waits until every guest is started and writes where its record says. It asks one node and looks seldom: asking each of
// 32 daemons for 500 guests ten times a second is what keeps a small machine from getting there.
func awaitAllRun(ctx context.Context, l *lab.Lab) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		missing, err := notRunning(ctx, l)
		if err == nil && missing == "" {
			return nil
		}
		if waited := wait(ctx, loadEvery); waited != nil {
			return fmt.Errorf("waiting until every guest runs: %w; last seen: %s", waited, cmp.Or(missing, fmt.Sprint(err)))
		}
	}
}

// notRunning says what is missing, "" when nothing is.
func notRunning(ctx context.Context, l *lab.Lab) (string, error) {
	s, err := AnyStatus(ctx, l, "")
	if err != nil {
		return "", err
	}
	for _, n := range l.Names() {
		if state := s.NodeState(n); state != "online" {
			return fmt.Sprintf("%s is %q", n, state), nil
		}
	}
	known := map[int]string{}
	for _, g := range s.Guests {
		if g.State == "started" {
			known[g.VMID] = g.Node
		}
	}
	ids := l.Options.GuestIDs()
	for _, id := range ids {
		if known[id] == "" {
			return fmt.Sprintf("%d of %d guests are started, %d is not", len(known), len(ids), id), nil
		}
		line, ok, err := l.LastLine(id)
		if err != nil {
			return "", err
		}
		if !ok || line.Node != known[id] {
			return fmt.Sprintf("guest %d writes on %q, its record says %s", id, line.Node, known[id]), nil
		}
	}
	return "", nil
}

// wait is a pause that ends with the context.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// loadAverage is the machine's, for those who compare figures.
func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "not known"
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}

// cpuOf is the time that each daemon has used so far, by process.
func cpuOf(l *lab.Lab) map[int]time.Duration {
	out := map[int]time.Duration{}
	for pid, u := range usages(l) {
		out[pid] = u.cpu
	}
	return out
}

// spentSince is what the daemons that still run have used since, in seconds.
func spentSince(l *lab.Lab, before map[int]time.Duration) float64 {
	sum := time.Duration(0)
	for pid, u := range usages(l) {
		sum += u.cpu - before[pid]
	}
	return sum.Seconds()
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
