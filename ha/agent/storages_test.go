package agent

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// fakeStorages is the storage "ceph" as each node reaches it: good when nothing is said, else "fails" or "hangs".
type fakeStorages struct {
	t    *testing.T
	mu   sync.Mutex
	how  map[ha.NodeName]string
	open map[ha.NodeName]int // looks under way
	all  map[ha.NodeName]int // looks begun
}

func newFakeStorages(t *testing.T) *fakeStorages {
	return &fakeStorages{t: t, how: map[ha.NodeName]string{}, open: map[ha.NodeName]int{}, all: map[ha.NodeName]int{}}
}

func (f *fakeStorages) set(how string, nodes ...ha.NodeName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range nodes {
		f.how[n] = how
	}
}

// at is one node's port.
func (f *fakeStorages) at(n ha.NodeName) Storages { return storagesAt{f, n} }

type storagesAt struct {
	f *fakeStorages
	n ha.NodeName
}

// Look is the agent's port.
func (s storagesAt) Look(ctx context.Context, p ha.StoragePlace) ha.StorageLook {
	f := s.f
	f.mu.Lock()
	f.open[s.n]++
	f.all[s.n]++
	if f.open[s.n] > 1 {
		f.t.Errorf("%d looks at one storage of %s at once", f.open[s.n], s.n)
	}
	how := f.how[s.n]
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.open[s.n]--
		f.mu.Unlock()
	}()
	out := ha.StorageLook{Storage: p.Name}
	switch how {
	case "hangs":
		<-ctx.Done()
		out.Hung, out.Problem = true, "it gave no answer in time"
	case "fails":
		time.Sleep(10 * time.Millisecond)
		out.Problem = "input/output error"
	default:
		time.Sleep(10 * time.Millisecond)
	}
	return out
}

// Held is the agent's port.
func (s storagesAt) Held(ha.VMID) []string { return nil }

// Clear is the agent's port.
func (s storagesAt) Clear(context.Context, ha.StoragePlace, []string, []string) ([]string, error) {
	return nil, nil
}

// startLooking starts all agents with eyes for storages.
func (w *world) startLooking() *fakeStorages {
	f := newFakeStorages(w.t)
	for _, n := range w.names {
		w.start(n, func(c *Config) { c.Storages = f.at(n) })
		time.Sleep(50 * time.Millisecond)
	}
	w.settle()
	w.pass(15 * time.Second)
	return f
}

func stateOf(s ha.Snapshot, n ha.NodeName) ha.StorageState {
	for _, x := range s.Reports[n].Rec.Storages {
		if x.Name == "ceph" {
			return x.State
		}
	}
	return "not reported"
}

// TestANodeThatLosesAStorageGivesItsGuestsUp, and gets nothing back when the storage is there again.
func TestANodeThatLosesAStorageGivesItsGuestsUp(t *testing.T) {
	for _, how := range []string{"fails", "hangs"} {
		inColdWorld(t, 3, func(w *world) {
			w.guest(101, ha.QEMU, "n2", true)
			w.guest(201, ha.LXC, "n2", true)
			w.guest(103, ha.QEMU, "n3", true)
			f := w.startLooking()
			for _, n := range w.names {
				if s := stateOf(w.snapshot(), n); s != ha.StorageGood {
					t.Fatalf("%s says %q", n, s)
				}
			}
			mark := w.mark()
			f.set(how, "n2")
			took := w.until(2*time.Minute, "both run elsewhere", func(s ha.Snapshot) bool {
				for _, id := range []ha.VMID{101, 201} {
					if g := s.Guests[id].Rec; g.State != ha.GuestStarted || g.Node == "n2" || g.Move != nil {
						return false
					}
				}
				return true
			})
			if tm, _ := ha.Profile("normal"); took < tm.StorageWait() {
				t.Errorf("%s: they left after %v", how, took)
			}
			t.Logf("%s: elsewhere after %v", how, took)
			for _, id := range []ha.VMID{101, 201} {
				if on := w.where(id); len(on) != 1 || on[0] == "n2" {
					t.Errorf("%s: %d runs on %v", how, id, on)
				}
			}
			if !w.runsAlone(103, "n3") {
				t.Errorf("%s: 103 was touched", how)
			}
			if got := w.since(mark, "migrate"); len(got) != 0 {
				t.Errorf("%s: Proxmox was asked for a migration: %q", how, got[0].what)
			}
			mark = w.mark()
			f.set("", "n2")
			w.pass(2 * time.Minute)
			if got := w.since(mark, "asked: "); len(got) != 0 {
				t.Errorf("%s: when it is back: %q", how, got[0].what)
			}
		})
	}
}

// TestAStorageThatIsDownForAllMovesNobody.
func TestAStorageThatIsDownForAllMovesNobody(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		f := w.startLooking()
		mark := w.mark()
		f.set("hangs", "n2")
		w.pass(8 * time.Second)
		f.set("hangs", "n1", "n3")
		w.pass(3 * time.Minute)
		if got := w.since(mark, "asked: "); len(got) != 0 {
			t.Errorf("%q", got[0].what)
		}
		s := w.snapshot()
		if g := s.Guests[101].Rec; g.Node != "n2" || g.State != ha.GuestStarted || !strings.Contains(g.Reason, "no other node has said") {
			t.Errorf("%+v", g)
		}
		for _, n := range w.names {
			if got := stateOf(s, n); got != ha.StorageHung {
				t.Errorf("%s says %q", n, got)
			}
		}
	})
}

// TestReportsAreNotWrittenForEveryLook: a look that says what the one before said changes nothing in the store.
func TestReportsAreNotWrittenForEveryLook(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		f := w.startLooking()
		f.set("fails", "n2")
		w.pass(30 * time.Second)
		mark := w.mark()
		before := f.all["n2"]
		w.pass(2 * time.Minute)
		if got := w.since(mark, "wrote "+ha.KeyReport("n2")); len(got) != 0 {
			t.Errorf("%d writes of n2's report", len(got))
		}
		if f.all["n2"]-before < 30 {
			t.Errorf("only %d looks", f.all["n2"]-before)
		}
	})
}

// TestAStartIsNotTriedOnALostStorage: the node's own looks stop it before Proxmox is asked, which may take long to notice.
func TestAStartIsNotTriedOnALostStorage(t *testing.T) {
	a := &Agent{cfg: Config{Node: node.Config{Self: "n1"}}, sights: map[string]node.Sight{"nas": {State: ha.StorageHung, Problem: "it gave no answer in time"}}}
	d := node.Do{Guest: 101, Kind: ha.QEMU, Step: node.StepStorages, Record: ha.GuestRecord{Storages: []string{"ceph", "nas"}}}
	if out, msg := a.storages(t.Context(), d); out != node.Failed || !strings.Contains(msg, "storage nas does not work on n1: it gave no answer in time") {
		t.Errorf("%s %q", out, msg)
	}
}
