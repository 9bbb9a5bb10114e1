package sbd

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

// Watcher judges what a node sees of its own slot. It is pure: Next says what to ask of a disk and when, Saw takes the answer, Verdict says
// what follows. It ends nothing. Not safe for concurrent use.
//
// Its rules are those of sbd watch. With one or two disks one must be seen, with three two: any message on a majority then lies on a disk
// that is seen. A disk counts for its own watchdog time from the moment in which the look that saw it began. On each disk, what lies in the
// slot at the first look of a boot was meant for an earlier one and is cleared; whatever comes later is obeyed.
type Watcher struct {
	slot  string
	fresh bool
	disks []watched
	times Times // of the first disk that answered: all must have the same
	ready bool
	fatal *Mailbox // the message that ends the node; never forgotten
}

// watched is one disk.
type watched struct {
	stage   stage
	next    ha.Instant
	header  Header
	slot    int
	stale   Mailbox // what is to be cleared
	cleared bool    // in this boot
	shown   Mailbox // the last mailbox reported
	seen    ha.Instant
	problem string
}

type stage int

const (
	seeking  stage = iota // looks for the slot
	claiming              // takes one
	clearing              // empties the mailbox
	watching
)

const (
	firstLook = time.Second     // until a header says how often to look
	firstWait = 5 * time.Second // until a header says how long a look may take
)

// NewWatcher watches a slot on so many disks. fresh says that nobody has watched it in this boot of the node: only then are
// messages cleared that lie there already. Who restarts within a boot must say false, or a message that came meanwhile is lost.
func NewWatcher(slot string, disks int, fresh bool) (*Watcher, error) {
	if err := checkSlot(slot); err != nil {
		return nil, err
	}
	if disks < 1 || disks > maxDisks {
		return nil, fmt.Errorf("a slot is watched on 1 to %d disks, not %d", maxDisks, disks)
	}
	return &Watcher{slot: slot, fresh: fresh, disks: make([]watched, disks)}, nil
}

// Ask is what to ask of a disk next. Answer it with Saw.
type Ask struct {
	At    ha.Instant    // not before
	Limit time.Duration // how long it may take: after that Saw gets an error
	what  request
}

// Next says what to ask of a disk.
func (w *Watcher) Next(disk int) Ask {
	d := &w.disks[disk]
	a := Ask{At: d.next, Limit: firstWait}
	if w.times.Watchdog > 0 {
		a.Limit = w.times.Watchdog / 2 // so that a second look fits before the disk counts as lost
	}
	switch d.stage {
	case claiming:
		a.what = request{Op: opClaim, Name: w.slot}
	case clearing:
		a.what = request{Op: opClear, Name: w.slot, Slot: d.slot, Mailbox: d.stale}
	case watching:
		a.what = request{Op: opAgain, Slot: d.slot}
	default:
		a.what = request{Op: opLook, Name: w.slot}
	}
	return a
}

// Notice is something that changed, for the log.
type Notice struct {
	Disk int
	Text string
}

// Saw takes what came of the last Ask of a disk: asked is when it was sent.
func (w *Watcher) Saw(disk int, asked ha.Instant, s Sight, err error) []Notice {
	d := &w.disks[disk]
	before := d.problem
	d.next, d.problem = asked.Add(w.loop()), ""
	if err == nil {
		err = w.sameDisk(d, s)
	}
	var text string
	if err == nil {
		text, err = w.take(d, asked, s)
	}
	switch {
	case errors.Is(err, errNoSlot) && d.stage == seeking:
		d.stage, d.next = claiming, asked
	case err != nil:
		d.problem = err.Error()
		d.stage = seeking // as sbd restarts the process of such a disk
	}
	var out []Notice
	if d.problem != before && d.problem != "" {
		out = append(out, Notice{disk, d.problem})
	}
	if text != "" {
		out = append(out, Notice{disk, text})
	}
	w.ready = w.ready || w.sees(asked) >= w.need()
	return out
}

