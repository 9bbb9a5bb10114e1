package leader

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// TestBrokenDeviceIsTold: people hear once of a fencing device that fails for long, and once of its end; not of one that restarts itself.
func TestBrokenDeviceIsTold(t *testing.T) {
	w := newWorld(t, 3)
	w.run(10)
	told := func() (out []string) {
		for _, x := range w.trans {
			if strings.HasPrefix(x.Subject, ha.SubjectDevice) {
				out = append(out, x.Subject+" "+x.To+": "+x.Reason)
			}
		}
		return out
	}
	want := func(when string, want ...string) {
		t.Helper()
		if got := told(); !slices.Equal(got, want) {
			t.Fatalf("%s: told %q, want %q", when, got, want)
		}
	}
	tenths := func(d time.Duration) int { return int(d / (100 * time.Millisecond)) }
	bmc := w.device["n3-bmc"]

	bmc.problem = "no route to host"
	w.run(tenths(toldAfter - 10*time.Second))
	bmc.problem = ""
	w.run(tenths(checkEvery))
	want("after a restart of the controller")

	broken, works := "fencing device n3-bmc of n3 broken: no route to host", "fencing device n3-bmc of n3 works: it answers again as it should"
	bmc.problem = "no route to host"
	w.run(tenths(checkEvery + toldAfter + 10*time.Second))
	want("after minutes", broken)
	w.run(tenths(2 * toldAfter))
	want("later", broken)
	w.takeOver()
	w.run(tenths(2 * toldAfter))
	want("under another leader", broken)
	bmc.problem = ""
	w.run(tenths(checkEvery))
	want("after its repair", broken, works)
	rec := w.node("n3")
	if c := previous(&rec, "n3-bmc"); c.Told || c.Problem != "" {
		t.Errorf("check %+v", c)
	}
}
