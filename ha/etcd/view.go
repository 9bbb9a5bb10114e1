package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"bascule/ha"
)

// progressInterval is how often a quiet watch is asked whether it is alive.
const progressInterval = 500 * time.Millisecond

// view is a copy of the prefix that follows the store through a watch. A batch is applied whole, so it is always
// the state at one revision, only perhaps an old one.
type view struct {
	mu   sync.Mutex
	kvs  map[string]ha.KV
	rev  int64
	read int64 // the revision of the last full read
	have bool
	good time.Time // when the store last said something on the watch
}

// StartView begins to keep the view, until ctx or the store ends. After each batch, and after each full read (the
// first one, and after a broken or compacted watch), changed is called; it must not block. Call it once.
func (s *Store) StartView(ctx context.Context, changed func()) {
	ctx, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(s.ctx, cancel)
	s.loops.Go(func() {
		defer detach()
		defer cancel()
		s.follow(ctx, changed)
	})
}

// Latest returns the view, in the order of the keys, and its revision; false before the first read. The values
// must not be changed. ViewAge says how far it can be trusted to be recent.
func (s *Store) Latest() (rev int64, kvs []ha.KV, ok bool) {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	if !s.view.have {
		return 0, nil, false
	}
	for _, k := range slices.Sorted(maps.Keys(s.view.kvs)) {
		kvs = append(kvs, s.view.kvs[k])
	}
	return s.view.rev, kvs, true
}

// ViewAge is how long ago the watch was last known good; false before the first read. A quiet watch is asked twice a
// second whether it is alive. A member cut off from the others still says so for a few seconds until it notices, so a
// young age is a hint, not a promise of quorum.
func (s *Store) ViewAge() (time.Duration, bool) {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	return time.Since(s.view.good), s.view.have
}

// follow reads and watches, at another endpoint after each failure.
func (s *Store) follow(ctx context.Context, changed func()) {
	for ctx.Err() == nil {
		err := s.readAndWatch(ctx, changed)
		if ctx.Err() != nil {
			return
		}
		s.cfg.Log.WithError(err).Debug("etcd: the watch broke; reading everything again")
		if !pause(ctx, retryPause) {
			return
		}
	}
}

// readAndWatch returns when the watch breaks.
func (s *Store) readAndWatch(ctx context.Context, changed func()) error {
	rev, kvs, err := s.Read(ctx)
	if err != nil {
		return err
	}
	s.view.replace(rev, kvs)
	changed()

	e := s.pool.order()[0]
	wctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	// From the revision that was read, whose events change nothing: of a watch that begins in the future no progress is reported.
	watch := e.client.Watch(wctx, s.prefix, clientv3.WithPrefix(), clientv3.WithRev(rev), clientv3.WithCreatedNotify())
	go askProgress(wctx, e.client)
	silence := 2*s.cfg.Timing.EtcdElection + 2*progressInterval
	timer := time.NewTimer(silence)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			e.failed(time.Now().Add(-silence))
			return fmt.Errorf("%s: silent for %v", e.name, silence)
		case resp, ok := <-watch:
			if !ok {
				return errors.New("the watch was closed")
			}
			if err := resp.Err(); err != nil {
				if resp.CompactRevision == 0 {
					e.failed(time.Time{})
				}
				return fmt.Errorf("%s: %w", e.name, err)
			}
			if err := s.cluster.check(resp.Header.ClusterId, time.Now()); err != nil {
				e.failed(time.Time{})
				return fmt.Errorf("%s: %w", e.name, err)
			}
			timer.Reset(silence)
			if s.apply(resp) {
				changed()
			}
		}
	}
}

// askProgress keeps asking on a watch how far it has come, so that a quiet one can be told from a dead one; a server that others
// run says so every ten minutes only. The watch's own context tells etcd's client which stream is meant.
func askProgress(ctx context.Context, c *clientv3.Client) {
	for pause(ctx, progressInterval) {
		if c.RequestProgress(ctx) != nil { // the watch's reader learns why
			return
		}
	}
}

// apply brings the view up to date and says whether anything changed.
func (s *Store) apply(resp clientv3.WatchResponse) bool {
	v := &s.view
	v.mu.Lock()
	defer v.mu.Unlock()
	v.good = time.Now()
	changed := false
	for _, ev := range resp.Events {
		if ev.Kv.ModRevision <= v.read {
			continue // in the view already
		}
		changed = true
		key := strings.TrimPrefix(string(ev.Kv.Key), s.prefix)
		if ev.Type == clientv3.EventTypeDelete {
			delete(v.kvs, key)
		} else {
			v.kvs[key] = s.fromEtcd(ev.Kv)
		}
		v.rev = max(v.rev, ev.Kv.ModRevision)
	}
	if resp.IsProgressNotify() { // everything up to this revision has been delivered
		v.rev = max(v.rev, resp.Header.Revision)
	}
	s.saw(v.rev)
	return changed
}

func (v *view) replace(rev int64, kvs []ha.KV) {
	fresh := make(map[string]ha.KV, len(kvs))
	for _, kv := range kvs {
		fresh[kv.Key] = kv
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kvs, v.rev, v.read, v.have, v.good = fresh, rev, rev, true, time.Now()
}
