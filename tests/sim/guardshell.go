package sim

import (
	"errors"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// guardProc is the guard's process: the shipped machine, its hunt and its watch.
type guardProc struct {
	h                 *Host
	b                 *boot
	proc              *Proc
	s                 node.GuardState
	wake              *Event
	arming, disarming []func(error)
	killing           []ha.GuestRef // of the round that is being put together
	hunting           bool
	next              func() // the round that waits for its turn
	dog               []dogOp
	dogBusy, dogGone  bool
}

// dogOp is one operation on the watchdog.
type dogOp struct {
	op       node.WatchdogOp
	notAfter ha.Instant
}

const guardRestart = 100 * time.Millisecond // RestartSec of bascule-guard.service

// StartGuard starts the guard's process unless it runs. What an earlier one of this boot kept counts.
func (h *Host) StartGuard() {
	b := h.boot
	if b == nil || b.guard != nil && b.guard.proc.Alive() {
		return
	}
	g := &guardProc{h: h, b: b, proc: h.NewProc("guard")}
	slots := h.slots()
	g.s = node.NewGuard(h.m.timing, b.inc, b.saved, slotNames(slots)...)
	b.guard = g
	g.proc.Post(func() { g.step(node.GuardTick{}, nil) })
	for _, d := range slots {
		g.watchSlot(d)
	}
}

// KillGuard ends the guard's process as a crash does; systemd starts it again at once.
func (h *Host) KillGuard() {
	b := h.boot
	if b == nil || b.guard == nil || !b.guard.proc.Alive() {
		return
	}
	h.logf("the guard's process dies")
	b.guard.proc.Kill()
	h.Watchdog().Close()
	b.kernel.After(guardRestart, h.StartGuard)
}

// GuardProc is the guard's process, to stop it; nil when there is none.
func (h *Host) GuardProc() *Proc {
	if h.boot == nil || h.boot.guard == nil {
		return nil
	}
	return h.boot.guard.proc
}

// step moves the machine and carries its effects out. reply hears nil when the event was taken and is on file.
func (g *guardProc) step(e node.GuardEvent, reply func(error)) {
	var out []node.GuardEffect
	g.s, out = node.GuardStep(g.proc.Clock().Now(), g.s, e)
	g.wake.Cancel()
	refused := ""
	for _, x := range out {
		if r, ok := x.(node.GuardRefuse); ok {
			refused = r.Reason
			continue
		}
		g.carryOut(x)
	}
	g.keep()
	g.answerDog(e)
	switch {
	case reply == nil:
	case refused != "":
		reply(errors.Join(ErrGuardRefused, errors.New(refused)))
	case is[node.GuardArm](e) && !g.s.Armed():
		g.arming = append(g.arming, reply)
	case is[node.GuardDisarm](e):
		g.disarming = append(g.disarming, reply)
	default:
		reply(nil)
	}
}

func is[T node.GuardEvent](e node.GuardEvent) bool { _, ok := e.(T); return ok }

// keep writes the state to the file in /run, which a crash of the process does not take away. It is in memory, so that the
// write is over before an answer goes out.
func (g *guardProc) keep() { g.b.saved = g.s.Saved() }

func (g *guardProc) carryOut(x node.GuardEffect) {
	switch x := x.(type) {
	case node.GuardArmWatchdog:
		g.pushDog(dogOp{node.WatchdogOpen, x.NotAfter})
	case node.GuardFeed:
		g.pushDog(dogOp{node.WatchdogFeed, x.NotAfter})
	case node.GuardDisarmWatchdog:
		g.pushDog(dogOp{node.WatchdogDisarm, 0})
	case node.GuardStopFeeding:
		g.dog, g.dogGone = nil, true
		g.h.Watchdog().Close()
	case node.GuardEndNode:
		g.proc.After(g.h.between(time.Millisecond, 20*time.Millisecond), func() { g.h.Reset("poison pill") })
	case node.GuardKillWorkers:
		g.killing = x.Guests
	case node.GuardKillGuests:
		g.killing = x.Guests
	case node.GuardScan:
		g.round(x)
	case node.GuardLog:
		t := x.Transition
		g.h.logf("guard: %s -> %s: %s", t.From, t.To, t.Reason)
		if g.h.m.OnGuard != nil {
			g.h.m.OnGuard(g.h.Name, t)
		}
	case node.GuardWakeAt:
		g.wake = g.proc.After(x.At.Sub(g.proc.Clock().Now()), func() { g.step(node.GuardTick{}, nil) })
	}
}

// round kills, if the machine asked for it, and scans. One round at a time; a newer one waits for its turn.
func (g *guardProc) round(x node.GuardScan) {
	kill := g.killing
	g.killing = nil
	run := func() {
		g.hunting = true
		g.proc.After(g.h.between(2*time.Millisecond, 20*time.Millisecond), func() {
			g.killAll(kill)
			g.proc.After(g.h.between(2*time.Millisecond, 20*time.Millisecond), func() { g.scanned(x) })
		})
	}
	if g.hunting {
		g.next = run
		return
	}
	run()
}

func (g *guardProc) killAll(refs []ha.GuestRef) {
	found, _ := g.h.Find(refs) // this host runs: there is no error
	for _, worker := range []bool{true, false} {
		for _, p := range found {
			if (p.What == whatWorker) == worker {
				_ = g.h.Kill(p.PID) // the scan sees what is left
			}
		}
	}
}

func (g *guardProc) scanned(x node.GuardScan) {
	g.hunting = false
	res := node.GuardScanResult{Seq: x.Seq}
	left, err := g.h.Find(x.Guests)
	for _, p := range left {
		res.Remaining = append(res.Remaining, node.GuardRemnant{Guest: p.Guest, PID: p.PID, What: p.What})
	}
	if err != nil {
		res.Problem = err.Error()
	}
	if next := g.next; next != nil {
		g.next = nil
		next()
	}
	g.step(res, nil)
}

// pushDog queues an operation; each kind is in the queue at most once.
func (g *guardProc) pushDog(op dogOp) {
	if g.dogGone {
		return
	}
	g.dog = slices.DeleteFunc(g.dog, func(q dogOp) bool { return q.op == op.op })
	g.dog = append(g.dog, op)
	if !g.dogBusy {
		g.nextDog()
	}
}

func (g *guardProc) nextDog() {
	g.dogBusy = len(g.dog) > 0
	if !g.dogBusy {
		return
	}
	op := g.dog[0]
	g.dog = g.dog[1:]
	g.proc.After(g.h.between(200*time.Microsecond, 3*time.Millisecond), func() {
		if g.dogGone {
			return
		}
		if e := g.doDog(op); e != nil {
			g.step(e, nil)
		}
		g.nextDog()
	})
}

// doDog carries an operation out; a feeding has no answer but an error.
func (g *guardProc) doDog(op dogOp) node.GuardEvent {
	w := g.h.Watchdog()
	late := op.notAfter != 0 && g.proc.Clock().Now() >= op.notAfter
	var err error
	switch op.op {
	case node.WatchdogFeed:
		if late {
			return nil
		}
		if err = w.Feed(); err == nil {
			return nil
		}
	case node.WatchdogOpen:
		if late {
			err = errors.New("the watchdog was busy for too long")
		} else {
			err = w.Arm(g.s.Timing.WatchdogTimeout)
		}
	case node.WatchdogDisarm:
		err = w.Disarm()
	}
	if err != nil {
		return node.GuardWatchdogFault{Op: op.op, Problem: err.Error()}
	}
	return node.GuardWatchdogOK{Op: op.op}
}

// answerDog answers those who wait for what the watchdog just reported.
func (g *guardProc) answerDog(e node.GuardEvent) {
	op, err := node.WatchdogOp(""), error(nil)
	switch e := e.(type) {
	case node.GuardWatchdogOK:
		op = e.Op
		if op == node.WatchdogOpen && !g.s.Armed() {
			err = errors.New("not armed: phase " + string(g.s.Phase))
		}
	case node.GuardWatchdogFault:
		op, err = e.Op, errors.New(e.Problem)
	}
	var waiting []func(error)
	switch op {
	case node.WatchdogOpen:
		waiting, g.arming = g.arming, nil
	case node.WatchdogDisarm:
		waiting, g.disarming = g.disarming, nil
	}
	for _, reply := range waiting {
		reply(err)
	}
}

// status is ha/guard's status as cmd/basculed hands it to the agent.
func (g *guardProc) status() ha.GuardStatus {
	s, now := g.s, g.proc.Clock().Now()
	detail := s.Fault
	if s.Problem != "" {
		detail = s.Problem
	}
	switch {
	case s.Phase == node.GuardFailing:
		detail = "guests could not be killed in time: the watchdog ends this node; if it does not, power it off"
	case s.Overdue && s.Phase == node.GuardKilling:
		detail = "guests cannot be killed and no watchdog is armed: power this node off"
	}
	clean := s.Phase == node.GuardIdle || s.Phase == node.GuardClean || s.Phase == node.GuardDisarmed || len(s.Guests) == 0
	return ha.GuardStatus{Connected: true, Phase: string(s.Phase), Driver: g.h.Watchdog().Driver(), Armed: s.Armed(), Deadline: s.Deadline,
		Clean: clean, Detail: detail, Guests: s.Guests, Timing: s.Timing,
		Slots: s.Saved().Slots, SlotsSeen: s.SlotsSeen(now), SlotsHeld: s.Obeys(), SlotsProblem: s.SlotsProblem(now)}
}
