package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"bascule/ha"
	"bascule/ha/node"

	"github.com/sirupsen/logrus"
)

// message is one thing for the machine: an event, or no event but a question for the status. reply, if set, is called
// once and must not block.
type message struct {
	event node.GuardEvent
	reply func(answer)
}

// loop owns the machine's state; only its goroutine touches it.
type loop struct {
	cfg     Config
	log     *logq
	inbox   chan message
	watch   *watch
	hunt    *hunt
	keep    *keeper
	others  sync.WaitGroup // all goroutines beside the machine's own: the log outlives them
	started time.Time
	pid     int

	s                 node.GuardState
	wake              ha.Instant // 0: nothing awaited
	round             round      // being put together from the effects of one step
	arming, disarming []func(answer)
}

func (l *loop) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	l.step(node.GuardTick{}, nil)
	for {
		timer.Reset(l.pause())
		select {
		case <-ctx.Done():
			return
		case m := <-l.inbox:
			l.take(m)
		case <-timer.C:
			if l.wake != 0 && l.cfg.Now() >= l.wake {
				l.step(node.GuardTick{}, nil)
			}
		}
	}
}

func (l *loop) pause() time.Duration {
	if l.wake == 0 {
		return maxSleep
	}
	return max(0, min(maxSleep, l.wake.Sub(l.cfg.Now())))
}

func (l *loop) take(m message) {
	if m.event == nil {
		m.reply(answer{OK: true, Status: l.status()})
		return
	}
	l.step(m.event, m.reply)
}

// step moves the machine, hands its effects to those who carry them out, and answers the asker: a refusal at once,
// an accepted permit when it is on file, arming and disarming when the watchdog has answered too.
func (l *loop) step(e node.GuardEvent, reply func(answer)) {
	var out []node.GuardEffect
	l.s, out = node.GuardStep(l.cfg.Now(), l.s, e)
	l.wake = 0
	refused := ""
	for _, x := range out {
		if r, ok := x.(node.GuardRefuse); ok {
			refused = r.Reason
			continue
		}
		l.carryOut(x)
	}
	kept := l.keep.put(l.s.Saved())
	l.answerWatchdog(e, kept)
	if reply == nil {
		return
	}
	switch e.(type) {
	case node.GuardArm:
		if refused == "" && !l.s.Armed() {
			l.arming = append(l.arming, reply)
			return
		}
	case node.GuardDisarm:
		if refused == "" {
			l.disarming = append(l.disarming, reply)
			return
		}
	}
	if refused != "" {
		reply(answer{Error: refused, Status: l.status()})
		return
	}
	l.answerKept(reply, kept, nil)
}

func (l *loop) carryOut(x node.GuardEffect) {
	switch x := x.(type) {
	case node.GuardArmWatchdog:
		l.watch.push(watchOp{op: node.WatchdogOpen, notAfter: x.NotAfter})
	case node.GuardFeed:
		l.watch.push(watchOp{op: node.WatchdogFeed, notAfter: x.NotAfter})
	case node.GuardDisarmWatchdog:
		l.watch.push(watchOp{op: node.WatchdogDisarm})
	case node.GuardStopFeeding:
		l.watch.push(watchOp{op: opStopFeeding})
	case node.GuardEndNode:
		l.endNode(x.How)
	case node.GuardKillWorkers:
		l.round.workers = x.Guests
	case node.GuardKillGuests:
		l.round.guests = x.Guests
	case node.GuardScan:
		l.round.seq, l.round.scan = x.Seq, x.Guests
		l.hunt.push(l.round)
		l.round = round{}
	case node.GuardLog:
		l.transition(x.Transition)
	case node.GuardWakeAt:
		l.wake = x.At
	}
}

func (l *loop) transition(t ha.Transition) {
	level := logrus.InfoLevel
	switch node.GuardPhase(t.To) {
	case node.GuardGrace:
		level = logrus.WarnLevel
	case node.GuardKilling, node.GuardFailing:
		level = logrus.ErrorLevel
	}
	if t.From == t.To {
		level = min(level, logrus.WarnLevel)
		l.log.add(level, fmt.Sprintf("guard: in phase %s: %s", t.To, t.Reason))
		return
	}
	l.log.add(level, fmt.Sprintf("guard: %s -> %s: %s", t.From, t.To, t.Reason))
}

// answerWatchdog answers those who wait for what the watchdog just reported.
func (l *loop) answerWatchdog(e node.GuardEvent, kept *keeping) {
	answerAll := func(waiting *[]func(answer), err error) {
		for _, reply := range *waiting {
			l.answerKept(reply, kept, err)
		}
		*waiting = nil
	}
	of := map[node.WatchdogOp]*[]func(answer){node.WatchdogOpen: &l.arming, node.WatchdogDisarm: &l.disarming}
	switch e := e.(type) {
	case node.GuardWatchdogOK:
		var err error
		if e.Op == node.WatchdogOpen && !l.s.Armed() {
			err = fmt.Errorf("not armed: phase %s", l.s.Phase)
		}
		if waiting := of[e.Op]; waiting != nil {
			answerAll(waiting, err)
		}
	case node.GuardWatchdogFault:
		if waiting := of[e.Op]; waiting != nil {
			answerAll(waiting, errors.New(e.Problem))
		}
	}
}

// answerKept answers once the state is on file. What is not on file would be forgotten by a restarted guard, so it is not
// yet to be relied on.
func (l *loop) answerKept(reply func(answer), kept *keeping, problem error) {
	st := l.status()
	kept.then(func(err error) {
		if err := errors.Join(problem, err); err != nil {
			reply(answer{Error: err.Error(), Status: st})
			return
		}
		reply(answer{OK: true, Status: st})
	})
}

func (l *loop) status() Status {
	detail := l.s.Fault
	if l.s.Problem != "" {
		detail = l.s.Problem
	}
	switch {
	case l.s.Ending != "":
		detail = l.s.Ending + ": this node ends itself; if it does not, power it off"
	case l.s.Phase == node.GuardFailing:
		detail = "guests could not be killed in time: the watchdog ends this node; if it does not, power it off"
	case l.s.Overdue && l.s.Phase == node.GuardKilling:
		detail = "guests cannot be killed and no watchdog is armed: power this node off"
	}
	return Status{
		Phase: l.s.Phase, Armed: l.s.Armed(), Driver: l.cfg.Watchdog.Driver(), Watchdog: l.cfg.Watchdog.Facts(), Incarnation: l.s.Incarnation,
		Deadline: l.s.Deadline, Guests: l.s.Guests, Remaining: l.s.Remaining, Detail: detail,
		Timing: l.cfg.Timing, PID: l.pid, Started: l.started, Slots: l.slots(),
		Version: l.cfg.Version, Free: l.s.Free(),
	}
}

// slots is what the status says of the slots; nil without any.
func (l *loop) slots() *SlotStatus {
	if len(l.s.Slots) == 0 {
		return nil
	}
	now := l.cfg.Now()
	return &SlotStatus{Devices: l.s.Saved().Slots, Seen: l.s.SlotsSeen(now), Held: l.s.Obeys(), Problem: l.s.SlotsProblem(now)}
}

// report brings an answer of the workers to the machine.
func (l *loop) report(ctx context.Context, e node.GuardEvent) {
	select {
	case l.inbox <- message{event: e}:
	case <-ctx.Done():
	}
}
