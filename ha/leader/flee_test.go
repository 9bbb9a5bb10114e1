package leader

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// storageWait is how many rounds of this world (100 ms) a loss must last before anybody leaves, and one more to decide.
func (w *world) storageWait() int { return int(w.tm.StorageWait()/(100*time.Millisecond)) + 2 }

// sees is what a node's own looks say of a storage.
func (w *world) sees(n ha.NodeName, storage string, s ha.StorageState) {
	w.report(n, func(r *ha.NodeReport) {
		i := slices.IndexFunc(r.Storages, func(x ha.StorageReport) bool { return x.Name == storage })
		if i < 0 {
			r.Storages = append(r.Storages, ha.StorageReport{Name: storage, Shared: true, Active: true})
			i = len(r.Storages) - 1
		}
		r.Storages[i].State = s
	})
}

// lossWorld is three nodes that see storages "ceph" and "nas" good, with guest 101 of n2 on ceph and 102 of n2 on nas.
func lossWorld(t *testing.T) *world {
	w := newWorld(t, 3)
	for _, n := range []ha.NodeName{"n1", "n2", "n3"} {
		w.sees(n, "ceph", ha.StorageGood)
		w.sees(n, "nas", ha.StorageGood)
	}
	w.guest(101, ha.QEMU, "n2")
	w.guest(102, ha.LXC, "n2")
	w.on(102, "n2", "nas")
	w.run(2)
	return w
}

// on puts a guest's disks on other storages.
func (w *world) on(id ha.VMID, n ha.NodeName, storages ...string) {
	w.report(n, func(r *ha.NodeReport) {
		for i := range r.Guests {
			if r.Guests[i].ID == id {
				r.Guests[i].Storages = storages
			}
		}
	})
	w.run(2)
}

