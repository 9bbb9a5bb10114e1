package leader

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

// A node that is fenced again and again is flapping: after the third time within an hour it may come back but is given no guests until
// its operator has looked at it (hactl undrain), or the hour is over. The times are the leaders' wall clocks: a step of one costs a
// guest a place or a node a chance, never safety.
const (
	quarantineAfter = 3
	quarantineSpan  = time.Hour
)

// countFence notes a fencing that begins to be one. The next boot of a node that left in order is proof, too, and no flapping. Nor is
// that everything was down: where the mains fail three times in an hour, no node would be left to run anything.
func (r *round) countFence(rec *ha.NodeRecord) {
	if rec.State == ha.NodeFenced || rec.State == ha.NodeOffline || rec.State == ha.NodeMaintenance || r.downWithAll(rec) {
		return
	}
	rec.Fences = append(r.recentFences(rec), r.Wall.UTC())
}

func (r *round) recentFences(rec *ha.NodeRecord) []time.Time {
	return slices.DeleteFunc(slices.Clone(rec.Fences), func(t time.Time) bool {
		age := r.Wall.Sub(t)
		return age > quarantineSpan || age < -quarantineSpan
	})
}

// flapping says whether a node that works again is to be given no guests.
func (r *round) flapping(rec *ha.NodeRecord) bool {
	return len(r.recentFences(rec)) >= quarantineAfter
}

// works puts a node that is in order into its working state.
func (r *round) works(rec *ha.NodeRecord, why string) {
	switch {
	case rec.Drain:
		r.draining(rec)
	case r.flapping(rec):
		r.setNode(rec, ha.NodeQuarantined, fmt.Sprintf("fenced %d times within %v: it is given no guests; find out why, then hactl undrain %s", len(r.recentFences(rec)), quarantineSpan, rec.Node))
	case rec.State != ha.NodeOnline:
		r.setNode(rec, ha.NodeOnline, why)
	}
}
