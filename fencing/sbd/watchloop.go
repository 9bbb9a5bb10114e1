package sbd

import (
	"context"
	"fmt"
	"sync"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// Config says what a node watches.
type Config struct {
	Disks []string
	Slot  string
	Fresh bool // see NewWatcher
}

// Watched is what a node has to watch for the device with these settings.
func Watched(raw map[string]string) (Config, error) {
	s, err := parse(raw)
	return Config{Disks: s.disks, Slot: s.slot}, err
}

// Watch watches a node's own slot until ctx ends, with one goroutine and one servant for each disk, so that a disk that hangs
// holds up no other. report is called after each look, never twice at a time; it must not wait. The time that passes without a report is
// judged by who got the last Verdict: by its Until.
func Watch(ctx context.Context, c Config, now func() ha.Instant, report func(Verdict, []Notice)) error {
	return servants{servantName}.watch(ctx, c, now, report)
}

func (s servants) watch(ctx context.Context, c Config, now func() ha.Instant, report func(Verdict, []Notice)) error {
	w, err := NewWatcher(c.Slot, len(c.Disks), c.Fresh)
	if err != nil {
		return err
	}
	var turn sync.Mutex
	var all sync.WaitGroup
	for i, path := range c.Disks {
		all.Go(func() {
			e := eye{servants: s, path: path}
			defer e.close()
			for {
				turn.Lock()
				ask := w.Next(i)
				turn.Unlock()
				if !sleep(ctx, ask.At.Sub(now())) {
					return
				}
				asked := now()
				sight, err := e.do(ctx, ask)
				if ctx.Err() != nil {
					return
				}
				turn.Lock()
				notices := w.Saw(i, asked, sight, err)
				report(w.Verdict(now()), notices)
				turn.Unlock()
			}
		})
	}
	all.Wait()
	return ctx.Err()
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// eye looks at one disk through a servant that stays, and gets a new one when it fails or hangs; never a second beside one that hangs.
type eye struct {
	servants servants
	path     string
	at       *link
	left     *link // hung, not yet gone
}

func (e *eye) do(ctx context.Context, a Ask) (Sight, error) {
	ctx, cancel := context.WithTimeout(ctx, a.Limit)
	defer cancel()
	if e.left != nil {
		select {
		case <-e.left.ended:
			e.left = nil
		default:
			return Sight{}, fmt.Errorf("%w: an earlier look still hangs in the kernel", fencing.ErrTimeout)
		}
	}
	if e.at == nil {
		var err error
		if e.at, err = e.servants.start(e.path, stays); err != nil {
			return Sight{}, err
		}
	}
	s, err := e.at.ask(ctx, a.what)
	if err != nil && !answered(err) {
		e.left = e.at
		e.close()
	}
	return s, err
}

// answered says whether the servant itself said so: then it goes on.
func answered(err error) bool {
	k := fencing.Classify(err)
	return err == errNoSlot || k != fencing.ErrTimeout && k != fencing.ErrHelper
}

func (e *eye) close() {
	if e.at != nil {
		e.at.end()
		e.at = nil
	}
}