// TestWhoLeavesALostStorage: what each node says of ceph, and whether guest 101 leaves n2.
func TestWhoLeavesALostStorage(t *testing.T) {
	const good, bad, hung, doubt, unknown = ha.StorageGood, ha.StorageBad, ha.StorageHung, ha.StorageDoubtful, ha.StorageState("")
	for _, c := range []struct {
		name       string
		n1, n2, n3 ha.StorageState
		more       func(w *world)
		to         ha.NodeName // "": it stays
		says       string
	}{
		{"lost here, good elsewhere", good, bad, bad, nil, "n1", "has lost its storage ceph"},
		{"it hangs here", bad, hung, good, nil, "n3", "has lost its storage ceph"},
		{"good everywhere", good, good, good, nil, "", ""},
		{"only a doubt", good, doubt, good, nil, "", ""},
		{"nobody looks here", good, unknown, good, nil, "", ""},
		{"lost for all", bad, bad, hung, nil, "", "no other node has said for 20s that it works there"},
		{"unknown elsewhere", unknown, bad, unknown, nil, "", "no other node has said for 20s that it works there"},
		{"in doubt elsewhere", doubt, bad, doubt, nil, "", "no other node has said for 20s that it works there"},
		{"Proxmox would not use it there", good, bad, bad, func(w *world) {
			w.report("n1", func(r *ha.NodeReport) { r.Storages[0].Active = false })
		}, "", "no other node has said for 20s that it works there"},
		{"another storage of it is lost there", good, bad, bad, func(w *world) {
			w.on(101, "n2", "ceph", "nas")
			w.sees("n1", "nas", bad)
		}, "", "no other node has said for 20s that it works there"},
		{"another storage of it is looked at by nobody", good, bad, bad, func(w *world) {
			w.on(101, "n2", "ceph", "nas")
			for _, n := range []ha.NodeName{"n1", "n2", "n3"} {
				w.sees(n, "nas", unknown)
			}
		}, "n1", "has lost its storage ceph"},
		{"no room there", good, bad, bad, func(w *world) {
			w.report("n1", func(r *ha.NodeReport) { r.Memory = 1 << 29 })
		}, "", "it stays: no place"},
		{"that node is drained", good, bad, bad, func(w *world) {
			w.request(ha.RequestDrain, "n1")
		}, "", "it stays: no place"},
		{"pinned", good, bad, good, func(w *world) {
			w.report("n2", func(r *ha.NodeReport) { r.Guests[0].Pinned = "hostpci0" })
		}, "", "hostpci0"},
		{"stopped by its operator", good, bad, good, func(w *world) {
			w.put(ha.KeyGuestReport("n2", 101), ha.GuestReport{Guest: 101, Node: "n2", Incarnation: boot("n2"), Generation: w.g(101).Generation, Phase: ha.PhaseStopped, ByOperator: true})
		}, "", ""},
		{"Proxmox's own HA manages it", good, bad, good, func(w *world) {
			w.report("n3", func(r *ha.NodeReport) { r.Managed = []ha.VMID{101} })
		}, "", ""},
		{"its node is being drained", good, bad, good, func(w *world) {
			w.on(102, "n2", "ceph")
			w.request(ha.RequestDrain, "n2")
		}, "n1", "has lost its storage ceph"},
		{"its node may be dead", good, bad, good, func(w *world) { w.gossip["n2"] = ha.GossipView{Known: true} }, "", ""},
		{"the other node has no lease", good, bad, bad, func(w *world) { w.del(ha.KeyLease("n1")) }, "", "no other node has said for 20s that it works there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := lossWorld(t)
			before := w.g(101)
			if c.more != nil {
				c.more(w)
			}
			w.sees("n1", "ceph", c.n1)
			w.sees("n2", "ceph", c.n2)
			w.sees("n3", "ceph", c.n3)
			w.run(w.storageWait())
			g := w.g(101)
			switch {
			case c.to == "" && g.Move != nil:
				t.Fatalf("it moves to %s: %s", g.Move.Target, g.Reason)
			case c.to != "" && (g.Move == nil || g.Move.Target != c.to || !g.Move.Stop || g.Move.Live || g.State != ha.GuestRelocating || g.Node != "n2"):
				t.Fatalf("it does not leave for %s: %s, %+v (%s)", c.to, g.State, g.Move, g.Reason)
			case c.to != "" && (g.Generation != before.Generation+1 || len(g.Holders) != 2 || g.Holders[0].Node != "n2" || g.Holders[1].Node != c.to):
				t.Fatalf("holders %+v in generation %d", g.Holders, g.Generation)
			case !strings.Contains(g.Reason, c.says):
				t.Errorf("reason %q, want %q", g.Reason, c.says)
			}
			if o := w.g(102); o.Move != nil && o.Move.Stop && !slices.Contains(o.Storages, "ceph") {
				t.Errorf("guest 102, which is not on ceph, moves: %+v (%s)", o.Move, o.Reason)
			}
		})
	}
}

// TestAGoodMustLast: a storage that comes back for all is seen by one node first, and nobody leaves for that one.
func TestAGoodMustLast(t *testing.T) {
	w := lossWorld(t)
	rounds := int(w.tm.StorageWait() / (100 * time.Millisecond))
	for _, n := range []ha.NodeName{"n1", "n2", "n3"} {
		w.sees(n, "ceph", ha.StorageBad)
	}
	w.run(2 * rounds)
	w.sees("n1", "ceph", ha.StorageGood)
	w.run(rounds - 1)
	if g := w.g(101); g.Move != nil {
		t.Fatal("it leaves for the first that sees the storage come back")
	}
	w.run(3)
	if g := w.g(101); g.Move == nil || g.Move.Target != "n1" { // its own node does not see it come back
		t.Fatalf("it stays: %s", g.Reason)
	}
}

