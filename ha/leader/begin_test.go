package leader

import (
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// TestADeputysReadingsCount: what its own node has just read of a member's power counts for a leader that begins; what is old, or of another
// boot, does not, and a single "off" is half a proof.
func TestADeputysReadingsCount(t *testing.T) {
	for name, c := range map[string]struct {
		first, last time.Duration // before the leadership's begin: the first reading of "off", the last answer
		confirmed   bool
		of          ha.NodeName // whose boot the walk was about
		within      int         // rounds until the node is fenced
		not         int         // rounds in which it is not
	}{
		"twice off":              {first: 1500 * time.Millisecond, last: 400 * time.Millisecond, confirmed: true, of: "n2", within: 1},
		"once off, a second ago": {first: time.Second, last: time.Second, of: "n2", within: 4},
		"once off, just now":     {first: 100 * time.Millisecond, last: 100 * time.Millisecond, of: "n2", not: 8, within: 14},
		"too old":                {first: 2 * time.Minute, last: time.Minute, confirmed: true, of: "n2", not: 9, within: 20},
		"of another boot":        {first: 1500 * time.Millisecond, last: 400 * time.Millisecond, confirmed: true, of: "n3", not: 9, within: 20},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.guest(101, ha.QEMU, "n2")
			w.run(50)
			w.die("n2")
			d := ladder.DeviceMemory{FirstOff: w.now.Add(-c.first), LastAnswer: w.now.Add(-c.last), LastRead: w.now.Add(-c.last), Confirmed: c.confirmed, LastPower: ha.PowerOff,
				InFlight: ha.DeviceRead, Since: w.now.Add(-c.last)}
			w.takeOver()
			w.state = Begin(w.now, w.tm, map[ha.NodeName]ladder.Memory{"n2": {Incarnation: boot(c.of), Devices: map[string]ladder.DeviceMemory{"n2-bmc": d}}})
			if c.not > 0 {
				w.run(c.not)
				if s := w.node("n2").State; s == ha.NodeFenced {
					t.Fatalf("fenced within %d rounds", c.not)
				}
			}
			w.run(c.within - c.not)
			w.wantNode("n2", ha.NodeFenced)
			if p := w.node("n2").Proofs; len(p) != 1 || p[0].Kind() != ha.PowerOffConfirmed || p[0].Incarnation() != boot("n2") {
				t.Fatalf("proofs %+v", p)
			}
		})
	}
}
