package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"bascule/ha"
)

// Campaign tries once to become leader: the leader key is written, bound to the record's lease, if it does not exist.
// Won (or held already by this very record): the term. Lost: term 0 and the holder. A lost answer is read back;
// what stays unknown is ErrAmbiguous: campaign again, a win that shows later is recognized then. ErrLeaseGone when
// the record's own lease is gone.
func (s *Store) Campaign(ctx context.Context, rec ha.LeaderRecord) (ha.Term, *ha.LeaderRecord, error) {
	if rec.Lease == 0 {
		return 0, nil, errors.New("campaign: the leader record names no lease: leadership without one would never end")
	}
	tx := ha.Txn{
		Guards: []ha.Guard{{Key: ha.KeyLeader}},
		Puts:   []ha.Put{{Key: ha.KeyLeader, Value: ha.Encode(rec), Lease: rec.Lease}},
	}
	rev, err := s.Commit(ctx, tx)
	if err == nil {
		return ha.Term(rev), nil, nil
	}
	if !errors.Is(err, ha.ErrConflict) && !errors.Is(err, ha.ErrAmbiguous) {
		return 0, nil, fmt.Errorf("campaign: %w", err)
	}
	kv, _, rerr := s.Get(ctx, ha.KeyLeader)
	switch {
	case rerr != nil:
		return 0, nil, fmt.Errorf("campaign: %w", errors.Join(err, rerr))
	case kv == nil: // the holder went away meanwhile, or the write is still under way
		return 0, nil, fmt.Errorf("campaign: nobody leads now: %w", err)
	}
	var holder ha.LeaderRecord
	if err := json.Unmarshal(kv.Value, &holder); err != nil {
		return 0, nil, fmt.Errorf("campaign: the leader key holds %q, which is no leader record: %w", kv.Value, err)
	}
	if holder == rec && kv.Lease == rec.Lease {
		return ha.Term(kv.CreateRev), nil, nil
	}
	return 0, &holder, nil
}

// Resign gives up a term. If it is over already, that is no error.
func (s *Store) Resign(ctx context.Context, term ha.Term) error {
	if term == 0 {
		return nil
	}
	_, err := s.Commit(ctx, ha.Txn{Term: term, Dels: []string{ha.KeyLeader}})
	if errors.Is(err, ha.ErrConflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("resigning term %d: %w", term, err)
	}
	return nil
}
