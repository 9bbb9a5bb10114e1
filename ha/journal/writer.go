package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const (
	flushAfter = time.Second      // what a crash may lose
	tryAgain   = 10 * time.Second // after the directory could not be written
)

// writer is Run's own state.
type writer struct {
	cfg     Config
	out     *segments
	thin    thinner
	encoder encoder
	alike   int   // entries left out since the last one written
	lost    int64 // entries that could not be kept, not yet said in the journal
	broken  bool
	retryAt time.Time
}

// Run writes until ctx ends, then what is waiting still. It returns no error: what cannot be written is counted, logged once and tried
// again.
func (j *Journal) Run(ctx context.Context) {
	w := &writer{cfg: j.cfg, out: &segments{dir: j.cfg.Dir, keep: j.cfg.Segments, max: j.cfg.SegmentBytes}}
	w.out.start = w.startLine
	flush := time.NewTimer(flushAfter)
	defer flush.Stop()
	for {
		select {
		case <-ctx.Done():
			j.drain(w)
			return
		case i := <-j.queue:
			w.lost += j.dropped.Swap(0)
			if opened := w.take(i); opened {
				flush.Reset(flushAfter)
			}
		case <-flush.C:
			w.check(w.out.flush())
		}
	}
}

// drain writes what waits in the queue and closes.
func (j *Journal) drain(w *writer) {
	for {
		select {
		case i := <-j.queue:
			w.take(i)
		default:
			w.lost += j.dropped.Swap(0)
			w.say(w.alike)
			w.check(w.out.close())
			return
		}
	}
}

// take writes an entry that is worth it; opened says that it is the first one that waits to be flushed. A mistake in here costs the
// entry and never the daemon.
func (w *writer) take(i item) (opened bool) {
	defer func() {
		if p := recover(); p != nil {
			w.unrecorded(fmt.Errorf("panic: %v", p))
		}
	}()
	if !i.worth(&w.thin) {
		w.alike++
		return false
	}
	if w.broken && time.Now().Before(w.retryAt) {
		w.lost++
		return false
	}
	line, err := i.line(w.alike, &w.encoder)
	if err != nil {
		w.unrecorded(err)
		return false
	}
	waiting := w.out.waiting
	w.say(0)
	if !w.write(line) {
		w.lost++
		return false
	}
	w.alike = 0
	return !waiting
}

// unrecorded counts an entry that has no JSON form.
func (w *writer) unrecorded(err error) {
	w.lost++
	w.cfg.Log.WithField("reason", err.Error()).Error("a decision cannot be recorded for hactl replay; it was carried out all the same; please report this")
}

// say writes how many entries are missing here, and at the end how many were left out since the last one.
func (w *writer) say(alike int) {
	if w.lost == 0 && alike == 0 {
		return
	}
	line, err := json.Marshal(gapLine{Kind: KindGap, At: w.cfg.Wall().UTC(), Dropped: w.lost, Alike: alike})
	if err == nil && w.write(line) {
		w.lost = 0
	}
}

func (w *writer) write(line []byte) bool {
	err := w.out.write(append(line, '\n'))
	w.check(err)
	return err == nil
}

// check tells people once when the journal cannot be written, and once when it can again.
func (w *writer) check(err error) {
	switch {
	case err != nil:
		w.retryAt = time.Now().Add(tryAgain)
		w.lost, w.out.lost = w.lost+w.out.lost, 0
		if !w.broken {
			w.cfg.Log.WithField("reason", err.Error()).Warn("the record of decisions for hactl replay cannot be written; guests are protected all the same; make room or correct the directory")
		}
		w.broken = true
	case w.broken && w.out.waiting:
		w.broken = false
		w.cfg.Log.WithField("reason", "its directory can be written").Info("the record of decisions is kept again")
	}
}

func (w *writer) startLine() ([]byte, error) {
	return json.Marshal(Start{Kind: KindStart, Format: format, Version: w.cfg.Version, Node: w.cfg.Node, Boot: w.cfg.Boot, At: w.cfg.Wall().UTC()})
}
