package bench

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"bascule/tests/lab"
)

// clockSlack is by how much two of the lab's sources may disagree about a moment: tasks count in hundredths of a second.
const clockSlack = 50 * time.Millisecond

// ColdReport is what came of one round. Its lists are empty when all was well.
type ColdReport struct {
	Kind     ColdKind
	Took     map[int]time.Duration // from when nothing was missing any more to each guest's first line
	Lost     []int                 // ran nowhere
	Twice    []string
	Early    []string // a protected guest was started on a node without a permit
	Unproven []string // a guest ran elsewhere before its node was proven to have ended
	Needless []string // a machine that had power lost it, and why
	Proofs   []string // what freed guests, for people
}

// bad says whether something happened that never may.
func (c ColdReport) bad() int {
	return len(c.Lost) + len(c.Twice) + len(c.Early) + len(c.Unproven)
}

// report looks at everything that the round left behind: the guests' own lines, the tasks of Proxmox, the guards' logs, the lab's events
// and Bascule's.
func (r *coldRun) report(ctx context.Context) (ColdReport, error) {
	c := ColdReport{Kind: r.Kind, Took: map[int]time.Duration{}, Lost: r.lost()}
	for id, line := range r.lines {
		c.Took[id] = max(0, line.At.Sub(r.since()))
	}
	doubles, err := r.lab.DoubleRuns()
	for _, d := range doubles {
		if d.At.After(r.cut) {
			c.Twice = append(c.Twice, d.String())
		}
	}
	events, eventErr := AnyEvents(ctx, r.lab, "")
	events = slices.DeleteFunc(events, func(e lab.DaemonEvent) bool { return e.At.Before(r.cut) })
	c.Unproven, c.Proofs = r.unproven(events)
	var earlyErr, needlessErr error
	c.Early, earlyErr = r.early()
	c.Needless, needlessErr = r.needless(events)
	return c, errors.Join(err, eventErr, earlyErr, needlessErr)
}

// unproven finds guests that ran elsewhere before the leader had recorded a proof about the node that had them.
func (r *coldRun) unproven(events []lab.DaemonEvent) (bad, proofs []string) {
	proven := map[string]time.Time{}
	for _, e := range events {
		if e.Guest == 0 && e.To == "fenced" && proven[e.Node].IsZero() {
			proven[e.Node] = e.At
			kind, _, _ := strings.Cut(e.Reason, ":")
			proofs = append(proofs, e.Node+" "+kind)
		}
	}
	for _, id := range r.lab.Options.GuestIDs() {
		line, ok := r.lines[id]
		from := r.where[id]
		if !ok || line.Node == from {
			continue
		}
		if at := proven[from]; at.IsZero() || line.At.Before(at.Add(-clockSlack)) {
			bad = append(bad, fmt.Sprintf("guest %d ran on %s at %s, but %s was proven to have ended only at %s", id, line.Node, line.At.Format(clockText), from, at.Format(clockText)))
		}
	}
	return bad, proofs
}

const clockText = "15:04:05.000"

// span is a time in which a node's guard had a permit.
type span struct{ from, to time.Time }

// guardPhase is what a guard's log says of its phases: the one that it starts in, or the one that it goes over to.
var guardPhase = regexp.MustCompile(`^guard: (?:started in phase (\w+)|\w+ -> (\w+))`)

// permits reads from the guards' logs when each node had a permit since the mark.
func permits(lines []lab.LogLine) map[string][]span {
	out, open := map[string][]span{}, map[string]time.Time{}
	for _, line := range lines {
		m := guardPhase.FindStringSubmatch(line.Msg)
		if m == nil {
			continue
		}
		if from := open[line.Node]; !from.IsZero() {
			out[line.Node] = append(out[line.Node], span{from, line.At})
			delete(open, line.Node)
		}
		if m[1]+m[2] == "permitted" {
			open[line.Node] = line.At
		}
	}
	for node, from := range open {
		out[node] = append(out[node], span{from: from})
	}
	return out
}

// early finds starts of protected guests on nodes that had no permit just then, by Proxmox's own tasks.
func (r *coldRun) early() ([]string, error) {
	lines, err := r.lab.LogsSince(r.logs)
	if err != nil {
		return nil, err
	}
	had := permits(lines)
	var out []string
	for _, node := range r.lab.Names() {
		tasks, err := r.lab.Tasks(node)
		if err != nil {
			return nil, err
		}
		for _, t := range tasks {
			starts := (t.Type == "qmstart" || t.Type == "vzstart") && slices.Contains(r.lab.Options.GuestIDs(), t.VMID)
			if starts && t.Start.After(r.cut) && !within(had[node], t.Start) {
				out = append(out, fmt.Sprintf("guest %d was started on %s at %s without a permit", t.VMID, node, t.Start.Format(clockText)))
			}
		}
	}
	return out, nil
}

func within(spans []span, at time.Time) bool {
	return slices.ContainsFunc(spans, func(s span) bool {
		return !at.Before(s.from.Add(-clockSlack)) && (s.to.IsZero() || at.Before(s.to.Add(clockSlack)))
	})
}

// needless finds machines that had their power back and lost it again, or were reset: nothing was wrong with any of them.
func (r *coldRun) needless(events []lab.DaemonEvent) ([]string, error) {
	hardware, _, err := r.lab.Events(0)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range hardware {
		if on := r.on[e.Node]; on.IsZero() || e.At().Before(on) || e.Kind != lab.EventPowerCut && e.Kind != lab.EventReset {
			continue
		}
		why := "Bascule says nothing about it"
		for _, b := range events {
			if b.Guest == 0 && b.Node == e.Node && b.To == "fencing" && b.At.Before(e.At()) {
				why = b.Reason
			}
		}
		out = append(out, fmt.Sprintf("%s at %s, %.1f s after its power-on (%s): %s", e.Node, e.At().Format(clockText), e.At().Sub(r.on[e.Node]).Seconds(), e.Kind, why))
	}
	return out, nil
}
