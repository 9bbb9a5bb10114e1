package leader

import (
	"slices"
	"strings"
	"testing"

	"bascule/ha"
)

// restore is what the procedure leaves behind: a new epoch, of which the members that are up take note.
func (w *world) restore(up ...ha.NodeName) {
	c := w.snapshot().Cluster.Rec
	c.Epoch++
	w.put(ha.KeyCluster, c)
	for _, n := range up {
		w.report(n, func(r *ha.NodeReport) { r.Epoch = c.Epoch })
	}
}

// leave is an orderly stop of a node's daemon.
func (w *world) leave(n ha.NodeName) {
	w.report(n, func(r *ha.NodeReport) { r.Leaving = true })
	w.del(ha.KeyLease(n))
	w.gossip[n] = ha.GossipView{Known: true, Leaving: true}
}

// off takes the machine of a node that left away.
func (w *world) off(n ha.NodeName) {
	w.gossip[n] = ha.GossipView{Known: true}
	online := w.coro.Online
	w.coro.Online = nil
	for _, x := range online {
		if x != n {
			w.coro.Online = append(w.coro.Online, x)
		}
	}
	w.device[string(n)+"-bmc"].power = ha.PowerOff
}

// A rebuild waits for a member that had left in order before: its power is read, though nothing runs there.
func TestRebuildReadsThePowerOfAMemberThatHadLeft(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.leave("n3")
	w.run(3)
	w.off("n3")
	w.run(50)
	w.wantNode("n3", ha.NodeOffline)
	w.restore("n1", "n2")
	w.run(5)
	w.wantGuest(101, ha.GuestFrozen, "n2")
	w.run(30)
	w.wantNode("n3", ha.NodeFenced)
	w.wantGuest(101, ha.GuestStarting, "n2")
	w.says("n1", 101, ha.PhaseReleased, "")
	w.says("n2", 101, ha.PhaseRunning, "")
	w.run(5)
	w.wantGuest(101, ha.GuestStarted, "n2")
}

// Its device cannot be reached: what the frozen guests advise is accepted.
func TestRebuildAcceptsTheConfirmationThatItAsksFor(t *testing.T) {
	for name, gone := range map[string]func(w *world){
		"left in order": func(w *world) {
			w.leave("n3")
			w.run(3)
			w.off("n3")
		},
		"never registered as far as this copy knows": func(w *world) {
			w.off("n3")
			for _, k := range []string{ha.KeyNode("n3"), ha.KeyReport("n3"), ha.KeyLease("n3")} {
				w.del(k)
			}
		},
		"fenced by time alone": func(w *world) {
			w.report("n3", func(r *ha.NodeReport) { r.Armed, r.WatchdogDriver = true, "lab" })
			w.off("n3")
			w.del(ha.KeyLease("n3"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.guest(101, ha.QEMU, "n2")
			w.device["n3-bmc"].problem = "unreachable"
			gone(w)
			w.restore("n1", "n2")
			w.run(300)
			w.wantGuest(101, ha.GuestFrozen, "n2")
			if r := w.g(101).Reason; !strings.Contains(r, "hactl confirm-off n3") {
				t.Fatalf("reason %q", r)
			}
			w.request(ha.RequestConfirmOff, "n3")
			w.run(5)
			w.wantNode("n3", ha.NodeFenced)
			w.wantGuest(101, ha.GuestStarting, "n2")
			if _, waits := w.snapshot().Requests["r1"]; waits {
				t.Fatal("the request is still there")
			}
			w.boot("n3", "boot-n3b") // and comes back
			w.report("n3", func(r *ha.NodeReport) { r.Epoch = 2 })
			w.coro.Online = append(w.coro.Online, "n3")
			w.run(10)
			w.wantNode("n3", ha.NodeOnline)
		})
	}
}

// A machine that is up is not confirmed off, whether or not its daemon runs, and nobody waits for an answer in vain.
func TestConfirmationIsRefusedWhereThereIsLife(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(w *world)
		says    string
	}{
		"left, and corosync lists it": {func(w *world) { w.leave("n3") }, "corosync lists it"},
		"never registered, and talks": {func(w *world) {
			w.del(ha.KeyNode("n3"))
			w.del(ha.KeyReport("n3"))
			w.del(ha.KeyLease("n3"))
		}, "shows life"},
		"never registered, and nothing waits for it": {func(w *world) {
			w.off("n3")
			w.del(ha.KeyNode("n3"))
			w.del(ha.KeyReport("n3"))
			w.del(ha.KeyLease("n3"))
		}, "nothing waits for its end"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			c.prepare(w)
			w.run(3)
			w.request(ha.RequestConfirmOff, "n3")
			w.run(3)
			if s := w.node("n3").State; s == ha.NodeFenced {
				t.Fatal("believed")
			}
			if _, waits := w.snapshot().Requests["r1"]; waits {
				t.Fatal("the request is still there")
			}
			if last := w.trans[len(w.trans)-1].Reason; !strings.Contains(last, c.says) {
				t.Fatalf("said %q", last)
			}
		})
	}
}

