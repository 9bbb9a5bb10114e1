package etcd

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"

	"bascule/ha"
)

// RevisionBump is how far one restore moves the store's revision: beyond all that anybody can have seen of the life that is undone. It is
// what etcd's own documentation advises: thirty years of a write a second.
const RevisionBump = 1_000_000_000

// Restore says what is restored, and where to.
type Restore struct {
	Config   Config        // of the voter that it is done for; its data directory must not be in use
	Snapshot string        // file with etcd's own snapshot, as Store.Snapshot wrote it
	Voters   []ha.NodeName // who forms the new store; nil: all that the configuration has, without spares. The same on each of them
	Times    int           // how often this copy has been restored before, and once more; the same on each voter; at least 1
	By       string        // who restores it, for the record
}

// Restored is what a restore has made. It is the same on each voter.
type Restored struct {
	Epoch    ha.Epoch      // the store's new one; 0 on a member that is none of its voters: only its former data were set aside
	Revision int64         // of the store when it starts
	Voters   []ha.NodeName // who must be started
	SetAside string        // where this voter's former data are; "" when there were none
}

// ErrRestore is wrapped by every refusal of a restore.
var ErrRestore = errors.New("not restored")

// RestoreVoter makes a voter's data directory from a copy of the store (R8), offline. The result depends on the copy and on what Restore
// says alone, so that all voters that restore the same begin with the same: the revision is moved ahead, every lease and what hangs on it
// (the leader, the nodes' leases) is gone, the cluster record has a new epoch. The voters form an etcd cluster with an identity of its
// own, so that a voter that still has the former data can never take part. Former data are set aside, also those of a member that is none of
// the new store's voters (a spare that had come to vote): enough such members would be a majority of the former store.
func RestoreVoter(r Restore) (Restored, error) {
	token, err := r.check()
	if err != nil {
		return Restored{}, err
	}
	c := r.Config
	if !slices.Contains(r.Voters, c.Self) {
		old, err := r.putAside()
		return Restored{Voters: r.Voters, SetAside: old}, err
	}
	fresh := c.DataDir + ".restore"
	if err := os.RemoveAll(fresh); err != nil {
		return Restored{}, fmt.Errorf("%w: what an earlier try has left: %w", ErrRestore, err)
	}
	own, _ := c.own() // check has seen it among the configured ones
	c.Initial = r.Voters
	u := httpsURL(own.Address, c.PeerPort)
	err = snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{SnapshotPath: r.Snapshot, Name: string(c.Self), OutputDataDir: fresh,
		PeerURLs: []string{u.String()}, InitialCluster: c.initialCluster(nil, false), InitialClusterToken: token,
		RevisionBump: uint64(RevisionBump * r.Times), MarkCompacted: true})
	if err != nil {
		return Restored{}, fmt.Errorf("%w: the copy %s cannot be used: %w: take another backup", ErrRestore, r.Snapshot, err)
	}
	out, err := r.beginEpoch(fresh + "/member/snap/db")
	if err != nil {
		return Restored{}, errors.Join(err, os.RemoveAll(fresh))
	}
	out.SetAside, err = r.takePlace(fresh)
	return out, err
}

