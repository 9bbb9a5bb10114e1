package sbd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"bascule/fencing"
)

// device is the slot of one node on its disks.
type device struct {
	settings
	servants servants
}

// MsgWait is the setting. Read fails when a disk orders more.
func (d *device) MsgWait() time.Duration { return d.msgWait }

// Read counts the disks on which the node's mailbox holds off or reset. A disk that cannot be read, is no SBD disk or has no slot of
// the node counts as one without a message, unless that is true of too many for any message ever to count.
func (d *device) Read(ctx context.Context) (pills, disks int, err error) {
	holds := func(f finding) bool { return f.err == nil && f.sight.Slot >= 0 && f.sight.Mailbox.Command.Ends() }
	found := d.each(ctx, request{Op: opLook, Name: d.slot}, holds)
	if err := d.judge(found); err != nil {
		return 0, 0, err
	}
	answered := 0
	for _, f := range found {
		if f.err == nil {
			answered++
		}
		if holds(f) {
			pills++
		}
	}
	if answered == 0 {
		return 0, 0, d.failure("read", found)
	}
	return pills, len(d.disks), nil
}

// Poison writes off into the node's mailbox on all disks. Whatever lay there is overwritten, as sbd does.
func (d *device) Poison(ctx context.Context) error {
	from, err := os.Hostname() // what sbd list shows as the sender
	if err != nil {
		from = "bascule"
	}
	took := func(f finding) bool { return f.err == nil }
	found := d.each(ctx, request{Op: opMessage, Name: d.slot, Mailbox: Mailbox{Command: Off, From: from}}, took)
	if err := d.judge(found); err != nil {
		return err
	}
	wrote := 0
	for _, f := range found {
		if took(f) {
			wrote++
		}
	}
	if 2*wrote <= len(d.disks) {
		return d.failure("written", found)
	}
	return nil
}

// judge refuses disks from which nothing can be concluded: whose times are not what the settings count on, that are one disk under two
// names, or of which too many have no slot of the node.
func (d *device) judge(found []finding) error {
	seen := map[[16]byte]string{}
	missing := 0
	for _, f := range found {
		if f.err == nil && f.sight.Slot < 0 || errors.Is(f.err, errNoSlot) {
			missing++
		}
		h := f.sight.Header
		if h.SectorSize == 0 {
			continue // nothing was read
		}
		if h.Times.MsgWait > d.msgWait {
			return fmt.Errorf("%w: disk %s orders a msgwait of %v, the setting \"msgwait\" is %v: write %v or more", fencing.ErrSettings, f.path, h.Times.MsgWait, d.msgWait, h.Times.MsgWait)
		}
		if least := 2 * h.Times.Watchdog; d.msgWait < least || h.Times.MsgWait < least {
			return fmt.Errorf("%w: disk %s gives a node %v to notice that it cannot see its disks; msgwait must be at least twice that, the disk has %v, the setting \"msgwait\" is %v: make the disk again with other times, or raise the setting",
				fencing.ErrSettings, f.path, h.Times.Watchdog, h.Times.MsgWait, d.msgWait)
		}
		if other := seen[h.UUID]; other != "" && h.Minor > 0 {
			return fmt.Errorf("%w: %s and %s are the same disk (UUID %s): write each disk once, by one path", fencing.ErrSettings, other, f.path, h.ID())
		}
		seen[h.UUID] = f.path
	}
	if 2*(len(d.disks)-missing) <= len(d.disks) {
		return fmt.Errorf("%w: %d of %d disks have no slot called %q: is the setting \"slot\" the name that sbd list shows, does the node watch these disks?", fencing.ErrSettings, missing, len(d.disks), d.slot)
	}
	return nil
}

// failure says what happened on every disk. Its kind is that of the first error that an operator can do most about.
func (d *device) failure(what string, found []finding) error {
	kind, good := fencing.ErrTimeout, 0
	var texts []string
	for _, k := range []error{fencing.ErrUnreachable, fencing.ErrHelper, fencing.ErrRefused, fencing.ErrRubbish, fencing.ErrSettings} {
		if slices.ContainsFunc(found, func(f finding) bool { return errors.Is(f.err, k) }) {
			kind = k
		}
	}
	for _, f := range found {
		if f.err == nil {
			good++
			continue
		}
		texts = append(texts, f.path+": "+strings.TrimPrefix(f.err.Error(), kind.Error()+": "))
	}
	return fmt.Errorf("%w: %d of %d disks %s: %s", kind, good, len(d.disks), what, strings.Join(texts, "; "))
}
