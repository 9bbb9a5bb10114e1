package leader

import (
	"fmt"
	"testing"
	"time"

	"bascule/ha"
)

// Three ends within an hour are too many; three reboots in order are an afternoon's upgrades.
func TestWhatCountsAsFlapping(t *testing.T) {
	reboot := func(w *world, inc ha.Incarnation) {
		w.boot("n2", inc)
		w.run(20)
	}
	for name, tt := range map[string]struct {
		ends  func(w *world)
		pause time.Duration
		want  ha.NodeState
	}{
		"it dies":                {func(w *world) { w.die("n2"); w.run(30) }, time.Minute, ha.NodeQuarantined},
		"it dies, rarely":        {func(w *world) { w.die("n2"); w.run(30) }, 40 * time.Minute, ha.NodeOnline},
		"it is reset":            {func(w *world) {}, time.Minute, ha.NodeQuarantined},
		"it is stopped in order": {func(w *world) { w.leaves("n2"); w.run(30) }, time.Minute, ha.NodeOnline},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			for i := range 3 {
				tt.ends(w)
				w.device["n2-bmc"].power = ha.PowerOn
				reboot(w, ha.Incarnation(fmt.Sprintf("boot-n2-%d", i)))
				w.now = w.now.Add(tt.pause)
				w.run(3)
			}
			w.wantNode("n2", tt.want)
		})
	}
}

// leaves is an orderly stop of a node's daemon and machine, with nothing protected running.
func (w *world) leaves(n ha.NodeName) {
	w.report(n, func(r *ha.NodeReport) { r.Leaving = true })
	w.del(ha.KeyLease(n))
	w.gossip[n] = ha.GossipView{Known: true, Leaving: true}
	w.device[string(n)+"-bmc"].power = ha.PowerOff
}

func TestUndrainEndsAQuarantine(t *testing.T) {
	w := newWorld(t, 3)
	for i := range 3 {
		w.die("n2")
		w.run(30)
		w.device["n2-bmc"].power = ha.PowerOn
		w.boot("n2", ha.Incarnation(fmt.Sprintf("boot-n2-%d", i)))
		w.run(20)
	}
	w.wantNode("n2", ha.NodeQuarantined)
	w.request(ha.RequestUndrain, "n2")
	w.run(3)
	w.wantNode("n2", ha.NodeOnline)
}
