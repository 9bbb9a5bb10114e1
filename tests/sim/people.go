package sim

import (
	"time"

	"bascule/ha"
)

// people are the operators of the site: what they asked for, and the one who looks after what is stuck when the faults are over.
type people struct {
	asked        int
	stoppedProcs []stoppedProc
	flaps        map[string]bool
	flapping     map[string]bool
}

type stoppedProc struct {
	key string
	p   *Proc
}

// operator is a process on a node whose store client people's commands use: hactl, through the first daemon that works.
func (w *World) operator() *Daemon {
	for _, d := range w.daemons {
		if d != nil && d.p.Runs() && d.rep.d != nil && d.state.Lease.Acts(d.now()) {
			return d
		}
	}
	return nil
}

// ask submits an operator's request, trying again while no daemon takes it.
func (w *World) ask(kind ha.RequestKind, n string) {
	w.submit(ha.Request{Kind: kind, Node: ha.NodeName(n)}, 200)
}

func (w *World) submit(q ha.Request, tries int) {
	d := w.operator()
	if d == nil {
		if tries > 0 {
			w.loop.After(2*time.Second, func() { w.submit(q, tries-1) })
		}
		return
	}
	w.people.asked++
	q.ID, q.By, q.At = text(w.people.asked), "root@pam", d.p.clock.Wall().UTC()
	t := ha.Txn{Guards: []ha.Guard{{Key: ha.KeyRequest(q.ID)}}, Puts: []ha.Put{{Key: ha.KeyRequest(q.ID), Value: ha.Encode(q)}}}
	d.store.Commit(t, d.cfg.Timing.LeaseTTL, func(_ int64, err error) {
		if err != nil && tries > 0 { // asking twice does no harm
			w.loop.After(2*time.Second, func() { w.submit(q, tries-1) })
		}
	})
}

// confirmOff is a careful operator: goes to the machine, sees to it that it is off, and says so about the boot that the cluster means.
// Without a daemon that answers nothing is done.
func (w *World) confirmOff(n string) {
	h := w.machine.Host(n)
	if h.On() && h.Runs() {
		return
	}
	rec, ok := w.store.Truth().Nodes[ha.NodeName(n)]
	if !ok {
		return
	}
	if h.On() {
		h.Power(false)
		w.loop.After(20*time.Second, func() { h.Power(true) })
	}
	w.submit(ha.Request{Kind: ha.RequestConfirmOff, Node: ha.NodeName(n), Incarnation: rec.Rec.Incarnation}, 5)
}

// moveByHand is an operator's move of a guest that is at rest or runs in order: nobody moves what is being recovered.
func (w *World) moveByHand(id ha.VMID, to string) {
	if w.machine.guest(id) == nil || w.machine.guest(id).spec.Pinned != "" { // it would not run there
		return
	}
	g, ok := w.store.Truth().Guests[id]
	h := w.machine.Host(to)
	if ok && (g.Rec.State != ha.GuestStarted && g.Rec.State != ha.GuestStopped) || h == nil || !h.Runs() || !h.quorate() {
		return
	}
	if from := w.machine.Host(w.machine.ConfigNode(id)); from == nil || !from.Runs() || !from.quorate() {
		return
	}
	w.machine.ManualMove(id, to)
}

// calm is the end of the faults: whoever is still switched off, crashed or stopped by then is looked after by a person.
func (w *World) calm() {
	w.loop.Logf("world", "faults are over")
	for _, h := range w.machine.Hosts() {
		h.Power(true)
		if h.Crashed() {
			h.Reset("button")
		}
	}
	w.loop.After(20*time.Second, w.caretaker)
}

// caretaker looks every 20 s for a machine that waits for a person: one that hangs, or whose fencing nothing but a person
// can end, is switched off and on again. What should end by itself is left to itself: the audit looks how long it takes.
func (w *World) caretaker() {
	for _, h := range w.machine.Hosts() {
		rec := w.store.Truth().Nodes[ha.NodeName(h.Name)].Rec
		overdue := h.Runs() && h.boot.guard != nil && h.boot.guard.s.Overdue // it says so itself: power it off
		waits := h.On() && (rec.State == ha.NodeFencing || rec.State == ha.NodeFenced) && rec.Incarnation == h.Inc() && !w.judge.audit.endsAlone(h)
		if overdue || h.Crashed() || waits {
			h.Power(false)
		}
		if !h.On() {
			h.Power(true)
		}
	}
	w.loop.After(20*time.Second, w.caretaker)
}