// check refuses what cannot work and returns the new cluster's token.
func (r *Restore) check() (token string, err error) {
	c := r.Config
	if err := c.check(); err != nil {
		return "", err
	}
	if r.Voters == nil {
		for _, v := range c.Voters {
			if !v.Spare {
				r.Voters = append(r.Voters, v.Name)
			}
		}
	}
	switch {
	case c.External != nil:
		return "", fmt.Errorf("%w: the store is an etcd that others run: it is restored with their tools (etcdutl snapshot restore --bump-revision --mark-compacted)", ErrRestore)
	case len(r.Voters) == 0 || c.DataDir == "":
		return "", fmt.Errorf("%w: it takes at least one voter, and a data directory", ErrRestore)
	case r.Times < 1:
		return "", fmt.Errorf("%w: a copy is restored the first time or a later one, not the %d-th", ErrRestore, r.Times)
	}
	r.Voters = slices.Sorted(slices.Values(r.Voters)) // in whatever order they were named
	for _, n := range r.Voters {
		if _, err := c.voter(n); err != nil {
			return "", err
		}
	}
	f, err := os.Open(r.Snapshot)
	if err != nil {
		return "", fmt.Errorf("%w: the copy: %w", ErrRestore, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("%w: the copy: %w", ErrRestore, err)
	}
	fmt.Fprintf(h, " %d %v", r.Times, r.Voters)
	return c.Token + "-" + hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// beginEpoch ends all leases and writes the new epoch into a database that no server has open. Nothing in it may depend on the machine or
// the clock: the other voters write the same.
func (r *Restore) beginEpoch(db string) (Restored, error) {
	be := backend.NewDefaultBackend(zap.NewNop(), db)
	defer be.Close()
	le := lease.NewLessor(zap.NewNop(), be, nil, lease.LessorConfig{MinLeaseTTL: 1, CheckpointInterval: time.Hour})
	defer le.Stop()
	kv := mvcc.NewStore(zap.NewNop(), be, le, mvcc.StoreConfig{})
	defer kv.Close()
	all := le.Leases()
	slices.SortFunc(all, func(a, b *lease.Lease) int { return cmp.Compare(a.ID, b.ID) })
	for _, l := range all {
		if err := le.Revoke(l.ID); err != nil {
			return Restored{}, fmt.Errorf("%w: ending lease %x: %w", ErrRestore, int64(l.ID), err)
		}
	}
	r.markStarted(be)
	key := []byte(r.Config.prefix() + ha.KeyCluster)
	got, err := kv.Range(context.Background(), key, nil, mvcc.RangeOptions{})
	if err != nil {
		return Restored{}, fmt.Errorf("%w: reading the copy: %w", ErrRestore, err)
	}
	if len(got.KVs) != 1 {
		return Restored{}, fmt.Errorf("%w: the copy holds no cluster %q: is it another cluster's? The name stands in cluster: of the configuration", ErrRestore, r.Config.Cluster)
	}
	var rec ha.ClusterRecord
	if err := json.Unmarshal(got.KVs[0].Value, &rec); err != nil || rec.Schema > ha.Schema {
		return Restored{}, fmt.Errorf("%w: the cluster's record is of a newer version (schema %d) or damaged: restore with the basculed that wrote it", ErrRestore, rec.Schema)
	}
	rec.Epoch += ha.Epoch(r.Times)
	rec.Reason = "the store was restored from a backup"
	rev := kv.Put(key, ha.Encode(rec), lease.NoLease)
	kv.Commit()
	return Restored{Epoch: rec.Epoch, Revision: rev, Voters: r.Voters}, nil
}

// markStarted notes of every voter that it has been a member, as it would after its first start. A voter that is started without having
// restored, with no data, then knows from the others that it is to wait (admit); taken for one whose cluster is just being formed, it
// would form a second one with the next such voter.
func (r *Restore) markStarted(be backend.Backend) {
	members := schema.NewMembershipBackend(zap.NewNop(), be)
	list, _ := members.MustReadMembersFromBackend()
	for _, m := range list {
		if v, err := r.Config.voter(ha.NodeName(m.Name)); err == nil {
			u := httpsURL(v.Address, r.Config.ClientPort)
			m.ClientURLs = []string{u.String()}
			members.MustSaveMemberToBackend(m)
		}
	}
}

// takePlace puts the new data into the place of the former and says where those are.
func (r *Restore) takePlace(fresh string) (old string, err error) {
	if old, err = r.putAside(); err != nil {
		return old, err
	}
	if err := os.Rename(fresh, r.Config.DataDir); err != nil {
		return old, fmt.Errorf("%w: putting the new data in place: %w: try again", ErrRestore, err)
	}
	return old, nil
}

// putAside moves the former data away and says where they are; "" when there are none.
func (r *Restore) putAside() (old string, err error) {
	dir := r.Config.DataDir
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err := setAside(dir); err != nil {
		return "", fmt.Errorf("%w: putting the former store's data aside: %w: they are in %s or %s.old", ErrRestore, err, dir, dir)
	}
	return dir + ".old", nil
}
