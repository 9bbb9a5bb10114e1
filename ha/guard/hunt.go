package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"bascule/ha/node"

	"github.com/sirupsen/logrus"
)

// round is one round of the machine: kills, if any, and the scan that ends it.
type round struct {
	workers, guests []node.GuestRef
	seq             uint64
	scan            []node.GuestRef
}

// hunt is the goroutine that kills and scans. It holds one waiting round: the machine asks for the next only when
// the last is answered or given up.
type hunt struct {
	l    *loop
	wake chan struct{}

	mu   sync.Mutex
	next *round
}

func newHunt(l *loop) *hunt { return &hunt{l: l, wake: make(chan struct{}, 1)} }

func (h *hunt) push(r round) {
	h.mu.Lock()
	h.next = &r
	h.mu.Unlock()
	notify(h.wake)
}

func (h *hunt) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		}
		h.mu.Lock()
		r := h.next
		h.next = nil
		h.mu.Unlock()
		if r != nil {
			h.l.report(ctx, h.do(*r))
		}
	}
}

func (h *hunt) do(r round) node.GuardScanResult {
	if len(r.workers) > 0 || len(r.guests) > 0 {
		h.kill(r)
	}
	left, err := h.l.cfg.Processes.Find(r.scan)
	res := node.GuardScanResult{Seq: r.seq}
	for _, p := range left {
		res.Remaining = append(res.Remaining, node.GuardRemnant{Guest: p.VMID, PID: p.PID, What: p.What})
	}
	if err != nil {
		res.Problem = err.Error()
	}
	return res
}

// kill kills workers and what they started first, so that they start nothing more, then monitors and guests. What
// it cannot find or kill, the scan after it sees.
func (h *hunt) kill(r round) {
	guests := slices.Concat(r.workers, r.guests)
	found, _ := h.l.cfg.Processes.Find(guests) // incomplete is better than nothing; the scan reports the error
	var errs []error
	n := 0
	for _, worker := range []bool{true, false} {
		for _, p := range found {
			if isWorker := p.What == WhatWorker || p.What == WhatOther; isWorker != worker {
				continue
			}
			n++
			if err := h.l.cfg.Processes.Kill(p); err != nil {
				errs = append(errs, fmt.Errorf("%s of guest %d, PID %d: %w", p.What, p.VMID, p.PID, err))
			}
		}
	}
	if n > 0 {
		h.l.log.add(logrus.WarnLevel, fmt.Sprintf("guard: killed %d processes of protected guests", n-len(errs)))
	}
	if err := errors.Join(errs...); err != nil {
		h.l.log.add(logrus.ErrorLevel, "guard: cannot kill: "+err.Error())
	}
}
