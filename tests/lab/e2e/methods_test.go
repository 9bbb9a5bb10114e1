//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/tests/lab"
	"bascule/tests/lab/bench"
)

// Each way of fencing recovers a lost node's guests by its own proof, and never before that proof may exist: what `make demo` shows.
// Redfish is in all the other tests.
func TestEachFencing(t *testing.T) {
	for _, fencing := range []string{lab.IPMI, lab.SBD, lab.Watchdog} {
		t.Run(fencing, func(t *testing.T) {
			// halab is the world: a file is an sbd disk in lab builds only, and this program is none.
			b := up(t, lab.Options{Fencing: fencing, Executable: filepath.Join(bin(), "..", "halab")})
			var out bytes.Buffer
			err := bench.Demo(b.ctx, b.Lab, &out)
			t.Logf("%s", &out)
			b.must(err)
		})
	}
}

// A node whose daemon hangs is switched off by IPMI while it still has power.
func TestIPMISwitchesAHungNodeOff(t *testing.T) {
	// Without a watchdog: its time would be the first proof, since corosync still lists the node for a while (daemon_grace).
	b := up(t, lab.Options{Fencing: lab.IPMI, Watchdog: "none"})
	b.within(time.Minute, "every node can be fenced", b.Fenceable)
	victim := b.plain()
	guests := b.guestsOn(victim)
	stopped := time.Now()
	b.must(b.Signal(b.ctx, victim, "basculed", "STOP"))
	b.within(time.Minute, victim+" has no power", func(context.Context) error {
		if !b.powerless(victim) {
			return errors.New("it has")
		}
		return nil
	})
	took := b.within(time.Minute, "its guests run elsewhere", b.runOnce(guests, victim))
	if proof := b.proofOf(victim, stopped); !strings.HasPrefix(proof, "PowerOffConfirmed") {
		t.Errorf("%s was fenced by %s", victim, proof)
	}
	t.Logf("%s was off %.2f s after its daemon stopped; its guests %v ran elsewhere %s later", victim, time.Since(stopped).Seconds()-took.Seconds(), guests, took)
}
