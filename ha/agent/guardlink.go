package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
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
		a.askGuard(ctx, a.syncGuard(ctx, nil))
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
	if err != nil {
		st = ha.GuardStatus{}
	}
	a.mu.Lock()
	changed := st.Driver != a.guard.Driver || st.Armed != a.guard.Armed || st.Connected != a.guard.Connected || st.Phase != a.guard.Phase
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
	if !sameWaits(st.Timing, a.cfg.Node.Timing) {
		a.Problem("guard timing", "the guard runs with other waits than basculed: this node gives no proof by self-fencing; restart bascule-guard when no guest runs here, or set the timing back")
	} else {
		a.Problem("guard timing", "")
	}
	if st.Driver != "" && !st.Armed && permitted { // the permit goes first: an armed guard without one would end the guests
		if err := a.cfg.Guard.Arm(c); err != nil {
			a.Problem("watchdog", "the watchdog cannot be armed: "+err.Error()+"; this node gives no proof by self-fencing")
			return
		}
	}
	a.Problem("watchdog", "")
}

// syncGuard sends the guard the permit and the guests that it covers: all that this node holds, and extra ones that are about to
// be started. A permit that ended is not sent.
func (a *Agent) syncGuard(ctx context.Context, extra *ha.GuestRef) error {
	if err := a.permit.take(ctx); err != nil {
		return err
	}
	defer a.permit.give()
	a.mu.Lock()
	l, leaving := a.lease, a.leaving
	refs := map[ha.VMID]ha.GuestRef{}
	for id, g := range a.view.Guests {
		for _, h := range g.Rec.Holders {
			if h.Node == a.cfg.Node.Self && h.Incarnation == a.cfg.Node.Incarnation {
				refs[id] = ha.GuestRef{ID: id, Kind: g.Rec.Kind}
			}
		}
	}
	for _, s := range a.inventory.Guests {
		if s.Protected && s.Running {
			refs[s.ID] = ha.GuestRef{ID: s.ID, Kind: s.Kind}
		}
	}
	if !a.viewOK || !a.looked { // not known yet what runs here: what the guard watches stays watched
		for _, g := range a.guard.Guests {
			refs[g.ID] = g
		}
	}
	a.mu.Unlock()
	if extra != nil {
		refs[extra.ID] = *extra
	}
	if leaving || !l.Valid(a.cfg.Now()) {
		return nil
	}
	var list []ha.GuestRef
	for _, id := range slices.Sorted(maps.Keys(refs)) {
		list = append(list, refs[id])
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
