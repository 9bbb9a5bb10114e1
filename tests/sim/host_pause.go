package sim

import "time"

// Freeze lets everything on the machine stand still, guests too, or go on. Counted; a new boot is not frozen.
func (h *Host) Freeze(on bool) {
	if h.boot == nil {
		return
	}
	if on {
		h.stop(h.boot)
	} else {
		h.goOn(h.boot, false)
	}
}

// Suspend lets the machine sleep for d. Its boot clock counts on; timers of the guard are late after it by up to its longest sleep.
func (h *Host) Suspend(d time.Duration) {
	b := h.boot
	if b == nil {
		return
	}
	h.stop(b)
	h.m.loop.After(d, func() {
		if h.boot == b {
			h.goOn(b, true)
		}
	})
}

func (h *Host) stop(b *boot) {
	b.stops++
	if b.stops > 1 {
		return
	}
	h.logf("stands still")
	for _, p := range b.procs {
		p.Stop()
	}
	h.m.corosync()
}

// guardSleep is the guard's longest sleep on a timer that does not count suspend (ha/guard).
const guardSleep = 250 * time.Millisecond

func (h *Host) goOn(b *boot, slept bool) {
	if b.stops == 0 {
		return
	}
	b.stops--
	if b.stops > 0 {
		return
	}
	h.logf("goes on")
	for _, p := range b.procs {
		if slept && b.guard != nil && p == b.guard.proc {
			h.m.loop.After(h.between(0, guardSleep), p.Continue)
			continue
		}
		p.Continue()
	}
	h.m.look()
}
