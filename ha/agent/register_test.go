package agent

import (
	"errors"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/etcd/memstore"
)

func TestRegistersAtOnceAndLeadsAfterItsQuietTime(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.start("n1")
		w.pass(time.Second)
		s := w.snapshot()
		lease, rep := s.Leases["n1"], s.Reports["n1"]
		if lease.Rec.Lease == 0 || lease.Rec.Incarnation != w.inc("n1") || rep.Rec.Lease != lease.Rec.Lease {
			t.Fatalf("after a second: lease %+v, report %+v", lease.Rec, rep.Rec)
		}
		if s.Leader != nil {
			t.Fatal("a starting daemon campaigned in its quiet time")
		}
		took := w.until(10*time.Second, "n1 leads", func(s ha.Snapshot) bool { return s.Leader != nil })
		tm, _ := ha.Profile("normal")
		if took+time.Second < tm.QuietTime(0) || took+time.Second > tm.QuietTime(0)+time.Second {
			t.Errorf("it led after %v, its quiet time is %v", took+time.Second, tm.QuietTime(0))
		}
		w.pass(time.Second)
		s = w.snapshot()
		if l := w.agent("n1").Lease(); l.Term != s.Term || s.Leader.Lease != l.ID {
			t.Errorf("the agent leads term %d, the store says %d (%+v)", l.Term, s.Term, s.Leader)
		}
		if r := s.Nodes["n1"].Rec; r.State != ha.NodeOnline || r.Incarnation != w.inc("n1") || r.SystemUUID != uuidOf("n1") {
			t.Errorf("the leader's record of itself: %+v", r)
		}
	})
}

// The lease key and the report come in one transaction: nobody sees one without the other.
func TestRegistrationIsOneTransaction(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.start("n1")
		w.until(time.Second, "n1 registers", func(s ha.Snapshot) bool { return s.Leases["n1"].Rev != 0 })
		first := w.snapshot()
		kv, _, err := w.mem.Get(t.Context(), ha.KeyReport("n1"))
		if err != nil || kv == nil || kv.CreateRev != first.Leases["n1"].Rev {
			t.Errorf("report %+v (%v), lease key of revision %d", kv, err, first.Leases["n1"].Rev)
		}
	})
}

func TestThreeAgentsHaveOneLeader(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		s := w.snapshot()
		for _, n := range w.names {
			l := w.agent(n).Lease()
			if leads := l.Term != 0; leads != (s.Leader.Node == n) {
				t.Errorf("%s has term %d, the store's leader is %s", n, l.Term, s.Leader.Node)
			}
			if s.Nodes[n].Rec.State != ha.NodeOnline {
				t.Errorf("%s is %s", n, s.Nodes[n].Rec.State)
			}
			if d := s.Nodes[n].Rec.Devices; len(d) != 1 || !d[0].Identified(w.inc(n)) {
				t.Errorf("%s: devices %+v", n, d)
			}
		}
		if n := len(w.since(0, "leads")); n != 1 {
			t.Errorf("%d campaigns were won, want 1", n)
		}
	})
}

// A registration whose answer is lost is made again under a new lease; the permit begins only with one that is known to stand.
func TestLostRegistrationIsRepeated(t *testing.T) {
	for _, fate := range []memstore.Fate{memstore.LostBefore, memstore.LostAfter} {
		inColdWorld(t, 1, func(w *world) {
			w.start("n1", func(c *Config) { c.Store.(*storePort).Lose(fate) })
			w.until(2*time.Second, "n1 has a permit", func(ha.Snapshot) bool { return w.agent("n1").Snapshot().Permit > 0 })
			if got := w.snapshot().Leases["n1"].Rec.Lease; got != w.agent("n1").Lease().ID || got != 2 {
				t.Errorf("fate %d: the store has lease %d, the agent %d, want the second one", fate, got, w.agent("n1").Lease().ID)
			}
			w.pass(10 * time.Second)
			if w.snapshot().Leases["n1"].Rec.Lease != 2 {
				t.Errorf("fate %d: the first lease's end took the second one's key along", fate)
			}
		})
	}
}

