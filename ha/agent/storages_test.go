package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// fakeStorages is the storage "ceph" as each node reaches it: good when nothing is said, else "fails", "hangs" or "slow".
type fakeStorages struct {
	t       *testing.T
	mu      sync.Mutex
	held    []string // what the kernels still have mounted of any guest
	cleared []string // what was cleared, as asked for
	how     map[ha.NodeName]string
	mapped  map[ha.NodeName][]ha.ActiveVolume // what each kernel has mapped
	inUse   map[string]bool                   // volumes that somebody has open, by name
	open    map[string]int                    // looks under way
	all     map[ha.NodeName]int               // looks begun
}

func newFakeStorages(t *testing.T) *fakeStorages {
	return &fakeStorages{t: t, how: map[ha.NodeName]string{}, mapped: map[ha.NodeName][]ha.ActiveVolume{}, inUse: map[string]bool{}, open: map[string]int{}, all: map[ha.NodeName]int{}}
}

func (f *fakeStorages) set(how string, nodes ...ha.NodeName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range nodes {
		f.how[n] = how
	}
}

// begun is how many looks a node has begun.
func (f *fakeStorages) begun(n ha.NodeName) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[n]
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
	key := p.Name + " of " + string(s.n)
	f.open[key]++
	f.all[s.n]++
	if f.open[key] > 1 {
		f.t.Errorf("%d looks at storage %s at once", f.open[key], key)
	}
	how := f.how[s.n]
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.open[key]--
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
	case "slow":
		time.Sleep(3 * time.Second)
	default:
		time.Sleep(10 * time.Millisecond)
	}
	return out
}

// Held is the agent's port.
func (s storagesAt) Held(ha.VMID) []string {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.f.held
}

// Clear is the agent's port.
func (s storagesAt) Clear(_ context.Context, p ha.StoragePlace, images, dead []string) ([]string, error) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.cleared = append(s.f.cleared, fmt.Sprint(s.n, " ", p.Name, images, dead))
	return nil, errors.New("no answer") // which stops no start
}

// Active is the agent's port.
func (s storagesAt) Active() []ha.ActiveVolume {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return slices.Clone(s.f.mapped[s.n])
}

// Deactivate is the agent's port: the kernel refuses what is open.
func (s storagesAt) Deactivate(_ context.Context, v ha.ActiveVolume) error {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.inUse[v.Name] {
		return errors.New("device or resource busy")
	}
	s.f.mapped[s.n] = slices.DeleteFunc(s.f.mapped[s.n], func(m ha.ActiveVolume) bool { return m.UUID == v.UUID })
	return nil
}

// startLooking starts all agents with eyes for storages.
func (w *world) startLooking() *fakeStorages {
	f := newFakeStorages(w.t)
	for _, n := range w.names {
		w.start(n, func(c *Config) {
			c.Storages = f.at(n)
			c.Clients = func() []string { return []string{"ip:10.0.5." + string(n[1:])} }
		})
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

// TestASlowStorageMovesNobody: it is told on the node that finds it slow, as long as it is, and counts as good.
func TestASlowStorageMovesNobody(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		f := w.startLooking()
		slow := func(s ha.Snapshot, n ha.NodeName) bool {
			notes := s.Reports[n].Rec.Storages[0].Notes
			return slices.ContainsFunc(notes, func(note string) bool { return strings.Contains(note, "answers slowly") })
		}
		mark := w.mark()
		f.set("slow", "n2")
		w.until(2*time.Minute, "n2 tells that it is slow", func(s ha.Snapshot) bool { return slow(s, "n2") })
		w.pass(3 * time.Minute)
		s := w.snapshot()
		if got := w.since(mark, "asked: "); len(got) != 0 || !w.runsAlone(101, "n2") {
			t.Errorf("%d orders; 101 runs on %v", len(got), w.where(101))
		}
		if stateOf(s, "n2") != ha.StorageGood || slow(s, "n1") || slow(s, "n3") {
			t.Errorf("n2 says %q; n1 slow %v, n3 slow %v", stateOf(s, "n2"), slow(s, "n1"), slow(s, "n3"))
		}
		if got := w.since(mark, "wrote "+ha.KeyReport("n2")); len(got) > 2 {
			t.Errorf("%d writes of n2's report", len(got))
		}
		f.set("", "n2")
		w.until(time.Minute, "it is no longer slow", func(s ha.Snapshot) bool { return !slow(s, "n2") })
	})
}

// TestReportsAreNotWrittenForEveryLook: a look that says what the one before said changes nothing in the store.
func TestReportsAreNotWrittenForEveryLook(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		f := w.startLooking()
		f.set("fails", "n2")
		w.pass(30 * time.Second)
		mark := w.mark()
		before := f.begun("n2")
		w.pass(2 * time.Minute)
		if got := w.since(mark, "wrote "+ha.KeyReport("n2")); len(got) != 0 {
			t.Errorf("%d writes of n2's report", len(got))
		}
		if n := f.begun("n2") - before; n < 30 {
			t.Errorf("only %d looks", n)
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

// TestWhatADeadNodeLeftIsCleared: after the proof, before the start, by the dead node's own addresses; of a guest that left a living node nothing is.
func TestWhatADeadNodeLeftIsCleared(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.guest(103, ha.QEMU, "n3", true)
		f := w.startLooking()
		f.set("fails", "n3")
		w.until(2*time.Minute, "103 has left n3", func(s ha.Snapshot) bool {
			g := s.Guests[103].Rec
			return g.Node != "n3" && g.State == ha.GuestStarted
		})
		f.mu.Lock()
		if len(f.cleared) != 0 {
			t.Errorf("cleared for one that left a living node: %q", f.cleared)
		}
		f.mu.Unlock()
		f.set("", "n3")
		w.pass(time.Minute)
		at := w.where(103)
		w.cutPower("n2")
		w.until(time.Minute, "101 runs elsewhere", func(s ha.Snapshot) bool {
			g := s.Guests[101].Rec
			return g.Node != "n2" && g.State == ha.GuestStarted
		})
		f.mu.Lock()
		defer f.mu.Unlock()
		found := false
		for _, c := range f.cleared {
			found = found || strings.HasSuffix(c, " ceph[vm-101-disk-0] [ip:10.0.5.2]")
			if !strings.Contains(c, "[ip:10.0.5.2]") || strings.HasPrefix(c, "n2") {
				t.Errorf("cleared %q", c)
			}
		}
		if !found {
			t.Errorf("cleared %q; 103 ran on %v", f.cleared, at)
		}
	})
}

// TestWhatIsMountedIsNotReleased: a file system that is left in the kernel keeps the guest where it is.
func TestWhatIsMountedIsNotReleased(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(201, ha.LXC, "n2", true)
		f := w.startLooking()
		f.mu.Lock()
		f.held = []string{"dm-1 (san-vm-201-disk-0)"}
		f.mu.Unlock()
		f.set("fails", "n2")
		w.pass(3 * time.Minute)
		s := w.snapshot()
		if g := s.Guests[201].Rec; g.State != ha.GuestRelocating || g.Node != "n2" || !strings.Contains(g.Reason, "still mounted in this node's kernel: dm-1") {
			t.Errorf("%s on %s: %s", g.State, g.Node, g.Reason)
		}
		if on := w.where(201); len(on) != 0 {
			t.Errorf("it runs on %v", on)
		}
		f.mu.Lock()
		f.held = nil
		f.mu.Unlock()
		w.until(time.Minute, "it runs elsewhere", func(s ha.Snapshot) bool {
			g := s.Guests[201].Rec
			return g.Node != "n2" && g.State == ha.GuestStarted
		})
	})
}
