package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bascule/tests/lab"
)

// How long the steps of a round may take.
const (
	recoverLimit = 3 * time.Minute // from the cut to the last guest's first line; beyond it a guest is lost
	healLimit    = 4 * time.Minute // from power-on to a healthy lab
	drainLimit   = 2 * time.Minute
	apartLimit   = 30 * time.Second // for the two leaders to be on different nodes
	lookEvery    = 20 * time.Millisecond
)

// Kind says what the victim of a power cut was.
type Kind string

// The kinds of victims.
const (
	Plain  Kind = "plain"  // neither of the two below
	Leader Kind = "leader" // Bascule's leader
	Raft   Kind = "raft"   // etcd's leader
)

// Kinds are all of them.
var Kinds = []Kind{Plain, Leader, Raft}

// Round is one power cut and what became of the victim's guests.
type Round struct {
	Kind     Kind
	Victim   string
	AlsoRaft bool // the leader led raft as well
	Cut      time.Time
	Guests   map[int]time.Duration // from the cut to the guest's first line on another node
	Lost     []int                 // ran nowhere within recoverLimit
	Profiles map[int]Profile       // where each guest's time went
	AtOnce   map[string]int        // per survivor, how many of its start tasks ran at the same moment at most
}

// First is the time after which the first guest ran again.
func (r Round) First() time.Duration { return slices.Min(values(r.Guests)) }

// All is the time after which the last one did.
func (r Round) All() time.Duration { return slices.Max(values(r.Guests)) }

func values[V any](m map[int]V) []V {
	var out []V
	for _, d := range m {
		out = append(out, d)
	}
	return out
}

// errNoVictim says that no node can be a victim of the wanted kind now.
var errNoVictim = errors.New("no node is such a victim now")

// Failover waits for a healthy lab, cuts the power of a node of the given kind that runs guests, measures, and gives the power back. It
// returns an error if the lab does not become healthy before or after the cut.
func Failover(ctx context.Context, l *lab.Lab, kind Kind, phase time.Duration) (Round, error) {
	r := Round{Kind: kind}
	if err := AwaitHealthy(ctx, l); err != nil {
		return r, err
	}
	timing, err := l.Options.Timings()
	if err != nil {
		return r, err
	}
	time.Sleep(timing.QuietTime(0)) // the victim of the round before takes no guest sooner, and this is no bench of a node that has just booted
	if r.Victim, r.AlsoRaft, err = prepareVictim(ctx, l, kind); err != nil {
		return r, err
	}
	time.Sleep(phase) // cuts must fall anywhere in the periods of leases and probes
	guests, err := StartedOn(ctx, l, r.Victim)
	if err != nil {
		return r, err
	}
	if err := r.cutAndMeasure(ctx, l, guests); err != nil {
		return r, err
	}
	if err := l.PowerOn(ctx, r.Victim); err != nil {
		return r, err
	}
	if err := AwaitHealthy(ctx, l); err != nil && len(r.Lost) == 0 {
		return r, fmt.Errorf("after the power cut of %s: %w", r.Victim, err)
	}
	return r, nil
}

// cutAndMeasure cuts the victim's power and follows its guests until each has written elsewhere.
func (r *Round) cutAndMeasure(ctx context.Context, l *lab.Lab, guests []int) error {
	follow := map[int]*lab.Follower{}
	for _, id := range guests {
		follow[id] = l.Follow(id)
	}
	mark := l.MarkLogs()
	var err error
	if r.Cut, err = l.Kill(ctx, r.Victim); err != nil {
		return err
	}
	if err := r.measure(ctx, follow); err != nil {
		return err
	}
	var starts []lab.Task
	if r.Profiles, starts, err = profiles(l, mark, *r); err != nil {
		return err
	}
	byNode := map[string][]lab.Task{}
	for _, t := range starts {
		byNode[t.Node] = append(byNode[t.Node], t)
	}
	r.AtOnce = map[string]int{}
	for node, tasks := range byNode {
		r.AtOnce[node] = lab.MostAtOnce(tasks)
	}
	return nil
}

// measure waits for each guest's first line elsewhere.
func (r *Round) measure(ctx context.Context, follow map[int]*lab.Follower) error {
	r.Guests = map[int]time.Duration{}
	for deadline := r.Cut.Add(recoverLimit); len(follow) > 0 && time.Now().Before(deadline); time.Sleep(lookEvery) {
		if ctx.Err() != nil {
			return fmt.Errorf("measuring the power cut of %s: %w", r.Victim, ctx.Err())
		}
		for id, f := range follow {
			lines, err := f.Next()
			if err != nil {
				return err
			}
			for _, line := range lines {
				if line.Node != r.Victim {
					r.Guests[id] = line.At.Sub(r.Cut)
					delete(follow, id)
					break
				}
			}
		}
	}
	for id := range follow {
		r.Lost = append(r.Lost, id)
	}
	slices.Sort(r.Lost)
	return nil
}

// AwaitHealthy waits until the lab is healthy, for healLimit at most. A node that has been cut off too often is quarantined: it is told
// once, as its operator would, that it may take guests again.
func AwaitHealthy(ctx context.Context, l *lab.Lab) error {
	ctx, cancel := context.WithTimeout(ctx, healLimit)
	defer cancel()
	told := map[string]bool{}
	return lab.Await(ctx, "the lab is healthy", func(ctx context.Context) error {
		err := l.Healthy(ctx)
		if err == nil {
			return nil
		}
		s, statusErr := AnyStatus(ctx, l, "")
		for _, name := range l.Names() {
			if statusErr == nil && s.NodeState(name) == "quarantined" && !told[name] {
				told[name] = true
				if text, undrainErr := Hactl(ctx, l, name, "undrain", name); undrainErr != nil {
					return fmt.Errorf("%w; hactl undrain: %w: %s", err, undrainErr, text)
				}
			}
		}
		return err
	})
}

// StartedOn lists the protected guests that the leader says run on a node.
func StartedOn(ctx context.Context, l *lab.Lab, node string) ([]int, error) {
	s, err := AnyStatus(ctx, l, "")
	if err != nil {
		return nil, err
	}
	var out []int
	for _, id := range l.Options.GuestIDs() {
		if state, at := s.GuestState(id); at == node && state == "started" {
			out = append(out, id)
		}
	}
	return out, nil
}

// AnyStatus asks the nodes in turn, all but one, until one answers.
func AnyStatus(ctx context.Context, l *lab.Lab, not string) (lab.DaemonStatus, error) {
	var last error
	for _, name := range l.Names() {
		if name == not {
			continue
		}
		s, err := l.DaemonStatus(ctx, name)
		if err == nil {
			return s, nil
		}
		last = err
	}
	return lab.DaemonStatus{}, fmt.Errorf("no basculed answers: %w", last)
}
