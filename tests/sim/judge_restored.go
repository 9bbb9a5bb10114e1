package sim

import (
	"strings"

	"bascule/ha"
)

// What the store took before it was restored, and whose answer has only just come, is under way: it was right when it was asked. That takes
// more than a second with slow links and disks, and never longer than a lease's time, in which such a call ends.

// underWay says whether the store that is gone took the announcement of a start. Its epoch is not taken note of before it has ended.
func (j *Judge) underWay(d *Daemon, id ha.VMID) bool {
	return j.saidBefore(ha.KeyGuestReport(d.self, id))
}

func (j *Judge) saidBefore(key string) bool {
	at, ok := j.announced[key]
	return ok && at <= j.restoredAt && j.w.loop.Now()-at < j.w.spec.Timing.LeaseTTL
}

// saysDisarmed notes when a node last said that it leaves and that its watchdog ends it no more.
func (j *Judge) saysDisarmed(key string, truth *ha.Snapshot) {
	if n, ok := strings.CutPrefix(key, ha.PrefixReport); ok {
		if rep := truth.Reports[ha.NodeName(n)].Rec; rep.Leaving && !rep.Armed {
			j.announced[key] = j.w.loop.Now()
		}
	}
}

// disarms is R3: before any disarming the node's record says so.
func (j *Judge) disarms(d *Daemon) {
	rep := j.w.store.Truth().Reports[d.self].Rec
	if rep.Incarnation == d.cfg.Incarnation && rep.Armed && !j.saidBefore(ha.KeyReport(d.self)) {
		j.violate("R3", "%s disarms its watchdog while its record says armed", d.h.Name)
	}
}
