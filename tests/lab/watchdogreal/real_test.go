//go:build fencingreal

package watchdogreal

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/guard"
	"bascule/ha/node"
)

// outerVar is the PID namespace of the test. The reset refuses to be in it.
const outerVar = "BASCULE_OUTER_PID_NS"

func TestMain(m *testing.M) {
	if outer := os.Getenv(outerVar); outer != "" {
		reset(outer)
	}
	os.Exit(m.Run())
}

// reset is the watchdog's bite. In a child PID namespace reboot(2) ends that namespace and nothing else.
func reset(outer string) {
	here, err := os.Readlink("/proc/self/ns/pid")
	first, firstErr := os.Readlink("/proc/1/ns/pid")
	if err != nil || firstErr != nil || here == outer || here != first {
		fmt.Println("not in a PID namespace of a host:", here, first, outer, err, firstErr)
		os.Exit(3)
	}
	fmt.Println("reset:", syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART))
	os.Exit(4)
}

// permit gives a permit for this long and arms; it returns the permit's end.
func (h *host) permit(length time.Duration) time.Time {
	h.t.Helper()
	end := time.Now().Add(length)
	if n := h.guests(); n != 1 {
		h.t.Fatalf("%d guests run", n)
	}
	if _, err := h.guard.Permit(h.t.Context(), node.GuardPermit{Deadline: guard.Boottime().Add(length), Guests: []node.GuestRef{{ID: 101, Kind: ha.QEMU}}}); err != nil {
		h.t.Fatal(err)
	}
	st, err := h.guard.Arm(h.t.Context())
	if err != nil || !st.Armed || st.Driver != "Lab FUSE watchdog" || st.Watchdog.Timeout != 9*time.Second {
		h.t.Fatalf("%+v, %v", st, err)
	}
	return end
}

func (h *host) status() guard.Status {
	h.t.Helper()
	st, err := h.guard.Status(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return st
}

func TestRealDevice(t *testing.T) {
	b := newBench(t)
	t.Run("hosts", func(t *testing.T) { // together: they wait most of the time
		t.Run("a guest that cannot be killed", func(t *testing.T) {
			t.Parallel()
			h := b.host(t, 1)
			h.freeze("FROZEN")
			end := h.permit(4 * time.Second)
			w := h.status().Timing.SelfFence()
			since := h.ends(30 * time.Second).Sub(end)
			t.Logf("the host was gone %v after its permit's end; W is %v", since.Round(time.Millisecond), w)
			if since < 1500*time.Millisecond || since > w {
				t.Errorf("not between the end of kill_time and W\n%s", h.log())
			}
			if n := h.guests(); n != 1 { // only frozen was it out of the guard's reach
				t.Errorf("%d guests are left", n)
			}
		})
		t.Run("a clean end", func(t *testing.T) {
			t.Parallel()
			h := b.host(t, 2)
			end := h.permit(4 * time.Second)
			h.lives(time.Until(end.Add(h.status().Timing.SelfFence() + 2*time.Second)))
			if st := h.status(); st.Phase != node.GuardClean || !st.Armed {
				t.Errorf("%+v", st)
			}
			if n := h.guests(); n != 0 {
				t.Errorf("%d guests run", n)
			}
			if st, err := h.guard.Disarm(t.Context()); err != nil || st.Armed {
				t.Fatalf("%+v, %v", st, err)
			}
			h.signal("guard", "KILL") // and nothing feeds any more
			h.lives(11 * time.Second)
		})
		t.Run("the guard is killed", func(t *testing.T) {
			t.Parallel()
			h := b.host(t, 3)
			h.permit(4 * time.Second)
			h.lives(3 * time.Second)
			killed := time.Now()
			h.signal("guard", "KILL")
			after := h.ends(30 * time.Second).Sub(killed)
			t.Logf("the host was gone %v after the guard was killed; the device keeps 9s, fed every 2s", after.Round(time.Millisecond))
			if after < 6500*time.Millisecond || after > 10*time.Second {
				t.Errorf("not a time-out after the last feeding\n%s", h.log())
			}
		})
	})
}
