package sim

import "bascule/ha"

// revisionBump is how far a restore moves the revision beyond all that anybody can have seen (etcdctl snapshot restore --bump-revision).
const revisionBump = 1_000_000

// Spoil writes raw bytes under a key, as somebody with etcdctl can, and returns what was there: nil when there was nothing, and then
// nothing is written.
func (s *Store) Spoil(key string, value []byte) []byte {
	old, ok := s.kvs[key]
	if !ok {
		return nil
	}
	s.rev++
	kv := ha.KV{Key: key, Value: value, CreateRev: old.CreateRev, ModRev: s.rev, Lease: old.Lease}
	s.kvs[key] = kv
	s.publish([]ha.KV{kv}, nil, Applied{Rev: s.rev, Op: "spoil", At: s.loop.Now()})
	return old.Value
}

// RestoreAnew is a restore as the procedure has it (R8): the copy comes back with its revision bumped and a new epoch of the cluster
// written into it before any member serves it. Without a copy nothing happens.
func (s *Store) RestoreAnew() {
	if s.backup == nil {
		return
	}
	epoch := s.snap.Cluster.Rec.Epoch
	s.Restore()
	s.restores++ // the same copy a second time needs a larger bump, as docs say
	s.rev += revisionBump * s.restores
	rec := s.snap.Cluster.Rec
	rec.Epoch, rec.Reason = max(epoch, rec.Epoch)+1, "restored from a copy"
	kv := ha.KV{Key: ha.KeyCluster, Value: ha.Encode(rec), CreateRev: s.rev, ModRev: s.rev}
	s.kvs[kv.Key] = kv
	s.publish([]ha.KV{kv}, nil, Applied{Rev: s.rev, Op: "restore", At: s.loop.Now()})
}
