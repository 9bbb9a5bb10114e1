package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"bascule/ha"
	"bascule/ha/etcd/storetest"
)

// life is a cluster in work: an elected leader, a node's lease, a guest.
type life struct {
	*lab
	term  ha.Term
	guest int64 // revision of the guest's record
}

func newLife(t *testing.T, voters int) *life {
	t.Helper()
	l := &life{lab: newLab(t, voters)}
	l.all()
	s := patient(t, l.stores["node1"])
	lease, err := s.Grant(hang(t), 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	l.commit(t, ha.Txn{Puts: []ha.Put{{Key: ha.KeyLease("node1"), Value: ha.Encode(ha.LeaseRecord{Node: "node1", Lease: lease}), Lease: lease}}})
	if l.term, _, err = s.Campaign(hang(t), ha.LeaderRecord{Node: "node1", Lease: lease}); err != nil {
		t.Fatal(err)
	}
	l.commit(t, ha.Txn{Term: l.term, Puts: []ha.Put{{Key: ha.KeyCluster, Value: ha.Encode(ha.ClusterRecord{Schema: ha.Schema, Epoch: 3, Settled: 3})}}})
	l.guest = l.commit(t, ha.Txn{Term: l.term, Puts: []ha.Put{{Key: ha.KeyGuest(101), Value: []byte(`{"before":true}`)}}})
	return l
}

func (l *life) commit(t *testing.T, tx ha.Txn) int64 {
	t.Helper()
	rev, err := patient(t, l.stores["node1"]).Commit(hang(t), tx)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func (l *life) backup(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	until(t, "a copy is made", func() bool {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		n, err := l.stores["node1"].Snapshot(hang(t), f)
		if err != nil {
			t.Logf("again after: %v", err)
		}
		return err == nil && n > 0
	})
	return path
}

// restore restores a copy on voters that do not run.
func (l *life) restore(t *testing.T, copied string, times int, on ...ha.NodeName) Restored {
	t.Helper()
	var first Restored
	for i, n := range on {
		r, err := RestoreVoter(Restore{Config: l.config(n), Snapshot: copied, Times: times})
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && (r.Epoch != first.Epoch || r.Revision != first.Revision) {
			t.Fatalf("%s restored %+v, the first voter %+v", n, r, first)
		}
		first = r
	}
	return first
}

func (l *life) snapshot(t *testing.T, s *Store) *ha.Snapshot {
	t.Helper()
	rev, kvs, err := patient(t, s).Read(hang(t))
	if err != nil {
		t.Fatal(err)
	}
	snap, _ := ha.DecodeSnapshot(rev, kvs) // these guests are not whole records
	return &snap
}

// hashes asks every running voter for a checksum of all that it holds up to one revision.
func (l *life) hashes(t *testing.T) map[ha.NodeName]uint32 {
	t.Helper()
	out := map[ha.NodeName]uint32{}
	rev := l.snapshot(t, l.stores["node1"]).Revision
	for _, e := range l.stores["node1"].pool.eps {
		if l.stores[e.name] == nil {
			continue
		}
		until(t, string(e.name)+" is up to date", func() bool {
			resp, err := pb.NewMaintenanceClient(e.conn()).HashKV(within(t, 10*time.Second), &pb.HashKVRequest{Revision: rev})
			if err == nil {
				out[e.name] = resp.Hash
			}
			return err == nil
		})
	}
	return out
}

// R8 on the real store: back up, go on, restore. What the leader of the undone life still has in its hands is worth nothing, nobody's
// revision falls, the epoch is new, and all voters begin with the same.
func TestARestoreBeginsANewLife(t *testing.T) {
	t.Parallel()
	l := newLife(t, 3)
	copied := l.backup(t)
	later := l.commit(t, ha.Txn{Term: l.term, Guards: []ha.Guard{{Key: ha.KeyGuest(101), Rev: l.guest}}, Puts: []ha.Put{{Key: ha.KeyGuest(101), Value: []byte(`{"after":true}`)}}})
	l.commit(t, ha.Txn{Term: l.term, Puts: []ha.Put{{Key: ha.KeyGuest(102), Value: []byte(`{}`)}}})
	before := l.snapshot(t, l.stores["node1"])
	for _, v := range l.voters {
		l.kill(v.Name)
	}

	r := l.restore(t, copied, 1, "node1", "node2", "node3")
	if r.Epoch != 4 || len(r.Voters) != 3 || r.SetAside == "" {
		t.Errorf("restored %+v", r)
	}
	if _, err := os.Stat(filepath.Join(r.SetAside, "member", "wal")); err != nil {
		t.Errorf("the former data: %v", err)
	}
	l.all()
	after := l.snapshot(t, l.stores["node1"])
	s := patient(t, l.stores["node1"])
	if c := after.Cluster.Rec; c.Epoch != 4 || c.Settled != 3 || !strings.Contains(c.Reason, "restored") {
		t.Errorf("cluster record %+v", c)
	}
	if after.Revision <= before.Revision+RevisionBump-1000 || after.Cluster.Rev <= before.Revision || r.Revision > after.Revision {
		t.Errorf("revision %d, of the cluster record %d; before it was %d", after.Revision, after.Cluster.Rev, before.Revision)
	}
	if after.Term != 0 || len(after.Leases) != 0 {
		t.Errorf("somebody leads (term %d) or has a lease (%d) that nobody has taken", after.Term, len(after.Leases))
	}
	var guest struct{ Before, After bool }
	kv, _, err := s.Get(hang(t), ha.KeyGuest(101))
	if err != nil || kv == nil || json.Unmarshal(kv.Value, &guest) != nil || !guest.Before || guest.After {
		t.Errorf("the guest's record %+v, %v", guest, err)
	}
	if kv, _, err := s.Get(hang(t), ha.KeyGuest(102)); err != nil || kv != nil {
		t.Errorf("what was written after the backup is there: %v", err)
	}
	if !ha.WentBack(before, after) {
		t.Error("whoever knew the undone life does not see that it was undone")
	}
	for what, tx := range map[string]ha.Txn{
		"the old leader, about a record as it is": {Term: l.term, Guards: []ha.Guard{{Key: ha.KeyGuest(101), Rev: kv101(t, s)}}},
		"the old leader, about a record of then":  {Term: l.term, Guards: []ha.Guard{{Key: ha.KeyGuest(101), Rev: later}}},
		"an agent, about a record of then":        {Guards: []ha.Guard{{Key: ha.KeyGuest(101), Rev: later}}},
	} {
		tx.Puts = []ha.Put{{Key: ha.KeyGuest(101), Value: []byte(`{"spoilt":true}`)}}
		if _, err := s.Commit(hang(t), tx); !errors.Is(err, ha.ErrConflict) {
			t.Errorf("%s: %v, want a conflict", what, err)
		}
	}
	h := l.hashes(t)
	if len(h) != 3 || h["node1"] != h["node2"] || h["node2"] != h["node3"] {
		t.Errorf("the voters hold different things: %v", h)
	}
	lease, err := s.Grant(hang(t), 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	term, _, err := s.Campaign(hang(t), ha.LeaderRecord{Node: "node1", Lease: lease})
	if err != nil || int64(term) <= before.Revision {
		t.Errorf("a new leader: term %d, %v", term, err)
	}
}

func kv101(t *testing.T, s storetest.Store) int64 {
	t.Helper()
	kv, _, err := s.Get(hang(t), ha.KeyGuest(101))
	if err != nil || kv == nil {
		t.Fatal(err)
	}
	return kv.ModRev
}

// Two voters restore, the third comes back with the former data: it takes no part, and the others do not care. Then it restores the same
// copy, and has caught up.
func TestAVoterWithFormerDataTakesNoPart(t *testing.T) {
	t.Parallel() // it mostly waits
	l := newLife(t, 3)
	copied := l.backup(t)
	for _, v := range l.voters {
		l.kill(v.Name)
	}
	l.restore(t, copied, 1, "node1", "node2")
	s := l.openAll("node1", "node2")[0]
	l.ready(s)
	l.commit(t, put("new", "life"))
	stale := l.open("node3")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	for tick := time.NewTicker(100 * time.Millisecond); ctx.Err() == nil; <-tick.C {
		if kv, _, err := patient(t, s).Get(hang(t), "new"); err != nil || kv == nil {
			t.Fatalf("the new store beside a stale voter: %v", err)
		}
		if kv, _, err := stale.Get(within(t, time.Second), ha.KeyCluster); err == nil {
			var rec ha.ClusterRecord
			if kv == nil || json.Unmarshal(kv.Value, &rec) != nil || rec.Epoch != 4 {
				t.Fatalf("the stale voter's node reads the former store: %+v", rec)
			}
		}
	}
	l.kill("node3")
	l.restore(t, copied, 1, "node3")
	l.ready(l.open("node3"))
	until(t, "node3 votes", func() bool { return s.Health(hang(t)).Members[2].Answers })
	if h := l.hashes(t); len(h) != 3 || h["node1"] != h["node3"] {
		t.Errorf("the voters hold different things: %v", h)
	}
}

// Two voters with new, empty disks are started without having restored: they form no second store, however long the one that has restored
// is alone. As soon as one of them restores too there is a majority, and the other is let in.
func TestVotersWithoutDataFormNoSecondStore(t *testing.T) {
	t.Parallel() // it mostly waits
	l := newLife(t, 3)
	copied := l.backup(t)
	for _, v := range l.voters {
		l.kill(v.Name)
	}
	for _, n := range []ha.NodeName{"node2", "node3"} {
		if err := errors.Join(os.RemoveAll(l.dirs[n]), os.Remove(l.config(n).hadMember())); err != nil {
			t.Fatal(err)
		}
	}
	l.restore(t, copied, 1, "node1")
	s := l.open("node1")
	for _, n := range []ha.NodeName{"node2", "node3"} {
		st := l.open(n)
		until(t, string(n)+" waits", func() bool {
			why := st.waits.Load()
			return why != nil && strings.Contains(*why, "hactl etcd replace "+string(n))
		})
	}
	if err := s.Ready(within(t, 3*time.Second)); !errors.Is(err, ha.ErrUnavailable) {
		t.Fatalf("one of three answers: %v", err)
	}
	l.kill("node2")
	l.restore(t, copied, 1, "node2")
	l.open("node2")
	l.ready(s)
	l.replace(s, "node3", "node3")
	if h := l.hashes(t); len(h) != 3 || h["node1"] != h["node2"] || h["node1"] != h["node3"] {
		t.Errorf("the voters hold different things: %v", h)
	}
	if c := l.snapshot(t, l.stores["node3"]).Cluster.Rec; c.Epoch != 4 {
		t.Errorf("cluster record %+v", c)
	}
}

// The same copy a second time: the revision and the epoch lie beyond those of the first restore. One voter alone begins when the others
// are gone for good, and they are let in again.
func TestTheSameCopyAgainOnOneVoter(t *testing.T) {
	t.Parallel() // it mostly waits
	l := newLife(t, 3)
	copied := l.backup(t)
	for _, v := range l.voters {
		l.kill(v.Name)
	}
	first := l.restore(t, copied, 1, "node1")
	r, err := RestoreVoter(Restore{Config: l.config("node1"), Snapshot: copied, Times: 2, Voters: []ha.NodeName{"node1"}})
	if err != nil || r.Epoch != first.Epoch+1 || r.Revision < first.Revision+RevisionBump/2 {
		t.Fatalf("%+v after %+v: %v", r, first, err)
	}
	s := l.open("node1")
	l.ready(s)
	for _, n := range []ha.NodeName{"node2", "node3"} { // they take no part, and must not begin with what they have
		r, err := RestoreVoter(Restore{Config: l.config(n), Snapshot: copied, Times: 2, Voters: []ha.NodeName{"node1"}})
		if _, there := os.Stat(l.dirs[n]); err != nil || r.Epoch != 0 || r.SetAside == "" || there == nil {
			t.Fatalf("%s: %+v, %v", n, r, err)
		}
		l.open(n)
		change(t, string(n)+" is let in", func() error { return s.AddVoter(hang(t), n) })
	}
	if h := l.hashes(t); len(h) != 3 || h["node1"] != h["node2"] || h["node1"] != h["node3"] {
		t.Errorf("the voters hold different things: %v", h)
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	l := newLife(t, 1)
	copied := l.backup(t)
	l.kill("node1")
	data, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged")
	data[len(data)/2] ^= 1
	if err := os.WriteFile(damaged, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*Restore){
		"a damaged copy":    func(r *Restore) { r.Snapshot = damaged },
		"no copy":           func(r *Restore) { r.Snapshot = damaged + ".absent" },
		"another cluster's": func(r *Restore) { r.Config.Cluster = "other" },
		"an unknown voter":  func(r *Restore) { r.Voters = []ha.NodeName{"node1", "node9"} },
		"without voters":    func(r *Restore) { r.Voters = []ha.NodeName{} },
		"the zeroth time":   func(r *Restore) { r.Times = 0 },
		"an external store": func(r *Restore) {
			r.Config.Voters, r.Config.External = nil, &External{Endpoints: []string{"https://127.0.0.1:1"}}
		},
	} {
		r := Restore{Config: l.config("node1"), Snapshot: copied, Times: 1}
		spoil(&r)
		if _, err := RestoreVoter(r); err == nil {
			t.Errorf("%s: restored", what)
		}
	}
	s := l.open("node1")
	l.ready(s)
	if snap := l.snapshot(t, s); snap.Cluster.Rec.Epoch != 3 || snap.Term != l.term {
		t.Errorf("refusals have changed the store: %+v", snap.Cluster.Rec)
	}
}

// A spare begins no store: it is let in when a voter is gone. What it may hold of the former store is set aside.
func TestSparesAreNotRestored(t *testing.T) {
	t.Parallel()
	l := newLife(t, 3)
	copied := l.backup(t)
	for _, v := range l.voters {
		l.kill(v.Name)
	}
	restore := func(n ha.NodeName) (Restored, error) {
		c := l.config(n)
		c.Voters = slices.Clone(c.Voters)
		c.Voters[2].Spare = true
		return RestoreVoter(Restore{Config: c, Snapshot: copied, Times: 1})
	}
	if r, err := restore("node1"); err != nil || !slices.Equal(r.Voters, []ha.NodeName{"node1", "node2"}) {
		t.Errorf("restored %+v, %v", r, err)
	}
	r, err := restore("node3")
	if _, there := os.Stat(l.dirs["node3"]); err != nil || r.Epoch != 0 || r.SetAside == "" || there == nil {
		t.Errorf("a spare: %+v, %v", r, err)
	}
}