func TestStoreAwayAtStart(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", false).onboot = true
		a := w.start("n1", func(c *Config) { c.Store.(*storePort).SetUnavailable(true) })
		w.pass(30 * time.Second)
		if s := a.Snapshot(); s.Health.Available || s.Health.Reason == "" {
			t.Errorf("health %+v", s.Health)
		}
		if len(w.where(101)) != 0 {
			t.Error("a guest was started without the store")
		}
		w.store("n1").SetUnavailable(false)
		w.until(10*time.Second, "101 runs once the store answers", func(ha.Snapshot) bool { return w.runsAlone(101, "n1") })
	})
}

func TestWitnessVotesButNeverLeads(t *testing.T) {
	inColdWorld(t, 2, func(w *world) {
		w.opts.Members[1].Witness = true
		w.start("n2", func(c *Config) { c.Node.Witness, c.Proxmox, c.Guard, c.Processes = true, nil, nil, nil })
		w.pass(30 * time.Second)
		s := w.snapshot()
		if s.Leader != nil || !s.Reports["n2"].Rec.Witness || s.Leases["n2"].Rev == 0 {
			t.Errorf("leader %+v, report %+v, lease %+v", s.Leader, s.Reports["n2"].Rec, s.Leases["n2"].Rec)
		}
		w.start("n1")
		w.until(10*time.Second, "n1 leads", func(s ha.Snapshot) bool { return s.Leader != nil && s.Leader.Node == "n1" })
		w.pass(5 * time.Second)
		if _, judged := w.snapshot().Nodes["n2"]; judged {
			t.Error("the leader keeps a record of a witness")
		}
		mark := w.mark()
		if err := w.agent("n2").Leave(w.ctx); err != nil {
			t.Error(err)
		}
		w.order(mark, "n2 wrote report/n2", "n2 revoked lease 1")
	})
}

// The armed flag that others build a proof on is published only for a driver that is trusted, after the guard said so.
func TestArmedIsPublishedForTrustedDriversOnly(t *testing.T) {
	for driver, want := range map[string]bool{"": false, "softdog": false, "iTCO_wdt": true} {
		inColdWorld(t, 1, func(w *world) {
			w.guarding("n1", func(g *fakeGuard) { g.driver = driver })
			w.start("n1")
			w.pass(5 * time.Second)
			rep := w.snapshot().Reports["n1"].Rec
			if rep.Armed != want || rep.WatchdogDriver != driver {
				t.Errorf("driver %q: report says armed %v, driver %q", driver, rep.Armed, rep.WatchdogDriver)
			}
			w.guarding("n1", func(g *fakeGuard) { g.down = true })
			w.pass(5 * time.Second)
			if rep := w.snapshot().Reports["n1"].Rec; rep.Armed || len(rep.Problems) == 0 {
				t.Errorf("driver %q, guard gone: report says armed %v, problems %q", driver, rep.Armed, rep.Problems)
			}
		})
	}
}

func TestLeaseGoneEndsThePermitAtOnce(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		a := w.agent("n1")
		old := a.Lease()
		w.mem.ExpireLease(old.ID)
		w.until(1500*time.Millisecond, "the permit and the leadership end", func(ha.Snapshot) bool { return a.Lease().ID != old.ID && a.Lease().Term != old.Term })
		w.until(10*time.Second, "it leads again under a new lease", func(s ha.Snapshot) bool {
			return s.Leader != nil && a.Lease().Leads(w.boottime()) && s.Leader.Lease == a.Lease().ID
		})
	})
}

func TestSubmitStoresOnce(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		a := w.start("n1")
		q := ha.Request{ID: "r1", Kind: ha.RequestDrain, Node: "n1", By: "ada", At: time.Now()}
		if err := a.Submit(w.ctx, q); err != nil {
			t.Fatal(err)
		}
		if err := a.Submit(w.ctx, q); !errors.Is(err, ha.ErrConflict) {
			t.Errorf("the same request again: %v, want ErrConflict", err)
		}
		if got := w.snapshot().Requests["r1"].Rec; got.By != "ada" || got.Kind != ha.RequestDrain {
			t.Errorf("stored %+v", got)
		}
	})
}
