package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// node looks at what a write changed in a node's record: its proofs, and the beginning of its fencing.
func (a *audit) node(x Applied, truth *ha.Snapshot, n ha.NodeName) {
	rec, old := truth.Nodes[n].Rec, a.nodes[n]
	for _, p := range rec.Proofs {
		if !slices.ContainsFunc(old.Proofs, p.Same) {
			a.proof(x, truth, p)
			a.ruledOut(truth, p)
			a.restsOnNode(x, n, "it is proven ("+string(p.Kind())+")")
		}
	}
	if works(rec.State) && (old.State == ha.NodeFencing || old.State == ha.NodeFenced) {
		a.letIn(n, rec, old)
		if old.State == ha.NodeFenced {
			a.restsOnNode(x, n, "it is let in")
		}
	}
	a.seeFenced(x, n, old, rec)
	a.resetIntents(x, truth, n)
	f := truth.Fences[n].Rec
	if rec.State == ha.NodeFencing && old.State != ha.NodeFencing && f.Operator == "" {
		a.fencing(x, n, rec.Incarnation)
		a.delayed(x, n, rec.Incarnation)
	}
	if rec.State == ha.NodeFencing && old.State != ha.NodeFencing && rec.Epoch == old.Epoch {
		a.restsOnNode(x, n, "it is to be fenced")
	}
}

// works says whether a node in this state has its guests again.
func works(s ha.NodeState) bool {
	return s == ha.NodeOnline || s == ha.NodeQuarantined || s == ha.NodeDraining || s == ha.NodeMaintenance
}

// letIn is R3: whose storages were taken away comes back with a new boot only, and so does who is proven to have ended by anything but its own
// doing, whatever the truth is.
func (a *audit) letIn(n ha.NodeName, rec, old ha.NodeRecord) {
	inc := rec.Incarnation
	for _, p := range old.Proofs {
		if p.Incarnation() == inc && p.Kind() != ha.SelfFenceElapsed && rec.Epoch == old.Epoch { // what an older store knew counts for nothing
			a.j.violate("R3", "%s is let in with boot %s, of which %s is stored", n, inc, p.Kind())
			return
		}
	}
	for _, s := range a.w.spec.Storages {
		if d := a.w.machine.Disk(s.Name); d != nil && d.Revoked(inc) {
			a.j.violate("R3", "%s is let in with boot %s, whose access to %s was taken away", n, inc, s.Name)
			return
		}
	}
}

// selfFenceTime is W by its terms.
func selfFenceTime(t ha.Timing) time.Duration {
	return t.PermitGrace + t.KillTime + t.WatchdogTimeout + t.SelfFenceMargin
}

// muxTime is the longest from a client's last feeding of watchdog-mux to the reset: its clients' time, the mux's look at them, the device.
const muxTime = muxClient + 2*muxIdle + muxDevice

// watchdogOf is a host's longest time from the last feeding to the reset.
func (a *audit) watchdogOf(h *Host) time.Duration {
	if h.spec.Watchdog == dogMux {
		return max(muxTime, a.w.spec.Timing.WatchdogTimeout)
	}
	return a.w.spec.Timing.WatchdogTimeout
}

// selfFenceOf is W of a host, by its terms.
func (a *audit) selfFenceOf(h *Host) time.Duration {
	return selfFenceTime(a.w.spec.Timing) - a.w.spec.Timing.WatchdogTimeout + a.watchdogOf(h)
}

// roughly takes off what two crystals may differ by.
func roughly(d time.Duration) time.Duration { return d - d/400 - time.Millisecond }

