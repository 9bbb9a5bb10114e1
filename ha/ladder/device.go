package ladder

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// Device is one configured fencing device of a node.
type Device struct {
	Name     string
	Kind     ha.DeviceKind
	Storages []string      // a storage device: all that it takes away
	MsgWait  time.Duration // a poison device: from the message's read-back to the certain end of whoever had to read it
}

// Plan is a node's fencing levels: tried in order, all devices of one level together. After says what becomes of the machine then.
type Plan struct {
	Levels [][]Device
	After  After
}

// Device finds a device of the plan by its name.
func (p Plan) Device(name string) (Device, bool) {
	for _, level := range p.Levels {
		for _, d := range level {
			if d.Name == name {
				return d, true
			}
		}
	}
	return Device{}, false
}

// Unusable says for people why none of the plan's devices could prove anything about the incarnation; empty when one could.
func (p Plan) Unusable(f Facts) string {
	var why []string
	for _, level := range p.Levels {
		for _, d := range level {
			if !d.Kind.Acts() {
				continue
			}
			reason := d.Unusable(f)
			if reason == "" {
				return ""
			}
			why = append(why, d.Name+": "+reason)
		}
	}
	if len(why) == 0 {
		return "no fencing device is configured for it"
	}
	return strings.Join(why, "; ")
}

// Unusable says for people why the device may not prove anything about the incarnation; empty when it may.
func (d Device) Unusable(f Facts) string {
	if why := d.Unfit(f); why != "" {
		return why
	}
	c := f.check(d)
	if c.Identified(f.Incarnation) {
		return ""
	}
	switch {
	case c.Problem != "":
		return c.Problem
	case d.Kind == ha.PowerDevice:
		return "it never read \"on\" with the right system UUID while the node was alive"
	case d.Kind == ha.ResetDevice:
		return "it was never found ready to reset the node while that was alive"
	}
	return "it was never read without problem while the node was alive"
}

// Unfit says why the device cannot work for such an incarnation, however well it answers; empty when it can.
func (d Device) Unfit(f Facts) string {
	switch d.Kind {
	case ha.StorageDevice:
		if len(d.Storages) == 0 {
			return "it names no storage that it takes away"
		}
		if len(f.Clients) == 0 {
			return fmt.Sprintf("%s published no client address, so nothing can be taken away from it", f.Node)
		}
	case ha.PoisonDevice:
		if !f.Armed {
			return fmt.Sprintf("%s had no armed watchdog, so nothing makes it obey the message", f.Node)
		}
		if !slices.Contains(f.Watches, d.Name) {
			return fmt.Sprintf("%s does not watch its slot on these disks, so a message proves nothing about it; is the device in its own configuration, does it see the disks?", f.Node)
		}
		if least := f.Timing.MinMsgWait(); least <= 0 || d.MsgWait < least {
			return fmt.Sprintf("its msgwait %v is shorter than twice the watchdog time of %s (%v); correct one of the two", d.MsgWait, f.Node, least)
		}
	}
	return ""
}

// check returns what the device showed during a live lease. What a device of another kind showed under its name counts for nothing.
func (f Facts) check(d Device) ha.DeviceCheck {
	for _, c := range f.Checks {
		if kind := c.Kind; c.Device == d.Name && (kind == d.Kind || kind == "" && d.Kind == ha.PowerDevice) {
			return c
		}
	}
	return ha.DeviceCheck{Device: d.Name}
}

// commanded says whether the device's command is an intent in the record.
func commanded(r *ha.FenceRecord, d Device) bool {
	return r != nil && slices.Contains(r.Commanded, d.Name)
}
