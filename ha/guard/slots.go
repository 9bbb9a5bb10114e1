package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"bascule/ha"
	"bascule/ha/node"

	"github.com/sirupsen/logrus"
)

// Slot is this node's own place on shared disks, in which a message can lie that ends it: the port to a watched poison device.
type Slot interface {
	// Device is the poison device's name in the configuration.
	Device() string
	// Watch looks until ctx ends and calls report after each look, never twice at a time. fresh: nobody has watched it in this boot,
	// so what lies in it was meant for an earlier one.
	Watch(ctx context.Context, fresh bool, report func(Sight)) error
}

// Sight is what is known of a slot after a look at one of its disks.
type Sight struct {
	Until   ha.Instant   // enough disks count as seen until then; 0: not yet
	Problem string       // of the disks that do not answer as they should, for people
	Message node.NodeEnd // a message of this boot that ends the node; empty: none
	From    string       // who wrote it, in the disk's words
	Notes   []string     // what changed, for the log
}

// Ender ends the node at once. It returns only when it could not, or while the kernel is at it.
type Ender interface{ End(how node.NodeEnd) error }

// SysRq ends the node through the kernel's magic keys, as sbd does: without a word to any process, and without syncing disks.
type SysRq struct {
	Root string // prefix of /proc; "" on a real node
}

var sysRqKeys = map[node.NodeEnd]string{node.EndReset: "b", node.EndOff: "o", node.EndCrash: "c"}

// End writes the key. The kernel obeys root whatever kernel.sysrq says.
func (s SysRq) End(how node.NodeEnd) error {
	key, ok := sysRqKeys[how]
	if !ok {
		return fmt.Errorf("a node cannot be ended by %q", how)
	}
	f, err := os.OpenFile(filepath.Join(s.Root, "/proc/sysrq-trigger"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(key)
	return errors.Join(err, f.Close())
}

// endNode asks for the end, beside the machine: the kernel may take its time. Where it cannot be asked, the watchdog is left, which
// is not fed any more.
func (l *loop) endNode(how node.NodeEnd) {
	l.log.add(logrus.ErrorLevel, fmt.Sprintf("guard: this node ends itself now: %s", how))
	l.others.Go(func() {
		if err := l.cfg.Ender.End(how); err != nil {
			l.log.add(logrus.ErrorLevel, fmt.Sprintf("guard: the kernel does not end this node (%v): its watchdog does if it is armed; if not, power it off", err))
		}
	})
}

// watchSlot brings what the watch of a slot sees to the machine.
func (l *loop) watchSlot(ctx context.Context, s Slot, fresh bool) {
	report := func(x Sight) {
		for _, n := range x.Notes {
			l.log.add(logrus.WarnLevel, fmt.Sprintf("guard: slot of %s: %s", s.Device(), n))
		}
		l.report(ctx, node.GuardSight{Device: s.Device(), Until: x.Until, Problem: x.Problem, Message: x.Message, From: x.From})
	}
	if err := s.Watch(ctx, fresh, report); err != nil && ctx.Err() == nil {
		report(Sight{Problem: err.Error(), Notes: []string{"not watched: " + err.Error()}})
	}
}

func slotNames(slots []Slot) []string {
	var out []string
	for _, s := range slots {
		out = append(out, s.Device())
	}
	return out
}

// known says whether an earlier guard of this boot watched the slot.
func known(s node.GuardState, device string) bool {
	for _, x := range s.Slots {
		if x.Device == device {
			return x.Known
		}
	}
	return false
}
