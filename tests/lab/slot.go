package lab

import (
	"context"
	"sync"
	"time"

	"bascule/fencing"
	"bascule/fencing/sbd"
	"bascule/ha"
)

// watchSlot plays the machine whose sbd watches its slot on the shared disk, until the node's life ends: at a message it powers itself
// off, and when it has not seen its disk for the disk's watchdog time, its watchdog resets it. The product's guard does not watch the
// slot; when it does, this file and its call in node.go go.
func (n *node) watchSlot(ctx context.Context) {
	if n.world.opt.Fencing != SBD {
		return
	}
	s := &slot{
		poisoned: func() {
			n.world.events.add(EventSBD, n.name, "obeys its message: it powers itself off")
			n.world.wg.Go(func() { _ = n.PowerOff() }) // reported
		},
		blind: func() {
			n.world.events.add(EventSBD, n.name, "has not seen its disk for too long")
			n.world.wg.Go(n.reset)
		},
	}
	n.world.wg.Go(func() {
		defer s.end()
		config := sbd.Config{Disks: []string{n.world.layout.SBDDisk()}, Slot: n.name, Fresh: true}
		_ = sbd.Watch(ctx, config, fencing.BootNow, func(v sbd.Verdict, notices []sbd.Notice) { // ends with its context
			for _, notice := range notices {
				n.world.events.add(EventSBD, n.name, notice.Text)
			}
			if ctx.Err() == nil {
				s.hear(v, fencing.BootNow())
			}
		})
	})
}

// slot does what a machine does on the verdicts about its slot: once in a life.
type slot struct {
	poisoned func()
	blind    func()

	mu    sync.Mutex
	over  bool
	timer *time.Timer // fires when too little of the disks has been seen for too long
}

func (s *slot) hear(v sbd.Verdict, now ha.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	switch {
	case v.Poisoned != nil:
		s.over = true
		s.poisoned()
	case v.Ready:
		s.timer = time.AfterFunc(v.Until.Sub(now), s.expire)
	}
}

func (s *slot) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.over = true
		s.blind()
	}
}

// end stops the watch: the node's life is over.
func (s *slot) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
}
