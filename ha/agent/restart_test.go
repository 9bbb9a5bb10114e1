package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"bascule/ha"
)

func (w *world) readFile(n ha.NodeName, name string) []byte {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.nodes[n].dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) writeFile(n ha.NodeName, name string, b []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.nodes[n].dir, name), b, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// A daemon that crashed and is restarted at once goes on with its lease, and touches no guest.
func TestRestartGoesOnWithTheLease(t *testing.T) {
	for _, n := range []ha.NodeName{"n1", "n2"} { // the leader, and another one
		inColdWorld(t, 3, func(w *world) {
			w.guest(101, ha.QEMU, n, true)
			w.startAll()
			w.settle()
			lease, term := w.agent(n).Lease().ID, w.snapshot().Term
			mark := w.mark()
			w.kill(n)
			w.pass(2 * time.Second)
			a := w.start(n)
			w.pass(30 * time.Second)
			if got := a.Lease().ID; got != lease || w.snapshot().Leases[n].Rec.Lease != lease {
				t.Errorf("%s: lease %d before, %d after", n, lease, got)
			}
			for _, what := range []string{"101 by", "ends 101", "asked: ", "sends off", "guard: the permit ended"} {
				if got := w.since(mark, what); len(got) != 0 {
					t.Errorf("%s: a restart led to %q", n, got[0].what)
				}
			}
			s := w.snapshot()
			if g := s.Guests[101].Rec; g.State != ha.GuestStarted || g.Generation != 1 || g.Node != n {
				t.Errorf("%s: 101 is %+v", n, g)
			}
			if s.Leader == nil || (s.Term == term) != (n != "n1") {
				t.Errorf("%s: term %d before, leader %+v in term %d after", n, term, s.Leader, s.Term)
			}
		})
	}
}

// What a lease.json says counts only within one boot and one unbroken permit.
func TestLeaseIsNotAdoptedAfterABreak(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"another boot":    func(w *world) { w.writeFile("n1", "lease.json", []byte(`{"lease":1,"incarnation":"boot-n1-0"}`)) },
		"garbage":         func(w *world) { w.writeFile("n1", "lease.json", []byte(`{"lease":`)) },
		"no lease":        func(w *world) { w.writeFile("n1", "lease.json", []byte(`{"lease":0,"incarnation":"boot-n1-1"}`)) },
		"permit ended":    func(w *world) { w.pass(10 * time.Second) },
		"guard forgot it": func(w *world) { w.guarding("n1", func(g *fakeGuard) { g.deadline = 0; g.phase = "idle" }) },
		"guard is down":   func(w *world) { w.guarding("n1", func(g *fakeGuard) { g.down = true }) },
	} {
		t.Run(name, func(t *testing.T) {
			inColdWorld(t, 1, func(w *world) {
				w.guest(101, ha.QEMU, "n1", true)
				w.startAll()
				w.settle()
				old := w.agent("n1").Lease().ID
				w.kill("n1")
				spoil(w)
				a := w.start("n1")
				w.pass(6 * time.Second) // the guard is asked again for as long as a permit may last
				if got := a.Lease(); got.ID == old {
					t.Errorf("lease %d was adopted", old)
				}
				w.guarding("n1", func(g *fakeGuard) { g.down = false })
				w.nodes["n1"].guard.enforce() // as a guard does when it is started
				w.until(30*time.Second, "101 runs under a new lease", func(s ha.Snapshot) bool {
					return w.runsAlone(101, "n1") && s.Leases["n1"].Rec.Lease > old && a.Lease().Valid(w.boottime())
				})
			})
		})
	}
}

// The file names the lease of now, so that the next process finds it.
func TestLeaseFileFollowsTheLease(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		a := w.agent("n1")
		first := string(w.readFile("n1", "lease.json"))
		if want := `{"lease":1,"incarnation":"boot-n1-1","ttl":5000000000}`; first != want {
			t.Fatalf("lease.json is %s, want %s", first, want)
		}
		w.mem.ExpireLease(1)
		w.until(10*time.Second, "a new lease", func(ha.Snapshot) bool { return a.Lease().ID > 1 && a.Lease().Valid(w.boottime()) })
		if got, want := string(w.readFile("n1", "lease.json")), `{"lease":2,"incarnation":"boot-n1-1","ttl":5000000000}`; got != want {
			t.Errorf("lease.json is %s, want %s", got, want)
		}
	})
}

// An adopted lease that the store has ended meanwhile gives no permit.
func TestAdoptedLeaseThatIsGone(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.startAll()
		w.settle()
		old := w.agent("n1").Lease().ID
		w.kill("n1")
		w.mem.ExpireLease(old)
		a := w.start("n1")
		w.pass(time.Second)
		if l := a.Lease(); l.ID == old {
			t.Errorf("lease %+v is gone", l)
		}
		w.until(30*time.Second, "101 runs under a new lease", func(s ha.Snapshot) bool {
			return w.runsAlone(101, "n1") && s.Leases["n1"].Rec.Lease > old
		})
	})
}