// proof is R3: each kind by what makes it one.
func (a *audit) proof(x Applied, truth *ha.Snapshot, p ha.Proof) {
	n, inc := p.Node(), p.Incarnation()
	h := a.w.machine.Host(string(n))
	if a.j.lied[h.Name] {
		return
	}
	alive := h.Booted() && h.Inc() == inc
	switch p.Kind() {
	case ha.PowerOffConfirmed:
		if h.On() && alive {
			a.j.violate("R3", "%s (boot %s) is proven off (%s) and is on", n, inc, p.Evidence())
		}
	case ha.PoisonPill:
		if alive {
			a.j.violate("R3", "%s (boot %s) is proven poisoned (%s) and is there", n, inc, p.Evidence())
		}
	case ha.StorageRevoked:
		for _, s := range p.Storages() {
			if d := a.w.machine.Disk(s); alive && d != nil && !d.Revoked(inc) && !a.j.givenBack(inc) {
				a.j.violate("R3", "%s (boot %s) is proven to have lost %s (%s) and has it", n, inc, s, p.Evidence())
			}
		}
	case ha.NewBoot:
		if rep, before := truth.Reports[n].Rec, a.uuids[inc]; rep.Incarnation != inc && before != "" && rep.SystemUUID != before {
			a.j.violate("R3", "a new boot of another machine (%s) is taken as a proof about %s (boot %s, machine %s)", rep.SystemUUID, n, inc, before)
		}
	case ha.OperatorConfirmed:
		if !slices.Contains(a.asked[n], inc) {
			a.j.violate("R3", "boot %s of %s is proven off by a confirmation about %v", inc, n, a.asked[n])
		}
	case ha.SelfFenceElapsed:
		a.selfFence(x, h, n, inc)
	}
}

// selfFence: for an armed boot, W after its lease was gone and after the end of what the prover had promised it.
func (a *audit) selfFence(x Applied, h *Host, n ha.NodeName, inc ha.Incarnation) {
	now, w := a.w.loop.Now(), roughly(a.selfFenceOf(h))
	if a.early[inc] {
		w += roughly(a.w.spec.Timing.LeaseTTL)
	}
	switch s := a.gone[n]; {
	case h.spec.Watchdog == "" || h.spec.Watchdog == dogSoft:
		a.j.violate("R3", "%s (boot %s) is proven to have ended itself; its watchdog is %q", n, inc, h.spec.Watchdog)
	case s.inc == inc && (s.there || now-s.since < w):
		a.j.violate("R3", "%s (boot %s) is proven to have ended itself %v after its lease ended; W is %v", n, inc, now-s.since, w)
	}
	if d := a.leaderOf(x); d != nil {
		if until := d.state.Promises[n]; until != 0 && d.now().Sub(until) < w {
			a.j.violate("R3", "%s (boot %s) is proven to have ended itself %v after the end of the promise of %s; W is %v", n, inc, d.now().Sub(until), d.h.Name, w)
		}
	}
}

// endedEarly notes that a leader ended the lease of a boot that lost its storages: its permit may outlive it.
func (a *audit) endedEarly(x Applied, truth *ha.Snapshot) {
	for _, n := range a.w.spec.memberNames() {
		rec := truth.Nodes[n].Rec
		taken := slices.ContainsFunc(rec.Proofs, func(p ha.Proof) bool { return p.Kind() == ha.StorageRevoked && p.Incarnation() == rec.Incarnation })
		if taken && x.By != string(n) && slices.Contains(x.Gone, ha.KeyLease(n)) && a.gone[n].inc == rec.Incarnation {
			a.early[rec.Incarnation] = true
		}
	}
}

// leaderOf is the daemon that wrote, if it lives.
func (a *audit) leaderOf(x Applied) *Daemon {
	for _, d := range a.w.daemons {
		if d != nil && d.h.Name == x.By && d.p == x.Proc && d.p.Alive() {
			return d
		}
	}
	return nil
}

// fencing judges the reason for which a fencing begins: gossip alone is none, a daemon that died alone has daemon_grace, a promise binds.
func (a *audit) fencing(x Applied, n ha.NodeName, inc ha.Incarnation) {
	now, t, s, d := a.w.loop.Now(), a.w.spec.Timing, a.gone[n], a.leaderOf(x)
	if s.there && s.inc == inc && now-s.since > time.Second && !a.restored() {
		a.j.violate("fence", "%s begins to fence %s (boot %s), whose lease stands", x.By, n, inc)
		return
	}
	if d == nil {
		return
	}
	listed := d.coro.Known && x.Sent-d.coroAt > time.Second && slices.Contains(d.coro.Online, n)
	if listed && s.inc == inc && !a.restored() && now-s.since < roughly(t.DaemonGrace) {
		a.j.violate("fence", "%s begins to fence %s %v after its lease ended, although corosync lists it", x.By, n, now-s.since)
	}
	until := d.state.Promises[n]
	if given := until.Sub(d.now()) - t.LeaseTTL - t.DriftMargin; until > d.now() && given < -t.RenewTimeout-100*time.Millisecond {
		a.j.violate("part5", "%s begins to fence %s, to which its promise stands for %v", x.By, n, until.Sub(d.now()))
	}
}
