package etcd

import (
	"fmt"
	"sync"
	"time"

	"bascule/ha"
)

// shortestHolds is how long a refusal is repeated without asking: a node asks for its lease ten times a second.
const shortestHolds = 5 * time.Second

// shortest remembers that the store grants no lease as short as it was asked for.
type shortest struct {
	mu    sync.Mutex
	asked time.Duration
	got   time.Duration
	until time.Time
}

// known repeats a refusal of this TTL that is not old.
func (s *shortest) known(ttl time.Duration, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != ttl || !now.Before(s.until) {
		return nil
	}
	return s.err()
}

// note takes in what was granted instead.
func (s *shortest) note(asked, got time.Duration, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.got, s.until = asked, got, now.Add(shortestHolds)
	return s.err()
}

// err: etcd's shortest lease is one and a half of its election timeout, in whole seconds.
func (s *shortest) err() error {
	return fmt.Errorf("%w: asked for %v, it grants no lease under %v: choose a more patient profile (timing) on all nodes, or set etcd's --election-timeout to at most %v",
		ha.ErrTTL, s.asked, s.got, (s.asked * 2 / 3).Truncate(100*time.Millisecond))
}
