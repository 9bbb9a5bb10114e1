package lab

import (
	"testing"
	"testing/synctest"
	"time"

	"bascule/fencing/sbd"
	"bascule/ha"
)

// A machine obeys its message once, and ends itself when it has not seen its disk for too long; after its life it does nothing.
func TestSlot(t *testing.T) {
	pill := sbd.Mailbox{Command: sbd.Off, From: "node2"}
	seen := func(until time.Duration) sbd.Verdict { return sbd.Verdict{Ready: true, Until: ha.Instant(until)} }
	for name, c := range map[string]struct {
		hear           func(s *slot)
		off, blind     int
		blindAfter     time.Duration
		endsInTheMidst bool
	}{
		"seen in time": {func(s *slot) {
			s.hear(seen(5*time.Second), 0)
			time.Sleep(4 * time.Second)
			s.hear(seen(90*time.Second), 0)
		}, 0, 0, 0, false},
		"not seen in time": {func(s *slot) { s.hear(seen(5*time.Second), 0) }, 0, 1, 5 * time.Second, false},
		"never seen":       {func(s *slot) { s.hear(sbd.Verdict{}, 0) }, 0, 0, 0, false},
		"a message": {func(s *slot) {
			s.hear(seen(5*time.Second), 0)
			s.hear(sbd.Verdict{Ready: true, Poisoned: &pill}, 0)
			s.hear(sbd.Verdict{Ready: true, Poisoned: &pill}, 0)
		}, 1, 0, 0, false},
		"its life is over": {func(s *slot) { s.hear(seen(5*time.Second), 0) }, 0, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var off, blind int
				var at time.Duration
				start := time.Now()
				s := &slot{poisoned: func() { off++ }, blind: func() { blind++; at = time.Since(start) }}
				c.hear(s)
				if c.endsInTheMidst {
					s.end()
				}
				time.Sleep(30 * time.Second)
				s.end()
				synctest.Wait()
				if off != c.off || blind != c.blind || at != c.blindAfter {
					t.Errorf("powered off %d times, reset %d times after %v", off, blind, at)
				}
			})
		})
	}
}
