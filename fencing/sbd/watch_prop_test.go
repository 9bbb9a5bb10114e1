package sbd

import (
	"math/rand"
	"testing"
	"time"

	"bascule/ha"
)

// The promise on which the proof rests: a message that lies on a majority of disks from some moment until msgwait later has by then
// been seen, or the node has had no leave to live since watchdog time after that moment at the latest. Disks come and go at random for
// reader and writer, looks are slow, the slots hold old messages at boot, and other messages come and go.
func TestWatchKeepsItsPromise(t *testing.T) {
	proven, obeyed, blind := 0, 0, 0
	for seed := range int64(300) {
		r := rand.New(rand.NewSource(seed))
		n := 1 + r.Intn(3)
		var disks []*memDisk
		for i := range n {
			d := made(t, 512, byte(i+1), "node2")
			if r.Intn(3) == 0 {
				put(d, 0, Mailbox{Off, "old"})
			}
			disks = append(disks, d)
		}
		e := newEyes(t, true, disks...)
		h := &history{since: -1, alive: true}
		flaky := r.Float64() * r.Float64()
		for range 600 { // a minute
			for i := range disks {
				if r.Float64() < flaky/5 {
					e.gone[i] = r.Intn(2) == 0
				}
				if r.Intn(3) > 0 { // slow as it pleases
					e.step(i)
				}
				if h.asked && e.w.ready && r.Intn(8) == 0 && r.Float64() > flaky { // what the leader reaches now
					put(disks[i], 0, Mailbox{Off, "node1"})
				}
				if r.Intn(2000) == 0 {
					put(disks[i], 0, Mailbox{Test, "somebody"})
				}
			}
			if !h.asked && r.Intn(50) == 0 {
				h.asked = true
				for range e.gone { // some lose their disks for good just when somebody wants them dead
					h.cut = append(h.cut, seed%2 == 0 && r.Intn(3) > 0)
				}
			}
			for i, cut := range h.cut {
				e.gone[i] = e.gone[i] || cut
			}
			h.step(t, seed, e)
			e.now = e.now.Add(100 * time.Millisecond)
		}
		if h.proven {
			proven++
		}
		if e.w.fatal != nil {
			obeyed++
		} else if !h.alive {
			blind++
		}
	}
	if proven < 200 || obeyed < 200 || blind < 10 {
		t.Errorf("too little happened: %d proofs, %d messages seen, %d nodes ended blind", proven, obeyed, blind)
	}
}

// history is what a node that obeys its Verdict does, and what a leader that reads the disks concludes.
type history struct {
	asked, proven bool
	cut           []bool
	alive         bool
	since         ha.Instant // a majority holds the message without interruption
	ends          ha.Instant // when the hardware ends the node that is not fed any more; 0: it is fed
}

func (h *history) step(t *testing.T, seed int64, e *eyes) {
	times := DefaultTimes()
	v := e.w.Verdict(e.now)
	switch { // the node
	case !v.Ready || !h.alive:
	case v.Poisoned != nil:
		h.alive = false
	case e.now > v.Until && h.ends == 0:
		h.ends = v.Until.Add(times.Watchdog) // its watchdog fires so long after the last feeding
	case e.now <= v.Until:
		h.ends = 0
	}
	if h.ends != 0 && e.now >= h.ends {
		h.alive = false
	}
	pills := 0 // the leader
	for _, d := range e.disks {
		if decodeMailbox(d.b[mailboxSector(0)*512:]) == (Mailbox{Off, "node1"}) {
			pills++
		}
	}
	switch {
	case 2*pills <= len(e.disks):
		h.since = -1
	case h.since < 0:
		h.since = e.now
	case e.now > h.since.Add(times.MsgWait):
		h.proven = true
		if h.alive {
			t.Fatalf("seed %d: the node lives %v after its message: %+v at %v, %v", seed, e.now.Sub(h.since), v, e.now, e.log)
		}
	}
}
