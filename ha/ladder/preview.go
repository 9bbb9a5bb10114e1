package ladder

import (
	"fmt"
	"time"

	"bascule/ha"
)

// Beside is the level of a step that stands in no level: its clock runs, or its proof may come, beside all of them.
const Beside = -1

// PreviewStep is one way to a proof about an incarnation, as a walk would go it.
type PreviewStep struct {
	Level    int             // index of its level, or Beside
	Device   string          // empty beside the levels
	Kind     ha.DeviceKind   // empty beside the levels
	Action   ha.DeviceAction // the command that the device would get; empty: nothing is asked of it
	Proof    ha.ProofKind    // what it leads to
	Storages []string        // StorageRevoked: what the proof would be about
	After    time.Duration   // PoisonPill: from the message's read-back; SelfFenceElapsed: W, from the lease's end
	Why      string          // why it would bring nothing now, for people; empty: it can
	Lacks    string          // it works, but its level needs more for the proof: what is missing; empty: nothing
}

// Works says whether the step would lead to its proof, as far as is known.
func (s PreviewStep) Works() bool { return s.Why == "" && s.Lacks == "" }

// Preview says how a walk about an incarnation would go, were it silent: level by level each device in order, then what runs
// beside the levels. It asks and commands nothing, and a step that works is no proof: only Step builds those.
func Preview(plan Plan, f Facts) []PreviewStep {
	var out []PreviewStep
	person := false
	for i, level := range plan.Levels {
		for _, d := range level {
			s := preview(level, d, f)
			s.Level = i
			person = person || s.Proof == ha.OperatorConfirmed
			out = append(out, s)
		}
	}
	self := PreviewStep{Level: Beside, Proof: ha.SelfFenceElapsed, After: f.Timing.SelfFence()}
	if !f.Armed {
		self.After, self.Why = 0, fmt.Sprintf("%s has no armed watchdog: nothing makes it end itself in a known time", f.Node)
	}
	out = append(out, self, PreviewStep{Level: Beside, Proof: ha.NewBoot})
	if !person { // it counts without standing in a level, too
		out = append(out, PreviewStep{Level: Beside, Proof: ha.OperatorConfirmed})
	}
	if f.Incarnation == "" {
		for i := range out {
			out[i].Why, out[i].Lacks = fmt.Sprintf("%s has never registered: there is no boot of it to prove anything about", f.Node), ""
		}
	}
	return out
}

// preview is one device's step in its level.
func preview(level []Device, d Device, f Facts) PreviewStep {
	s := PreviewStep{Device: d.Name, Kind: d.Kind, Action: d.Kind.Action()}
	if !d.Kind.Acts() {
		s.Kind, s.Proof = ha.ManualDevice, ha.OperatorConfirmed
		return s
	}
	switch d.Kind {
	case ha.PowerDevice:
		s.Proof = ha.PowerOffConfirmed
	case ha.StorageDevice:
		s.Proof, s.Storages = ha.StorageRevoked, append([]string(nil), d.Storages...)
	case ha.PoisonDevice:
		s.Proof, s.After = ha.PoisonPill, d.MsgWait
	case ha.ResetDevice:
		s.Proof = ha.NewBoot
	}
	if s.Why = d.Unusable(f); s.Why == "" {
		s.Lacks = lacks(level, d, f)
	}
	return s
}

// lacks says what a level needs for its proof besides device d, as levelOff and levelPoisoned judge it: all devices of the kind, and for
// power no person in the level. Storage devices prove each for itself, and a reset leads to its proof alone.
func lacks(level []Device, d Device, f Facts) string {
	if d.Kind == ha.StorageDevice || d.Kind == ha.ResetDevice {
		return ""
	}
	for _, o := range level {
		switch {
		case d.Kind == ha.PowerDevice && !o.Kind.Acts():
			return fmt.Sprintf("%s stands in the same level, so power alone proves nothing there: put it into a level of its own", o.Name)
		case o.Kind == d.Kind && o.Name != d.Name && o.Unusable(f) != "":
			return fmt.Sprintf("the level proves nothing without %s", o.Name)
		}
	}
	return ""
}
