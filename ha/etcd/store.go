package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"bascule/ha"
)

// Store is the store port on etcd. Its methods are safe for concurrent use.
type Store struct {
	cfg      Config
	prefix   string
	server   *server // nil: a client only
	pool     *pool
	cluster  identity // which etcd cluster this is
	shortest shortest
	seen     atomic.Int64 // the highest revision that any answer has shown
	view     view

	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	loops sync.WaitGroup
}

// Open starts the embedded server if Self is a voter (a new or an existing data directory) and prepares the client, whose
// own member comes first. It does not wait for quorum: a node that starts alone must not hang. ctx bounds the opening only.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	tc, err := loadTLS(cfg.TLS)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, prefix: cfg.prefix(), pool: &pool{limit: cfg.callLimit()}}
	lg := newZap(cfg.Log)
	for _, at := range cfg.places() {
		e, err := newEndpoint(at, tc, cfg.External, &s.cluster, lg)
		if err != nil {
			s.pool.close()
			return nil, err
		}
		s.pool.eps = append(s.pool.eps, e)
	}
	own, voter := cfg.own()
	if voter {
		if s.server, err = startServer(ctx, cfg, own, lg); err != nil {
			s.pool.close()
			return nil, err
		}
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
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
	err := s.pool.close()
	if s.server != nil {
		err = errors.Join(err, s.server.close(ctx))
	}
	return err
}

// HardStop ends everything without a word, as a crash would. For tests.
func (s *Store) HardStop() {
	s.stop()
	s.loops.Wait()
	_ = s.pool.close()
	if s.server != nil {
		s.server.hardStop()
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
