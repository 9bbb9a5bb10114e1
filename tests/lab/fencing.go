package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"bascule/fencing/sbd"
	"bascule/ha"
)

// The ways in which the nodes of a lab are fenced. Their watchdogs run beside each of them.
const (
	Redfish  = "redfish"  // a BMC per node, asked by Redfish
	IPMI     = "ipmi"     // the same BMC, asked by IPMI
	SBD      = "sbd"      // a message on one shared disk
	Watchdog = "watchdog" // no device at all: only the nodes' watchdogs, and time
)

// Fencings are all of them.
var Fencings = []string{Redfish, IPMI, SBD, Watchdog}

// MsgWait is the msgwait of a lab's disk: twice its watchdog time.
const MsgWait = 10 * time.Second

// Timings are the waits that the lab's nodes run with: its profile's. With SBD the watchdogs are set to the disk's watchdog time, and
// guests get longer to end: else the watchdog's own proof (W) would always come before msgwait, and the message would show nothing.
func (o Options) Timings() (ha.Timing, error) {
	t, err := ha.Profile(o.Timing)
	if o.Fencing == SBD {
		t.WatchdogTimeout, t.KillTime = MsgWait/2, 10*time.Second
	}
	return t, err
}

// slotLimit bounds the making of the shared disk: taking one slot takes its allocate time, a second.
const slotLimit = 30 * time.Second

// buildSBD makes the shared disk and gives each node its slot, as an operator does once.
func (w *World) buildSBD() error {
	if w.opt.Fencing != SBD {
		return nil
	}
	w.events.add(EventProgress, "", "making the shared sbd disk, a slot for each node")
	ctx, cancel := context.WithTimeout(w.ctx, slotLimit)
	defer cancel()
	disk := w.layout.SBDDisk()
	if err := os.MkdirAll(filepath.Dir(disk), 0o755); err != nil {
		return fmt.Errorf("the shared storage cannot be made: %w", err)
	}
	if err := os.WriteFile(disk, make([]byte, 1<<20), 0o600); err != nil {
		return fmt.Errorf("the shared sbd disk cannot be made: %w", err)
	}
	times := sbd.Times{Watchdog: MsgWait / 2, Allocate: time.Second, Loop: time.Second, MsgWait: MsgWait}
	if err := sbd.Create(ctx, []string{disk}, times); err != nil {
		return fmt.Errorf("%w; files as disks need a halab that was built with -tags lab", err)
	}
	for _, name := range w.opt.names() {
		if err := sbd.Allocate(ctx, []string{disk}, name); err != nil {
			return err
		}
	}
	return nil
}
