package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/renameio/v2"

	"bascule/ha"
	"bascule/ha/node"
)

// guardLoop passes permits to the guard as they come, asks it how it is, and arms it.
func (a *Agent) guardLoop(ctx context.Context) error {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		a.askGuard(ctx, a.syncGuard(ctx))
		select {
		case <-ctx.Done():
			return nil
		case <-a.sync:
		case <-tick.C:
		}
	}
}

// askGuard learns the guard's state and passes it on; a guard that is not armed is armed, unless we are leaving. refused is what
// became of the last permit: a guard that answers but takes none is as much a problem as one that does not answer.
func (a *Agent) askGuard(ctx context.Context, refused error) {
	c, cancel := context.WithTimeout(ctx, guardEvery)
	defer cancel()
	st, err := a.cfg.Guard.Status(c)
	a.mu.Lock()
	if err != nil { // what it watches stays known: a permit that left it out would leave it unwatched
		st = ha.GuardStatus{Guests: a.guard.Guests}
	}
	changed := st.Driver != a.guard.Driver || st.Armed != a.guard.Armed || st.Connected != a.guard.Connected || st.Phase != a.guard.Phase ||
		st.SlotsSeen != a.guard.SlotsSeen
	a.guard = st
	permitted := !a.leaving && a.lease.Valid(a.cfg.Now())
	a.mu.Unlock()
	if changed {
		a.reports.wake()
		a.changed()
	}
	a.send(ctx, node.GuardSeen{Connected: st.Connected, Clean: st.Clean, Deadline: st.Deadline})
	if ctx.Err() != nil {
		return
	}
	if err = cmp.Or(err, refused); err != nil {
		a.Problem("guard", "the guard takes no permit ("+err.Error()+"): nothing is started here; look at bascule-guard.service")
	} else {
		a.Problem("guard", "")
	}
	if !st.Connected {
		return
	}
	a.aboutSlots(ctx, st)
	if !node.SameWaits(st.Timing, a.cfg.Node.Timing) {
		a.Problem("guard timing", "the guard runs with other waits than basculed: this node gives no proof by self-fencing; restart bascule-guard when no guest runs here, or set the timing back")
	} else {
		a.Problem("guard timing", "")
	}
	if st.Driver != "" && !st.Armed && permitted { // the permit goes first: an armed guard without one would end the guests
		a.arm(ctx)
		return
	}
	a.Problem("watchdog", "")
}

// arm asks for the watchdog in the background, once at a time: a device that hangs while it is opened must not hold up permits.
func (a *Agent) arm(ctx context.Context) {
	if !a.arming.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer a.arming.Store(false)
		c, cancel := context.WithTimeout(ctx, 2*guardEvery)
		defer cancel()
		text := ""
		if err := a.cfg.Guard.Arm(c); err != nil {
			text = "the watchdog cannot be armed: " + err.Error() + "; this node gives no proof by self-fencing"
		}
		a.Problem("watchdog", text)
	}()
}

// endPermit tells the guard that the permit ended before its deadline. A guard that does not answer lets it run out.
func (a *Agent) endPermit(ctx context.Context) {
	c, cancel := context.WithTimeout(ctx, guardEvery)
	defer cancel()
	if a.cfg.Guard == nil {
		return
	}
	if a.permit.take(c) == nil { // no permit that was read before this may be sent after it
		defer a.permit.give()
	}
	if err := a.cfg.Guard.End(c); err != nil {
		a.log.WithField("reason", err.Error()).Warn("the guard did not take the end of the permit; it ends the guests at the permit's deadline")
	}
}

// syncGuard sends the guard the permit and the guests that it covers: all that this node holds, and extra ones that are about to
// be started. A permit that ended is not sent.
func (a *Agent) syncGuard(ctx context.Context, extra ...ha.GuestRef) error {
	if err := a.permit.take(ctx); err != nil {
		return err
	}
	defer a.permit.give()
	said := a.reports.said()
	a.mu.Lock()
	l, leaving := a.lease, a.leaving
	list := a.cfg.Node.PermitGuests(&a.view, a.inventory, a.viewOK && a.looked, a.guard.Guests, said, extra...)
	a.mu.Unlock()
	if leaving || !l.Valid(a.cfg.Now()) {
		return nil
	}
	c, cancel := context.WithTimeout(ctx, guardEvery)
	defer cancel()
	return a.cfg.Guard.Permit(c, a.cfg.Node.Incarnation, l.Deadline, list)
}

// noteArrivals keeps the generations of guests that are being moved here, before Proxmox starts their process.
func (a *Agent) noteArrivals(s ha.Snapshot) {
	for _, g := range s.Guests {
		if m := g.Rec.Move; m != nil && m.Target == a.cfg.Node.Self {
			a.noteGeneration(g.Rec.ID, g.Rec.Generation)
			return
		}
	}
}

// noteGeneration keeps the generation of a guest that is about to be started, for people who look at the node.
func (a *Agent) noteGeneration(id ha.VMID, gen ha.Generation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[string]map[string]ha.Generation{}
	for vmid, g := range a.view.Guests {
		if g.Rec.Node == a.cfg.Node.Self || g.Rec.Move != nil && g.Rec.Move.Target == a.cfg.Node.Self {
			all[strconv.Itoa(int(vmid))] = map[string]ha.Generation{"generation": g.Rec.Generation}
		}
	}
	if id != 0 {
		all[strconv.Itoa(int(id))] = map[string]ha.Generation{"generation": gen}
	}
	b, err := json.Marshal(all)
	if err == nil {
		err = renameio.WriteFile(a.cfg.GuestsFile, b, 0o640)
	}
	if err != nil {
		a.log.WithField("reason", err.Error()).Warn("cannot write the list of generations")
	}
}
