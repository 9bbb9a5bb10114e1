package agent

import (
	"context"

	"bascule/ha"
	"bascule/ha/node"
)

// aboutSlots keeps the store's word about this node's slots and the guard's in step: the guard obeys before a report says so, and is
// released only after the store has a report that says that it does not. Both are asked again in each round until they are so.
func (a *Agent) aboutSlots(ctx context.Context, st ha.GuardStatus) {
	a.mu.Lock()
	a.obeys = a.obeys && st.SlotsSeen // from here on no report says so, until the guard was told anew
	obeys, leaving := a.obeys, a.leaving
	a.mu.Unlock()
	text := ""
	if len(st.Slots) > 0 && !st.SlotsSeen {
		text = st.SlotsProblem + ": a message there would not reach this node and proves nothing about it; look at the disks and the paths to them"
	}
	a.Problem("slots", text)
	switch word := a.cfg.Node.AboutSlots(st, obeys, a.reports.said().Report); {
	case word == node.SlotsObey && !leaving:
		a.obey(ctx)
	case word == node.SlotsRelease:
		a.release(ctx)
	}
}

// obey tells the guard that messages end this node, and then the store.
func (a *Agent) obey(ctx context.Context) {
	c, cancel := context.WithTimeout(ctx, guardEvery)
	defer cancel()
	if err := a.cfg.Guard.Obey(c, true); err != nil {
		a.log.WithField("reason", err.Error()).Warn("the guard does not obey messages in this node's slots yet; trying again")
		return
	}
	a.mu.Lock()
	a.obeys = true
	a.mu.Unlock()
	a.reports.wake()
}

// release tells the guard that nobody counts on messages. No report is written meanwhile, and the next that names a slot is written
// only after the guard was told to obey again.
func (a *Agent) release(ctx context.Context) {
	c, cancel := context.WithTimeout(ctx, guardEvery)
	defer cancel()
	if a.report.take(c) != nil {
		return
	}
	defer a.report.give()
	if !a.cfg.Node.MayRelease(a.reports.said().Report) {
		return
	}
	if err := a.cfg.Guard.Obey(c, false); err != nil {
		a.log.WithField("reason", err.Error()).Warn("the guard was not told that nobody counts on messages to this node; trying again")
		return
	}
	a.log.WithField("reason", "its slots are not seen").Warn("the store says that nobody counts on messages to this node: it lives on without its slots")
}
