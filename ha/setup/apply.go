package setup

import (
	"context"
	"fmt"
)

// Outcome is what became of a step.
type Outcome string

// Outcomes.
const (
	Kept Outcome = "ok"   // it was so already
	Made Outcome = "done" // it is so now
)

// Apply makes every step true, in order, and tells each. It ends at the first that fails: what is done stays, and the next run goes on.
func Apply(ctx context.Context, sys System, steps []Step, tell func(Step, Outcome)) error {
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		done, err := s.Done(ctx, sys)
		if err != nil {
			return fmt.Errorf("%s: %w; what was done so far stays, the same command goes on", s.Title(), err)
		}
		if done {
			tell(s, Kept)
			continue
		}
		if err := s.Do(ctx, sys); err != nil {
			return fmt.Errorf("%s: %w; what was done so far stays, the same command goes on", s.Title(), err)
		}
		tell(s, Made)
	}
	return nil
}

// Open lists the steps that are not true yet.
func Open(ctx context.Context, sys System, steps []Step) (out []Step, err error) {
	for _, s := range steps {
		done, err := s.Done(ctx, sys)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Title(), err)
		}
		if !done {
			out = append(out, s)
		}
	}
	return out, nil
}
