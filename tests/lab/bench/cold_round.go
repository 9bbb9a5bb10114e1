package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"bascule/tests/lab"
)

// coldLimit is the time after the last power-on within which every guest must run again; beyond it a guest is lost.
const coldLimit = 4 * time.Minute

// replaceLimit bounds the replacement of a voter whose data are gone; hactl waits 90 s at most by itself.
const replaceLimit = 2 * time.Minute

// coldRun is one round under way.
type coldRun struct {
	coldRound
	lab   *lab.Lab
	logs  lab.LogMark // the guards'
	where map[int]string
	cut   time.Time            // the last power cut
	on    map[string]time.Time // machine → power-on
	heal  time.Time            // of the switch
	lines map[int]lab.Line     // each guest's first line after the last cut
}

// run loses all power and gives it back as drawn, until every guest runs and every machine is back.
func (r *coldRun) run(ctx context.Context) error {
	if err := AwaitHealthy(ctx, r.lab); err != nil {
		return err
	}
	if err := r.lookAround(ctx); err != nil {
		return err
	}
	if err := r.cutAll(ctx); err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := wait(ctx, r.Outage); err != nil {
		return err
	}
	if err := r.comeBack(ctx); err != nil || len(r.lost()) > 0 {
		return err
	}
	return r.makeWhole(ctx)
}

// lookAround notes where each guest runs before the power goes.
func (r *coldRun) lookAround(ctx context.Context) error {
	s, err := AnyStatus(ctx, r.lab, "")
	if err != nil {
		return err
	}
	r.where, r.on, r.lines = map[int]string{}, map[string]time.Time{}, map[int]lab.Line{}
	for _, id := range r.lab.Options.GuestIDs() {
		_, r.where[id] = s.GuestState(id)
	}
	r.logs = r.lab.MarkLogsOf("guard")
	return nil
}

// cutAll cuts the power of all machines, each at its own moment.
func (r *coldRun) cutAll(ctx context.Context) error {
	machines := r.lab.Machines()
	at, errs := make([]time.Time, len(machines)), make([]error, len(machines))
	var all sync.WaitGroup
	for i, m := range machines {
		all.Go(func() {
			if errs[i] = wait(ctx, r.Cuts[m]); errs[i] == nil {
				at[i], errs[i] = r.lab.Kill(ctx, m)
			}
		})
	}
	all.Wait()
	r.cut = slices.MaxFunc(at, time.Time.Compare)
	return errors.Join(errs...)
}

// prepare does what happens in the dark: the switch is off, a voter's disk is lost.
func (r *coldRun) prepare(ctx context.Context) error {
	if r.Heals > 0 {
		for _, m := range r.lab.Machines() {
			if err := r.lab.Cut(ctx, m, "", false); err != nil {
				return err
			}
		}
	}
	if r.Emptied != "" {
		if err := os.RemoveAll(r.lab.Node(r.Emptied, "data", "etcd")); err != nil {
			return fmt.Errorf("emptying the etcd disk of %s: %w", r.Emptied, err)
		}
	}
	return nil
}

// comeBack gives power back and waits for the guests.
func (r *coldRun) comeBack(ctx context.Context) error {
	follow := map[int]*lab.Follower{}
	for _, id := range r.lab.Options.GuestIDs() {
		follow[id] = r.lab.Follow(id)
	}
	begin := time.Now()
	due := slices.DeleteFunc(slices.Clone(r.Ons), func(on coldOn) bool { return on.Machine == r.Absent })
	deadline := begin.Add(max(due[len(due)-1].After, r.Heals) + coldLimit)
	for ; len(follow) > 0 && time.Now().Before(deadline); time.Sleep(lookEvery) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for len(due) > 0 && time.Since(begin) >= due[0].After {
			if err := r.switchOn(ctx, due[0]); err != nil {
				return err
			}
			due = due[1:]
		}
		if r.Heals > 0 && r.heal.IsZero() && time.Since(begin) >= r.Heals {
			if err := r.healAll(ctx); err != nil {
				return err
			}
		}
		if err := r.look(follow); err != nil {
			return err
		}
	}
	return nil
}

func (r *coldRun) switchOn(ctx context.Context, on coldOn) error {
	r.on[on.Machine] = time.Now()
	return r.lab.PowerOnFor(ctx, on.Machine, on.Boot)
}

func (r *coldRun) healAll(ctx context.Context) error {
	r.heal = time.Now()
	for _, m := range r.lab.Machines() {
		if err := r.lab.Heal(ctx, m, ""); err != nil {
			return err
		}
	}
	return nil
}

// look notes the guests that have begun to write.
func (r *coldRun) look(follow map[int]*lab.Follower) error {
	for id, f := range follow {
		lines, err := f.Next()
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(lines, func(line lab.Line) bool { return line.At.After(r.cut) }); i >= 0 {
			r.lines[id] = lines[i]
			delete(follow, id)
		}
	}
	return nil
}

// lost lists the guests that do not run.
func (r *coldRun) lost() []int {
	var out []int
	for _, id := range r.lab.Options.GuestIDs() {
		if _, ok := r.lines[id]; !ok {
			out = append(out, id)
		}
	}
	return out
}

// makeWhole brings back what was kept away, and waits until all is well.
func (r *coldRun) makeWhole(ctx context.Context) error {
	if r.Emptied != "" {
		if err := r.replaceVoter(ctx); err != nil {
			return err
		}
	}
	s, err := r.lab.Status(ctx)
	if err != nil {
		return err
	}
	for _, n := range s.Nodes { // the one that was kept off, and whoever was switched off needlessly
		if n.Power == "off" {
			if err := r.lab.PowerOn(ctx, n.Name); err != nil {
				return err
			}
		}
	}
	return AwaitHealthy(ctx, r.lab)
}

// replaceVoter does what hactl status asks for when a voter's data are gone.
func (r *coldRun) replaceVoter(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, replaceLimit)
	defer cancel()
	via := otherThan(r.lab, r.Emptied)
	return lab.Await(ctx, "the voter "+r.Emptied+" is replaced", func(ctx context.Context) error {
		if text, err := Hactl(ctx, r.lab, via, "etcd", "replace", r.Emptied); err != nil {
			return fmt.Errorf("hactl etcd replace %s: %w\n%s", r.Emptied, err, text)
		}
		return nil
	})
}

// since is the moment from which on nothing was missing any more.
func (r *coldRun) since() time.Time {
	from := r.on[r.needed(r.lab.Options, r.lab.Machines())]
	if r.heal.After(from) {
		from = r.heal
	}
	return from
}
