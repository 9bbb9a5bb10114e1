package node

import (
	"bascule/ha"
)

// starting counts the other guests being started: from the last verification on, so that none waits between that and its start.
func (m *machine) starting(except ha.VMID) int {
	n := 0
	for id, g := range m.s.Guests { //arch:unordered a count
		j := g.Job
		if id != except && (j.Step == StepRecheck && j.InFlight || j.Step == StepStart || j.Step == StepConfirm) {
			n++
		}
	}
	return n
}

// soonBefore counts the guests of higher priority that are about to start: they have the slots first, unless they are held up.
func (m *machine) soonBefore(id ha.VMID) int {
	n := 0
	for o, g := range m.s.Guests { //arch:unordered a count
		j := g.Job
		switch j.Step {
		case StepUnlock, StepStorages, StepRecheck:
			if !(j.InFlight && j.Step == StepRecheck) && m.s.Records[o].Priority > m.s.Records[id].Priority && m.now.Sub(j.Since) < heldUpAfter {
				n++
			}
		}
	}
	return n
}

// hopeless says whether a start has met nothing but passing obstacles for so long (no corosync quorum here, a guard that takes no permit)
// that another node should have the guest.
func (m *machine) hopeless(j Job, rec ha.GuestRecord) bool {
	switch j.Step {
	case StepVerify, StepClaim, StepUnlock, StepStorages, StepRecheck, StepStart:
		return rec.Move == nil && j.Since != 0 && m.now.Sub(j.Since) > hopelessAfter
	}
	return false
}
