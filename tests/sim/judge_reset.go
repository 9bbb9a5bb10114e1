package sim

import (
	"slices"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// maxResets is how often a boot may be told to reset.
const maxResets = 3

// told is a reset that was sent about a boot and that may be carried out.
type told struct {
	device string
	node   ha.NodeName
	inc    ha.Incarnation
	at     time.Duration
}

// resets is R4 for what cannot be read back: a machine that may still be booting is not reset again, by whichever leader, and none for ever.
func (j *Judge) resets(d *Daemon, c ha.DeviceCommand) {
	if c.Action != ha.DeviceReset || j.mustEpoch != 0 { // an older store has forgotten them
		return
	}
	times, last := 0, time.Duration(0)
	for _, t := range j.toldResets {
		if t.device == c.Device && t.inc == c.Incarnation {
			times, last = times+1, max(last, t.at)
		}
	}
	now := j.w.loop.Now()
	switch {
	case times >= maxResets:
		j.violate("R4", "%s has %s (boot %s) reset %d times and once more", d.h.Name, c.Node, c.Incarnation, times)
	case times > 0 && now-last < roughly(j.w.spec.Timing.BootTime):
		j.violate("R4", "%s has %s (boot %s) reset %v after the reset before: it may still be booting", d.h.Name, c.Node, c.Incarnation, now-last)
	}
	j.toldResets = append(j.toldResets, told{c.Device, c.Node, c.Incarnation, now})
}

// fenceOver forgets the resets of a fencing that is over: the node has answered itself, and what its service does later nobody can know.
func (j *Judge) fenceOver(key string) {
	if n, ok := strings.CutPrefix(key, ha.PrefixFence); ok {
		j.toldResets = slices.DeleteFunc(j.toldResets, func(t told) bool { return t.node == ha.NodeName(n) })
	}
}

// resetAnswered forgets a reset of which its sender knows that nothing comes of it.
func (j *Judge) resetAnswered(r ha.DeviceReading) {
	if r.Action != ha.DeviceReset || r.Problem == "" || r.Perhaps {
		return
	}
	for i := len(j.toldResets) - 1; i >= 0; i-- {
		if t := j.toldResets[i]; t.device == r.Device && t.inc == r.Incarnation {
			j.toldResets = slices.Delete(j.toldResets, i, i+1)
			return
		}
	}
}

// lateReset says whether a reset service has met another boot than the one that its command was about: what it has accepted nobody takes
// back. That the boot was not known when the command was stored is the audit's to see.
func (j *Judge) lateReset(by string) bool {
	d := j.w.machine.Device(by)
	return d != nil && d.late
}

// resetIntents is R3 and R4: a reset is stored only while the store knows no other boot of the node, and rests on that.
func (a *audit) resetIntents(x Applied, truth *ha.Snapshot, n ha.NodeName) {
	f, times := truth.Fences[n].Rec, 0
	for _, r := range f.Resets {
		times += r.Times
	}
	before := a.resets[n]
	a.resets[n] = resetSight{f.Incarnation, times}
	if times == 0 || before.inc == f.Incarnation && times <= before.times || a.restored() { // what an older store says is nobody's decision
		return
	}
	a.restsOnNode(x, n, "it is to be reset")
	if l, held := truth.Leases[n]; held && l.Rec.Incarnation != f.Incarnation {
		a.j.violate("R3", "%s is to be reset because of boot %s, and has boot %s by now", n, f.Incarnation, l.Rec.Incarnation)
	}
}

// resetSight is how often a boot was told to reset, by its fence record.
type resetSight struct {
	inc   ha.Incarnation
	times int
}

// resetLevel is the first level with a reset service that works and was not told as often as it may be.
func (a *audit) resetLevel(n ha.NodeName, rec ha.NodeRecord, f ha.FenceRecord) (int, bool) {
	for i, level := range a.w.spec.Plans[n].Levels {
		for _, d := range level {
			if d.Kind == ha.ResetDevice && shown(rec, d.Name, false) && f.Told(d.Name) < maxResets {
				return i, true
			}
		}
	}
	return 0, false
}

// resetTakes is what lies between a reset that is due and the next boot's registration: the pause after one that may have been lost, the
// service's time, the boot, the daemon's start and its quiet time (a lost answer is waited for first).
func (a *audit) resetTakes(h *Host) time.Duration {
	t := a.w.spec.Timing
	return ladder.AnswerLost(t, 0).Sub(0) + t.BootTime + resetLatest + h.spec.BootTime + 2*time.Second + t.QuietTime(t.LeaseTTL)
}