// TestALossMustLast: nobody leaves before the others have had the time to say that they have lost it, too; a loss that was over in between
// begins anew.
func TestALossMustLast(t *testing.T) {
	w := lossWorld(t)
	rounds := int(w.tm.StorageWait() / (100 * time.Millisecond))
	w.sees("n2", "ceph", ha.StorageBad)
	w.run(rounds - 1)
	if g := w.g(101); g.Move != nil {
		t.Fatal("it leaves too early")
	}
	w.sees("n2", "ceph", ha.StorageGood)
	w.run(1)
	w.sees("n2", "ceph", ha.StorageHung)
	w.run(rounds - 1)
	if g := w.g(101); g.Move != nil {
		t.Fatal("what was over counts on")
	}
	w.run(3)
	if g := w.g(101); g.Move == nil {
		t.Fatalf("it stays: %s", g.Reason)
	}
}

// TestEveryLostStorageMustHaveSettled: a guest that lost two is moved for neither before both are settled, here and there.
func TestEveryLostStorageMustHaveSettled(t *testing.T) {
	w := lossWorld(t)
	rounds := int(w.tm.StorageWait() / (100 * time.Millisecond))
	w.on(101, "n2", "ceph", "nas")
	for _, n := range []ha.NodeName{"n1", "n2", "n3"} {
		w.sees(n, "nas", ha.StorageBad)
	}
	w.sees("n2", "ceph", ha.StorageBad)
	w.run(2 * rounds)
	w.sees("n3", "nas", ha.StorageGood)
	w.run(rounds - 1)
	if g := w.g(101); g.Move != nil {
		t.Fatalf("it leaves for %s, where one of its storages has just come back", g.Move.Target)
	}
	w.run(3)
	if g := w.g(101); g.Move == nil || g.Move.Target != "n3" || !strings.Contains(g.Reason, "ceph, nas") {
		t.Fatalf("%+v (%s)", g.Move, g.Reason)
	}
}

// TestReasonOfOneThatStays: it is told why, and no more when the storage is back; then nothing moves.
func TestReasonOfOneThatStays(t *testing.T) {
	w := lossWorld(t)
	for _, n := range []ha.NodeName{"n1", "n2", "n3"} {
		w.sees(n, "ceph", ha.StorageHung)
	}
	w.run(w.storageWait())
	if g := w.g(101); g.State != ha.GuestStarted || !strings.HasPrefix(g.Reason, staysWord) {
		t.Fatalf("%s (%s)", g.State, g.Reason)
	}
	for _, n := range []ha.NodeName{"n1", "n2", "n3"} {
		w.sees(n, "ceph", ha.StorageGood)
	}
	w.run(w.storageWait())
	if g := w.g(101); g.Move != nil || g.Reason != "runs on n2" {
		t.Fatalf("%+v (%s)", g.Move, g.Reason)
	}
}

// TestLeavingCanBeTurnedOff: nobody leaves, and the guest says why; turned on again, it leaves.
func TestLeavingCanBeTurnedOff(t *testing.T) {
	w := lossWorld(t)
	w.leader.StayOnLoss = true
	w.sees("n2", "ceph", ha.StorageBad)
	w.run(2 * w.storageWait())
	if g := w.g(101); g.Move != nil || g.State != ha.GuestStarted || !strings.HasSuffix(g.Reason, "it stays: leaving is turned off (recovery.leave_lost_storage)") {
		t.Fatalf("%+v (%s)", g.Move, g.Reason)
	}
	w.leader.StayOnLoss = false
	w.run(2)
	if g := w.g(101); g.Move == nil || !g.Move.Stop {
		t.Fatalf("turned on again: %s (%s)", g.State, g.Reason)
	}
}

