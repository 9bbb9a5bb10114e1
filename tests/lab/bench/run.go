package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"bascule/tests/lab"
)

// Plan is a whole bench: for each corosync setting a fresh lab, in it N rounds per kind of victim.
type Plan struct {
	N        int
	Corosync []string // default, tuned
	Kinds    []Kind
	Lab      lab.Options // its Corosync is set per lab
	Seed     uint64      // of the cuts' phases
	Out      io.Writer   // one line per round
}

// phaseMax is the longest wait before a cut: the longest period of anything that a profile runs.
const phaseMax = time.Second

// Run carries out a plan. What was measured before an error is returned with it.
func Run(ctx context.Context, p Plan) (Set, error) {
	set := Set{N: p.N, Rounds: map[string][]Round{}}
	rng := rand.New(rand.NewPCG(p.Seed, 2))
	for _, corosync := range p.Corosync {
		o := p.Lab
		o.Corosync = corosync
		if err := p.inLab(ctx, o, &set, rng); err != nil {
			return set, err
		}
	}
	return set, nil
}

func (p Plan) inLab(ctx context.Context, o lab.Options, set *Set, rng *rand.Rand) (err error) {
	l, err := lab.Up(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		doubles, checkErr := l.DoubleRuns()
		for _, d := range doubles {
			set.DoubleTexts = append(set.DoubleTexts, d.String())
		}
		set.DoubleRuns += len(doubles)
		// A lab whose rounds failed is kept, to be looked at.
		downErr := l.Down(context.WithoutCancel(ctx), err != nil || checkErr != nil || len(doubles) > 0)
		err = errors.Join(err, checkErr, downErr)
	}()
	for i := range p.N {
		for _, kind := range p.Kinds {
			r, err := Failover(ctx, l, kind, time.Duration(rng.Int64N(int64(phaseMax))))
			if errors.Is(err, errNoVictim) {
				fmt.Fprintf(p.Out, "%-7s %-6s %3d  skipped: %v\n", o.Corosync, kind, i+1, err)
				continue
			}
			if r.Victim != "" && !r.Cut.IsZero() {
				set.Rounds[o.Corosync] = append(set.Rounds[o.Corosync], r)
				p.report(o.Corosync, i+1, r)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (p Plan) report(corosync string, i int, r Round) {
	what := "no guest ran there"
	if len(r.Guests) > 0 {
		what = fmt.Sprintf("%d guests, first %.2f s, all %.2f s", len(r.Guests), r.First().Seconds(), r.All().Seconds())
	}
	if len(r.Lost) > 0 {
		what += fmt.Sprintf(", LOST %v", r.Lost)
	}
	if r.Kind == Leader && r.AlsoRaft {
		what += " (it led etcd as well)"
	}
	fmt.Fprintf(p.Out, "%-7s %-6s %3d  %s: %s\n", corosync, r.Kind, i, r.Victim, what)
}