// sameDisk refuses a header that differs from the first one of all disks in its times, or of this disk in anything.
func (w *Watcher) sameDisk(d *watched, s Sight) error {
	if w.times == (Times{}) {
		if err := s.Header.Times.check(); err != nil {
			return err
		}
		w.times = s.Header.Times
	}
	if s.Header.Times != w.times {
		return fmt.Errorf("its times %v differ from those of the other disks, %v: it does not count", s.Header.Times, w.times)
	}
	if d.stage == watching && s.Header != d.header {
		return errors.New("its header has changed: it was made again, or another disk is in its place")
	}
	for i := range w.disks {
		if o := &w.disks[i]; o != d && s.Header.Minor > 0 && o.header.Minor > 0 && o.header.UUID == s.Header.UUID {
			return fmt.Errorf("it is the same disk as number %d (UUID %s): it does not count", i+1, s.Header.ID())
		}
	}
	d.header = s.Header
	return nil
}

// take follows a good answer.
func (w *Watcher) take(d *watched, asked ha.Instant, s Sight) (text string, err error) {
	was := d.stage
	switch {
	case was == claiming:
		d.stage, d.next = seeking, asked.Add(w.times.Allocate)
		return fmt.Sprintf("took slot %d for %s", s.Slot, w.slot), nil
	case s.Slot < 0:
		return "", errNoSlot
	case !sameName(s.Name, w.slot):
		return "", fmt.Errorf("slot %d belongs to %q now", s.Slot, s.Name)
	}
	m := s.Mailbox
	d.slot, d.stage = s.Slot, watching
	if w.fresh && !d.cleared && was == seeking && m.Command != Clear {
		d.stale, d.stage, d.next = m, clearing, asked
		return fmt.Sprintf("a message from before this boot is cleared: %v from %q", m.Command, m.From), nil
	}
	d.cleared = true // what lies there now came in this boot
	switch {
	case m.Command == Test || m.Command > Crashdump: // clearing it answers the test; anything else is the remains of something
		d.stale, d.stage, d.next = m, clearing, asked
		text = fmt.Sprintf("message %v from %q is cleared", m.Command, m.From)
	case m.Command == Exit && m != d.shown:
		text = fmt.Sprintf("message exit from %q is not obeyed: the watch goes on", m.From)
	case m.Command.obeyed() && w.fatal == nil:
		w.fatal = &m
		text = fmt.Sprintf("message %v from %q: this node must end", m.Command, m.From)
	}
	d.seen, d.shown = asked, m
	return text, nil
}

// obeyed says whether a node ends itself at the command.
func (c Command) obeyed() bool { return c.Ends() || c == Crashdump }

// Verdict is what follows from all looks so far.
type Verdict struct {
	Poisoned *Mailbox   // a message that ends the node has been seen: end it
	Ready    bool       // enough disks have been seen since the watch began: only now may the node say that it obeys messages
	Until    ha.Instant // the last instant until which enough disks have been seen; if it passes, the node must end: stop feeding the watchdog. 0 until Ready
	Seen     int        // disks that count now
	Disks    int
	Problems []string // of each disk; empty where there is none
}

// Verdict judges at an instant.
//
// A node whose watchdog fires within the disks' watchdog time of its last feeding, and that is not fed after Until, has ended msgwait
// (at least twice that time) after a message was on a majority: either it saw it, or it has not seen enough disks since.
func (w *Watcher) Verdict(now ha.Instant) Verdict {
	v := Verdict{Poisoned: w.fatal, Ready: w.ready, Seen: w.sees(now), Disks: len(w.disks)}
	var untils []ha.Instant
	for _, d := range w.disks {
		untils = append(untils, d.until())
		v.Problems = append(v.Problems, d.problem)
	}
	if w.ready {
		slices.Sort(untils)
		v.Until = untils[len(untils)-w.need()]
	}
	return v
}

// until is when a disk that is not seen again no longer counts.
func (d watched) until() ha.Instant {
	if d.seen == 0 {
		return 0
	}
	return d.seen.Add(d.header.Times.Watchdog)
}

func (w *Watcher) sees(now ha.Instant) int {
	n := 0
	for _, d := range w.disks {
		if d.seen != 0 && now < d.until() {
			n++
		}
	}
	return n
}

// need is how many disks must be seen: so many that they always share one with a majority.
func (w *Watcher) need() int { return len(w.disks) - len(w.disks)/2 }

func (w *Watcher) loop() time.Duration {
	if w.times.Loop > 0 {
		return w.times.Loop
	}
	return firstLook
}
