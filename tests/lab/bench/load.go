package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"bascule/tests/lab"
)

// Load is a bench of a big cluster: what it costs while nothing happens, and how the guests of one of its nodes come back while all others
// are left alone.
type Load struct {
	Lab  lab.Options // with Pile the victim is the last node, which has the pile; else a plain one
	Idle time.Duration
	Kind Kind // of the victim, without a pile
	Out  io.Writer
}

const (
	startLimit = 15 * time.Minute // until every guest of a big cluster runs
	calmDown   = 10 * time.Second // between the last start and the look at what an idle cluster costs
	loadEvery  = 2 * time.Second  // a look at 500 guests takes long enough to be felt

	// disturbed is from how long a silence on a guest of another node counts as harm done to it: more than the two cores of a small
	// machine make a guest wait while many others start.
	disturbed = 3 * time.Second
)

// Run carries the bench out in a lab of its own and prints a line RESULT.
func (b Load) Run(ctx context.Context) (err error) {
	fmt.Fprintf(b.Out, "%d nodes, %d guests, timing %s, corosync %s; load average before: %s\n", b.Lab.Nodes, b.Lab.Guests+b.Lab.Pile, b.Lab.Timing, b.Lab.Corosync, loadAverage())
	began := time.Now()
	l, err := lab.Up(ctx, b.Lab)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Down(context.WithoutCancel(ctx), err != nil)) }()
	up := time.Since(began)
	if err := awaitAllRun(ctx, l); err != nil {
		return err
	}
	fmt.Fprintf(b.Out, "every node is online after %.0f s, every guest runs after %.0f s\n", up.Seconds(), time.Since(began).Seconds())
	if err := wait(ctx, calmDown); err != nil {
		return err
	}
	if b.Idle > 0 {
		if err := Idle(ctx, l, b.Idle, b.Out); err != nil {
			return err
		}
		fmt.Fprintf(b.Out, "load average: %s\n", loadAverage())
	}
	return b.lose(ctx, l)
}

// lose cuts the victim's power and prints how its guests came back.
func (b Load) lose(ctx context.Context, l *lab.Lab) error {
	r := Round{Kind: b.Kind}
	var err error
	if r.Victim, err = b.victim(ctx, l, &r); err != nil {
		return err
	}
	guests, err := StartedOn(ctx, l, r.Victim)
	if err != nil {
		return err
	}
	before := cpuOf(l)
	if err := r.cutAndMeasure(ctx, l, guests); err != nil {
		return err
	}
	spent := spentSince(l, before)
	if err := wait(ctx, calmDown); err != nil { // whoever writes twice has the time to show it
		return err
	}
	v, err := examine(l, r, guests)
	if err != nil {
		return err
	}
	b.print(r, v, spent)
	return v.verdict(r)
}

// victim is the node that goes: the one with the pile, or one of the wanted kind.
func (b Load) victim(ctx context.Context, l *lab.Lab, r *Round) (string, error) {
	s, err := AnyStatus(ctx, l, "")
	if err != nil {
		return "", err
	}
	if b.Lab.Pile > 0 {
		name := lab.NodeName(b.Lab.Nodes)
		r.Kind = kindOf(name, s)
		return name, nil
	}
	guests := map[string]int{}
	for _, g := range s.Guests {
		if g.State == "started" {
			guests[g.Node]++
		}
	}
	r.AlsoRaft = s.Leader == s.Etcd.RaftLeader
	return choose(b.Kind, l.Names(), s.Leader, s.Etcd.RaftLeader, guests)
}

func kindOf(node string, s lab.DaemonStatus) Kind {
	switch node {
	case s.Leader:
		return Leader
	case s.Etcd.RaftLeader:
		return Raft
	}
	return Plain
}

// aftermath is what the guests' own lines say when all is over.
type aftermath struct {
	doubles   []lab.DoubleRun
	disturbed []int // guests of other nodes that were silent for too long since the cut, or moved
}

func examine(l *lab.Lab, r Round, victims []int) (aftermath, error) {
	var a aftermath
	var err error
	if a.doubles, err = l.DoubleRuns(); err != nil {
		return a, err
	}
	reports, err := l.Check(r.Cut, disturbed)
	if err != nil {
		return a, err
	}
	for _, report := range reports {
		if !slices.Contains(victims, report.VMID) && (len(report.Gaps) > 0 || len(report.Stints) != 1) {
			a.disturbed = append(a.disturbed, report.VMID)
		}
	}
	return a, nil
}

func (a aftermath) verdict(r Round) error {
	var errs []error
	for _, d := range a.doubles {
		errs = append(errs, errors.New(d.String()))
	}
	if len(r.Lost) > 0 {
		errs = append(errs, fmt.Errorf("guests %v did not come back within %s", r.Lost, recoverLimit))
	}
	if len(a.disturbed) > 0 {
		errs = append(errs, fmt.Errorf("guests %v of other nodes were silent for %s, or moved", a.disturbed, disturbed))
	}
	return errors.Join(errs...)
}

func (b Load) print(r Round, a aftermath, spent float64) {
	each := values(r.Guests)
	fmt.Fprintf(b.Out, "\npower cut of %s (%s): %d guests, load average %s\n%s\n", r.Victim, r.Kind, len(r.Guests)+len(r.Lost), loadAverage(),
		phaseTable("where the milliseconds of each guest go", b.Lab.Corosync, values(r.Profiles)))
	at, most := busiest(r.AtOnce)
	fmt.Fprintf(b.Out, "starts under way at once on one node: %d at most (%s); all daemons took %.1f s of CPU from the cut to the last start\n", most, at, spent)
	fmt.Fprintf(b.Out, "RESULT nodes=%d guests=%d timing=%s corosync=%s victim=%s recovered=%d first=%s median=%s p90=%s p99=%s last=%s starts_at_once=%d double_runs=%d lost=%d disturbed=%d\n",
		b.Lab.Nodes, b.Lab.Guests+b.Lab.Pile, b.Lab.Timing, b.Lab.Corosync, r.Kind, len(each), seconds(each, 0), seconds(each, 0.5), seconds(each, 0.9), seconds(each, 0.99), seconds(each, 1),
		most, len(a.doubles), len(r.Lost), len(a.disturbed))
}

func busiest(atOnce map[string]int) (node string, most int) {
	for _, n := range sortedNames(atOnce) {
		if atOnce[n] > most {
			node, most = n, atOnce[n]
		}
	}
	return node, most
}
