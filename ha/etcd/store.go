package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"bascule/ha"
)

// Store is the store port on etcd. Its methods are safe for concurrent use.
type Store struct {
	cfg      Config
	prefix   string
	server   atomic.Pointer[server] // nil: a client only
	member   sync.Mutex             // held while the member is started, stopped or let go
	waits    atomic.Pointer[string] // why a voter runs no member; empty: it does, or is not asked to
	noted    atomic.Pointer[noted]  // etcd's list, as last read
	zap      *zap.Logger
	pool     *pool
	cluster  identity // which etcd cluster this is
	shortest shortest
	seen     atomic.Int64 // the highest revision that any answer has shown
	view     view

	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	loops sync.WaitGroup
}

// Open starts the embedded server if Self is a voter and has a member (an existing data directory, or none yet, see admit) and prepares
// the client, whose own member comes first. It does not wait for quorum: a node that starts alone must not hang. ctx bounds the opening only.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	tc, err := newCredentials(cfg.TLS)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, prefix: cfg.prefix(), pool: &pool{limit: cfg.callLimit(), places: cfg.places()}}
	s.zap = newZap(cfg.Log)
	s.pool.open = func(at place) (*endpoint, error) { return newEndpoint(at, tc, cfg.External, &s.cluster, s.zap) }
	if err := s.pool.use(cfg.asked(nil)); err != nil {
		return nil, err
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if _, voter := cfg.own(); voter && cfg.External == nil {
		if err := s.begin(ctx); err != nil {
			s.stop()
			s.pool.close()
			return nil, err
		}
		s.loops.Go(s.keepMember)
	}
	if cfg.External == nil {
		s.loops.Go(s.followMembers)
	}
	return s, nil
}

// rank is 1 for true, to sort by.
func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Ready waits for the first linearizable answer.
func (s *Store) Ready(ctx context.Context) error {
	var last error
	for {
		try, cancel := context.WithTimeout(ctx, s.cfg.callLimit())
		_, _, last = s.Get(try, ha.KeyLeader)
		cancel()
		switch {
		case last == nil:
			return nil
		case !errors.Is(last, ha.ErrUnavailable):
			return last
		case s.ctx.Err() != nil:
			return fmt.Errorf("waiting for the store: %w: it was closed", ha.ErrUnavailable)
		case !pause(ctx, retryPause):
			return fmt.Errorf("waiting for the store: %w", last)
		}
	}
}

// Close ends the view and the client, hands raft's leadership over and stops the embedded server.
func (s *Store) Close(ctx context.Context) error {
	s.stop()
	s.loops.Wait()
	s.member.Lock()
	defer s.member.Unlock()
	err := s.pool.close()
	if sv := s.server.Load(); sv != nil {
		err = errors.Join(err, sv.close(ctx))
	}
	return err
}

// HardStop ends everything without a word, as a crash would. For tests.
func (s *Store) HardStop() {
	s.stop()
	s.loops.Wait()
	s.member.Lock()
	defer s.member.Unlock()
	_ = s.pool.close()
	if sv := s.server.Load(); sv != nil {
		sv.hardStop()
	}
}

// saw notes a revision that an answer has shown.
func (s *Store) saw(rev int64) {
	for {
		old := s.seen.Load()
		if rev <= old || s.seen.CompareAndSwap(old, rev) {
			return
		}
	}
}
