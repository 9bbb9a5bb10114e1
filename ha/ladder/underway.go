package ladder

import (
	"slices"

	"bascule/ha"
)

// Begun says whether anything was asked of a device in this fencing: from then on nothing holds it up any more.
func Begun(r *ha.FenceRecord) bool {
	return r != nil && (len(r.Commanded) > 0 || len(r.Proofs) > 0 || len(r.Restored) > 0)
}

// UnderWay says whether a walk still waits for what a device was told: the answer, or the effect of what it accepted. A walk whose devices
// have refused or are silent, have done all they can, or that waits for time or a person, only waits. How long an effect may be waited for
// is the caller's business: a device that lies is under way for ever.
func UnderWay(p Plan, r *ha.FenceRecord, m Memory) bool {
	if r == nil || m.Incarnation != r.Incarnation {
		return Begun(r) // begun by an earlier leader, and not looked at yet
	}
	for _, level := range p.Levels {
		if slices.ContainsFunc(level, func(d Device) bool { return commanded(r, d) && underWay(d, m.Devices[d.Name]) }) {
			return true
		}
	}
	return false
}

func underWay(d Device, m DeviceMemory) bool {
	switch {
	case m.InFlight == d.Kind.Action():
		return true
	case m.Sent == 0: // told by an earlier leader: the first answer says how it stands
		return m.LastAnswer == 0
	case m.Accepted == 0:
		return false
	}
	switch d.Kind {
	case ha.StorageDevice:
		return !within(d.Storages, m.Revoked)
	case ha.PoisonDevice:
		return m.PillSince == 0 // from then on it is a matter of time
	case ha.ResetDevice:
		return false // so it is from the answer on
	}
	return m.FirstOff == 0
}
