package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"bascule/tests/lab"
)

// Cold is a bench of power losses of everything: N rounds, in a lab of three nodes and in one of two nodes and a witness.
type Cold struct {
	N       int
	Seed    uint64
	Only    int           // only the round with this number; 0: all
	Longest time.Duration // the longest time from the outage's end to a machine's power-on
	Sites   []string      // three, two
	Lab     lab.Options
	Out     io.Writer
}

// The sites of the cold starts.
const (
	SiteThree = "three" // three nodes
	SiteTwo   = "two"   // two nodes, and a witness that is corosync's QDevice, too
)

// ColdSites are all of them.
var ColdSites = []string{SiteThree, SiteTwo}

// ColdSet is the rounds of a bench.
type ColdSet struct{ Rounds []ColdReport }

// Run carries out the rounds. What came of them before an error is returned with it.
func (p Cold) Run(ctx context.Context) (ColdSet, error) {
	var set ColdSet
	fmt.Fprintf(p.Out, "seed %d\n", p.Seed)
	share := p.shares()
	first := 1
	for i, site := range p.Sites {
		last := first + share[i] - 1
		if err := p.inLab(ctx, site, first, last, &set); err != nil {
			return set, err
		}
		first = last + 1
	}
	return set, nil
}

// shares divides the rounds: with several sites the later ones get a third of what is left.
func (p Cold) shares() []int {
	out, left := make([]int, len(p.Sites)), p.N
	for i := len(p.Sites) - 1; i > 0; i-- {
		out[i] = (left + 2) / 3
		left -= out[i]
	}
	out[0] = left
	return out
}

func (p Cold) options(site string) lab.Options {
	o := p.Lab
	o.Nodes = 3
	if site == SiteTwo {
		o.Nodes, o.Witness, o.QDevice = 2, true, true
	}
	return o
}

func (p Cold) inLab(ctx context.Context, site string, first, last int, set *ColdSet) (err error) {
	if first > last || p.Only != 0 && (p.Only < first || p.Only > last) {
		return nil
	}
	o := p.options(site)
	l, err := lab.Up(ctx, o)
	if err != nil {
		return err
	}
	bad := 0
	defer func() { // a lab whose rounds failed is kept, to be looked at
		err = errors.Join(err, l.Down(context.WithoutCancel(ctx), err != nil || bad > 0))
	}()
	fmt.Fprintf(p.Out, "site %s: %s; %d guests\n", site, strings.Join(l.Machines(), ", "), len(o.GuestIDs()))
	for no := first; no <= last; no++ {
		if p.Only != 0 && p.Only != no {
			continue
		}
		r := &coldRun{coldRound: drawCold(p.Seed, no, l.Options, l.Machines(), p.Longest), lab: l}
		fmt.Fprintln(p.Out, r.coldRound)
		runErr := r.run(ctx)
		if r.cut.IsZero() {
			return runErr
		}
		report, err := r.report(ctx)
		set.Rounds = append(set.Rounds, report)
		report.print(p.Out)
		if bad += report.bad(); runErr != nil || err != nil || len(report.Lost) > 0 {
			return errors.Join(runErr, err)
		}
	}
	return nil
}

// print tells what came of a round.
func (c ColdReport) print(out io.Writer) {
	took := values(c.Took)
	fmt.Fprintf(out, "   %d guests run; from when nothing was missing: first %s s, last %s s; proofs: %s\n",
		len(took), seconds(took, 0), seconds(took, 1), strings.Join(c.Proofs, ", "))
	for _, list := range []struct {
		name string
		what []string
	}{{"RAN TWICE", c.Twice}, {"STARTED WITHOUT A PERMIT", c.Early}, {"WITHOUT A PROOF", c.Unproven}, {"switched off needlessly", c.Needless}} {
		for _, text := range list.what {
			fmt.Fprintf(out, "   %s: %s\n", list.name, text)
		}
	}
	if len(c.Lost) > 0 {
		fmt.Fprintf(out, "   LOST: guests %v\n", c.Lost)
	}
}

// Bad counts what never may happen.
func (s ColdSet) Bad() int {
	n := 0
	for _, r := range s.Rounds {
		n += r.bad()
	}
	return n
}

// Summary says per kind of round how long the last guest took.
func (s ColdSet) Summary() string {
	last := map[ColdKind][]time.Duration{}
	for _, r := range s.Rounds {
		if len(r.Took) > 0 {
			last[r.Kind] = append(last[r.Kind], slices.Max(values(r.Took)))
		}
	}
	out := []string{"the last guest ran after (seconds, from when nothing was missing any more):"}
	for _, kind := range slices.Sorted(maps.Keys(last)) {
		out = append(out, fmt.Sprintf("  %-15s rounds %2d  p50 %6s  max %6s", kind, len(last[kind]), seconds(last[kind], 0.5), seconds(last[kind], 1)))
	}
	return strings.Join(out, "\n")
}

// Result is the last line: p50 and max are of the rounds' last guests, in seconds.
func (s ColdSet) Result() string {
	var lost, twice, early, unproven, needless int
	var last []time.Duration
	for _, r := range s.Rounds {
		lost, twice, early = lost+len(r.Lost), twice+len(r.Twice), early+len(r.Early)
		unproven, needless = unproven+len(r.Unproven), needless+len(r.Needless)
		if len(r.Took) > 0 && len(r.Lost) == 0 {
			last = append(last, slices.Max(values(r.Took)))
		}
	}
	return fmt.Sprintf("RESULT rounds=%d lost=%d twice=%d early=%d unproven=%d needless=%d p50=%s max=%s",
		len(s.Rounds), lost, twice, early, unproven, needless, seconds(last, 0.5), seconds(last, 1))
}
