package guard

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"bascule/ha"
	"bascule/ha/node"

	"github.com/sirupsen/logrus"
)

// opStopFeeding lets the watchdog end the node. It has no answer.
const opStopFeeding node.WatchdogOp = "stop"

type watchOp struct {
	op       node.WatchdogOp
	notAfter ha.Instant // feed and open only
}

// watch is the goroutine that talks to the watchdog, which may hang. Its queue holds each operation at most once.
type watch struct {
	l    *loop
	wake chan struct{}

	mu    sync.Mutex
	queue []watchOp
}

func newWatch(l *loop) *watch { return &watch{l: l, wake: make(chan struct{}, 1)} }

// push never blocks. Stopping takes the place of everything before it.
func (w *watch) push(op watchOp) {
	w.mu.Lock()
	if op.op == opStopFeeding {
		w.queue = nil
	}
	if i := slices.IndexFunc(w.queue, func(q watchOp) bool { return q.op == op.op }); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
	}
	w.queue = append(w.queue, op)
	w.mu.Unlock()
	notify(w.wake)
}

func (w *watch) pop() (watchOp, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return watchOp{}, false
	}
	op := w.queue[0]
	w.queue = w.queue[1:]
	return op, true
}

// run carries out operations until ctx ends, and then lets go of the watchdog as it is.
func (w *watch) run(ctx context.Context) {
	dog := w.l.cfg.Watchdog
	defer dog.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		for op, ok := w.pop(); ok && ctx.Err() == nil; op, ok = w.pop() {
			if op.op == opStopFeeding {
				w.fire(dog)
				<-ctx.Done() // not closed before the process ends: the kernel takes the close of a device for a feeding
				return
			}
			w.do(ctx, dog, op)
		}
	}
}

func (w *watch) fire(dog Watchdog) {
	if err := dog.Fire(); err != nil {
		w.l.log.add(logrus.ErrorLevel, fmt.Sprintf("guard: the watchdog cannot be told to end this node: %v: it does so by itself if it is armed", err))
	}
}

func (w *watch) do(ctx context.Context, dog Watchdog, op watchOp) {
	late := op.notAfter != 0 && w.l.cfg.Now() >= op.notAfter
	var err error
	switch op.op {
	case node.WatchdogFeed:
		if late { // it would lengthen W; the machine has asked again if it still wants it
			return
		}
		if err = dog.Feed(); err == nil {
			return
		}
	case node.WatchdogOpen:
		if late {
			w.l.report(ctx, node.GuardWatchdogFault{Op: op.op, Problem: "the watchdog was busy for too long"})
			return
		}
		before := dog.Facts()
		err = dog.Open(w.l.cfg.Timing.WatchdogTimeout)
		if f := dog.Facts(); err == nil && f != nil && f != before {
			w.l.log.add(logrus.InfoLevel, "guard: the watchdog is armed: "+f.String())
		}
	case node.WatchdogDisarm:
		err = dog.Disarm()
	}
	if err != nil {
		w.l.report(ctx, node.GuardWatchdogFault{Op: op.op, Problem: err.Error()})
		return
	}
	w.l.report(ctx, node.GuardWatchdogOK{Op: op.op})
}

// notify wakes a goroutine that looks at a queue; one pending wake-up is enough.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