// flown lets a planned move end: the source releases, the target starts.
func (w *world) flown(id ha.VMID) {
	w.t.Helper()
	m := w.g(id).Move
	if m == nil {
		w.t.Fatalf("guest %d does not move: %s", id, w.g(id).Reason)
	}
	w.says(m.From, id, ha.PhaseMigrating, "")
	w.run(1)
	w.says(m.From, id, ha.PhaseReleased, "")
	w.run(2)
	w.wantGuest(id, ha.GuestStarting, m.Target)
	g := w.g(id)
	if len(g.Holders) != 1 || g.Move != nil || !slices.Contains(g.ConfigFrom, m.From) {
		w.t.Fatalf("after the release: %+v", g)
	}
	w.report(m.From, func(r *ha.NodeReport) {
		r.Guests = slices.DeleteFunc(r.Guests, func(s ha.GuestSeen) bool { return s.ID == id })
	})
	w.report(m.Target, func(r *ha.NodeReport) {
		r.Guests = append(r.Guests, ha.GuestSeen{ID: id, Kind: g.Kind, Protected: true, Running: true, Memory: g.Memory, Storages: g.Storages})
	})
	w.says(m.Target, id, ha.PhaseRunning, "")
	w.run(2)
	w.wantGuest(id, ha.GuestStarted, m.Target)
}

// TestAGuestIsNotChasedAround: at most once in ten minutes, and three times an hour; a hole of an hour forgets.
func TestAGuestIsNotChasedAround(t *testing.T) {
	w := lossWorld(t)
	lost := func() {
		at := w.g(101).Node
		for _, n := range []ha.NodeName{"n1", "n2", "n3"} {
			s := ha.StorageGood
			if n == at {
				s = ha.StorageBad
			}
			w.sees(n, "ceph", s)
		}
		w.run(w.storageWait() + 1)
	}
	stays := func(why string) {
		t.Helper()
		if g := w.g(101); g.Move != nil || !strings.Contains(g.Reason, why) {
			t.Fatalf("%+v (%s)", g.Move, g.Reason)
		}
	}
	for i := range fleeMost {
		lost()
		if i > 0 {
			stays("less than")
			w.now = w.now.Add(fleeAgain)
			w.run(w.storageWait())
		}
		w.flown(101)
	}
	lost()
	w.now = w.now.Add(fleeAgain)
	w.run(w.storageWait())
	stays("3 times within 1h0m0s")
	w.now = w.now.Add(fleeSpan)
	w.run(w.storageWait())
	w.flown(101)
}

// TestAFewAtOnce: as many as ParallelMoves leave a node at a time, the others follow.
func TestAFewAtOnce(t *testing.T) {
	w := lossWorld(t)
	w.leader.ParallelMoves = 2
	for id := ha.VMID(110); id < 115; id++ {
		w.guest(id, ha.LXC, "n2")
	}
	w.sees("n2", "ceph", ha.StorageBad)
	w.run(w.storageWait())
	moving := func() (ids []ha.VMID) {
		for _, id := range []ha.VMID{101, 110, 111, 112, 113, 114} {
			if w.g(id).Move != nil {
				ids = append(ids, id)
			}
		}
		return ids
	}
	for range 3 {
		ids := moving()
		if len(ids) != 2 {
			t.Fatalf("%v leave at once", ids)
		}
		for _, id := range ids {
			w.flown(id)
		}
		w.run(2)
	}
	if ids := moving(); len(ids) != 0 {
		t.Errorf("%v move on", ids)
	}
	w.wantGuest(102, ha.GuestStarted, "n2")
}