// A node that had left with guests dies and its device is silent: the confirmation is taken, not refused and taken.
func TestConfirmationAboutANodeThatHadLeft(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.leave("n2")
	w.run(3)
	w.wantGuest(101, ha.GuestFrozen, "n2")
	w.device["n2-bmc"].problem = "unreachable"
	w.off("n2")
	w.run(20)
	w.request(ha.RequestConfirmOff, "n2")
	w.run(5)
	w.wantNode("n2", ha.NodeFenced)
	w.wantGuest(101, ha.GuestStarting, "n1")
	for _, x := range w.trans {
		if strings.Contains(x.Reason, "refused") {
			t.Fatalf("%+v", x)
		}
	}
}

// Nothing runs on a node that left, but its stopped guests are there: a person may still say that it is gone.
func TestConfirmationAboutAnOfflineNode(t *testing.T) {
	w := newWorld(t, 3)
	w.device["n2-bmc"].problem = "unreachable"
	w.leave("n2")
	w.run(3)
	w.off("n2")
	w.run(20)
	w.wantNode("n2", ha.NodeOffline)
	w.request(ha.RequestConfirmOff, "n2")
	w.run(5)
	w.wantNode("n2", ha.NodeFenced)
}

// A guest had moved since the copy was made, to a machine that is off now: the restored record names another node, and whoever starts the guest
// may take its config from where it lies, but from no member that is up.
func TestRebuildTakesTheConfigFromAMemberThatIsOff(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.report("n2", func(r *ha.NodeReport) { r.Guests = nil })
	w.off("n3")
	w.del(ha.KeyLease("n3"))
	w.restore("n1", "n2")
	w.run(50)
	w.wantNode("n3", ha.NodeFenced)
	w.wantGuest(101, ha.GuestStarting, "n2")
	if from := w.g(101).ConfigFrom; !slices.Equal(from, []ha.NodeName{"n3"}) {
		t.Errorf("its config may be taken from %v, want n3 alone", from)
	}
}

// A guest that was created after the copy was made has no record. Any member that has not reported may hold it.
func TestAdoptionWaitsForTheRebuild(t *testing.T) {
	w := newWorld(t, 3)
	w.device["n3-bmc"].problem = "unreachable"
	w.restore("n1", "n2")
	w.cut("n3")
	w.report("n2", func(r *ha.NodeReport) {
		r.Guests = []ha.GuestSeen{{ID: 200, Kind: ha.QEMU, Protected: true, Memory: 1 << 30, Storages: []string{"ceph"}}}
	})
	w.run(200)
	if g, ok := w.snapshot().Guests[200]; ok {
		t.Fatalf("adopted with holders %v while n3 has not reported", g.Rec.Holders)
	}
	w.request(ha.RequestConfirmOff, "n3")
	w.run(5)
	w.wantGuest(200, ha.GuestStopped, "n2")
	w.boot("n3", "boot-n3b") // what happens to members from now on is no business of the rebuild
	w.report("n3", func(r *ha.NodeReport) { r.Epoch = 2 })
	w.run(10)
	w.cut("n3")
	w.run(50)
	w.report("n2", func(r *ha.NodeReport) {
		r.Guests = append(r.Guests, ha.GuestSeen{ID: 201, Kind: ha.QEMU, Protected: true, Memory: 1 << 30, Storages: []string{"ceph"}})
	})
	w.run(3)
	w.wantGuest(201, ha.GuestStopped, "n2")
}

// A guest that is adopted after a restore gets a generation above all that its node still knows of: the store has lost those, and a report
// of then must not count (simulator, seed 48609).
func TestAnAdoptedGuestsGenerationLiesAboveWhatTheNodesKnow(t *testing.T) {
	w := newWorld(t, 3)
	w.report("n2", func(r *ha.NodeReport) {
		r.Highest = 7
		r.Guests = append(r.Guests, ha.GuestSeen{ID: 105, Kind: ha.QEMU, Protected: true, Storages: []string{"ceph"}})
	})
	w.run(3)
	if g := w.snapshot().Guests[105].Rec; g.Generation != 8 {
		t.Errorf("generation %d, want 8: %+v", g.Generation, g)
	}
}