// TestLeavingIsGivenUpOrGoesOn: what becomes of a move whose target or source does not do its part.
func TestLeavingIsGivenUpOrGoesOn(t *testing.T) {
	begin := func(t *testing.T) *world {
		w := lossWorld(t)
		w.sees("n3", "ceph", ha.StorageBad)
		w.sees("n2", "ceph", ha.StorageBad)
		w.run(w.storageWait())
		if m := w.g(101).Move; m == nil || m.Target != "n1" {
			t.Fatalf("%+v", m)
		}
		return w
	}
	t.Run("the target could not take it", func(t *testing.T) {
		w := begin(t)
		w.says("n2", 101, ha.PhaseRunning, "n1 is not in the boot any more that was to take it")
		w.run(2)
		if g := w.g(101); g.Move != nil || g.Node != "n2" || len(g.Fled) != 1 {
			t.Errorf("%+v", g)
		}
	})
	t.Run("its process does not end", func(t *testing.T) {
		w := begin(t)
		w.says("n2", 101, ha.PhaseMigrating, "it does not end although it was killed: 1 process")
		w.run(600)
		if g := w.g(101); g.Move == nil || g.State != ha.GuestRelocating || len(g.Holders) != 2 || !strings.Contains(g.Reason, "does not end") {
			t.Errorf("%+v", g)
		}
	})
	t.Run("the source dies", func(t *testing.T) {
		w := begin(t)
		w.says("n2", 101, ha.PhaseMigrating, "")
		w.run(1)
		w.die("n2")
		w.run(80)
		if g := w.g(101); g.Node == "n1" || len(g.Holders) != 2 { // n1 may have it, and has not said that it has not
			t.Fatalf("assigned before its other holder let go: %+v", g)
		}
		w.says("n1", 101, ha.PhaseReleased, "")
		w.run(3)
		w.wantGuest(101, ha.GuestStarting, "n1")
	})
	t.Run("the storage comes back meanwhile", func(t *testing.T) {
		w := begin(t)
		w.says("n2", 101, ha.PhaseMigrating, "")
		w.sees("n2", "ceph", ha.StorageGood)
		w.run(50)
		w.flown(101) // it was being stopped already
	})
}

// TestDrainWaitsForALostStorage: a migration of Proxmox's needs the storage on both sides; a guest that has lost one is not sent on it.
func TestDrainWaitsForALostStorage(t *testing.T) {
	w := lossWorld(t)
	for _, n := range []ha.NodeName{"n1", "n2", "n3"} {
		w.sees(n, "ceph", ha.StorageBad)
	}
	w.request(ha.RequestDrain, "n2")
	w.run(w.storageWait())
	if g := w.g(101); g.Move != nil {
		t.Errorf("guest 101 moves: %+v", g.Move)
	}
	if g := w.g(102); g.Move == nil || g.Move.Stop {
		t.Errorf("guest 102 does not leave by migration: %+v (%s)", g.Move, g.Reason)
	}
}

// TestNoPlaceWhereAStorageIsLost: a dead node's guest waits for a place instead of being tried where its storage is lost, also where Proxmox still
// calls it active.
func TestNoPlaceWhereAStorageIsLost(t *testing.T) {
	w := lossWorld(t)
	w.sees("n1", "ceph", ha.StorageBad)
	w.sees("n3", "ceph", ha.StorageHung)
	w.die("n2")
	w.run(60)
	w.wantGuest(101, ha.GuestRecovery, "n2")
	if r := w.g(101).Reason; !strings.Contains(r, "n1: storage ceph does not work there") {
		t.Errorf("reason %q", r)
	}
	w.sees("n3", "ceph", ha.StorageDoubtful)
	w.run(2)
	w.wantGuest(101, ha.GuestStarting, "n3")
}

// TestPeopleHearOfALostStorage once, also when another leader takes over, and once of its return.
func TestPeopleHearOfALostStorage(t *testing.T) {
	w := lossWorld(t)
	told := func() (out []string) {
		for _, x := range w.trans {
			if strings.HasPrefix(x.Subject, ha.SubjectStorage) {
				out = append(out, x.Subject+": "+x.To)
			}
		}
		return out
	}
	w.sees("n2", "ceph", ha.StorageBad)
	w.run(3)
	w.sees("n2", "ceph", ha.StorageDoubtful)
	w.run(3)
	w.state, w.term = State{}, w.term+1
	w.sees("n2", "ceph", ha.StorageHung)
	w.run(3)
	if got := told(); !slices.Equal(got, []string{"storage ceph on n2: lost"}) {
		t.Fatalf("told %q", got)
	}
	w.sees("n2", "ceph", ha.StorageGood)
	w.run(3)
	if got := told(); len(got) != 2 || got[1] != "storage ceph on n2: works" || len(w.node("n2").Lost) != 0 {
		t.Fatalf("told %q, on record %q", got, w.node("n2").Lost)
	}
}
