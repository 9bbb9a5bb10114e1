package main

import (
	"fmt"
	"slices"
	"strings"

	"bascule/fencing"
	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/ladder"
)

// tell puts what the devices said beside what the ladder would do with them.
func (t fenceTester) tell(s subject, answers map[string]ha.DeviceReading) api.FenceTestNode {
	problems := map[string]string{}
	for _, level := range s.plan.Levels {
		for _, d := range level {
			if p := s.problem(d, answers); p != "" { // what does not work today counts as if it had never been seen in order
				problems[d.Name] = p
				s.facts.Checks = slices.DeleteFunc(s.facts.Checks, func(c ha.DeviceCheck) bool { return c.Device == d.Name })
				s.facts.Checks = append(s.facts.Checks, ha.DeviceCheck{Device: d.Name, Kind: kindOnRecord(d), Incarnation: s.facts.Incarnation, Problem: p})
			}
		}
	}
	n := api.FenceTestNode{Node: s.facts.Node, State: s.state, Incarnation: s.facts.Incarnation, Levels: [][]api.FenceTestDevice{}}
	for _, step := range ladder.Preview(s.plan, s.facts) {
		switch {
		case step.Proof == ha.SelfFenceElapsed:
			n.SelfFence = api.FenceTestSelf{Armed: step.Works(), Watchdog: s.watchdog, After: step.After.Seconds(), Why: step.Why}
		case step.Level != ladder.Beside:
			for len(n.Levels) <= step.Level {
				n.Levels = append(n.Levels, []api.FenceTestDevice{})
			}
			n.Levels[step.Level] = append(n.Levels[step.Level], t.device(s, step, answers, problems[step.Device]))
		}
	}
	return n
}

func (t fenceTester) device(s subject, step ladder.PreviewStep, answers map[string]ha.DeviceReading, problem string) api.FenceTestDevice {
	d := api.FenceTestDevice{Name: step.Device, Method: t.methods[step.Device], Kind: step.Kind, Would: string(step.Action), Problem: problem,
		Usable: step.Works(), Why: step.Why + step.Lacks, Proof: step.Proof, Storages: step.Storages, After: step.After.Seconds()}
	if step.Action == "" {
		d.Method, d.Would = "manual", "by hand"
	}
	r, read := answers[step.Device]
	if read {
		d.Fault = fencing.FaultOf(r.Problem)
		d.Read, d.Took, d.Answer = true, r.Answered.Sub(r.Asked).Milliseconds(), answer(step, s, r)
	}
	if read && problem == "" && step.Why != "" && s.alive {
		d.Why = "it answers well now, but may not be used yet: " + step.Why
	}
	return d
}

// kindOnRecord is a device's kind as checks have it: empty for power.
func kindOnRecord(d ladder.Device) ha.DeviceKind {
	if d.Kind == ha.PowerDevice {
		return ""
	}
	return d.Kind
}

// problem says what is wrong with what a device said just now, or why it was not asked. Of a living node it must show just that.
func (s subject) problem(d ladder.Device, answers map[string]ha.DeviceReading) string {
	r, read := answers[d.Name]
	switch {
	case !d.Kind.Acts():
		return ""
	case s.busy():
		return "not asked: the leader needs it now"
	case !read:
		return "not asked"
	case r.Problem != "":
		return r.Problem
	case d.Kind == ha.PowerDevice && r.SystemUUID != "" && !ha.SameUUID(r.SystemUUID, s.facts.SystemUUID):
		return s.mismatch(r.SystemUUID)
	case s.alive:
		return s.lies(d, r)
	}
	return ""
}

func (s subject) mismatch(shown string) string {
	n, has := s.facts.Node, s.facts.SystemUUID
	switch {
	case !ha.ValidUUID(has):
		return fmt.Sprintf("it shows system UUID %s, but %s has published %q, which identifies no machine: the device cannot be recognised by it", shown, n, has)
	case !ha.ValidUUID(shown):
		return fmt.Sprintf("it shows system UUID %q, which identifies no machine: it cannot be recognised as the device of %s", shown, n)
	}
	return fmt.Sprintf("it belongs to another machine: it shows system UUID %s, %s has %s; correct its address", shown, n, has)
}

// lies says how a device contradicts that the node lives.
func (s subject) lies(d ladder.Device, r ha.DeviceReading) string {
	n := s.facts.Node
	switch d.Kind {
	case ha.PowerDevice:
		confirmed := func(c ha.DeviceCheck) bool { return c.Device == d.Name && c.Confirmed != "" }
		if r.SystemUUID == "" && !slices.ContainsFunc(s.facts.Checks, confirmed) {
			return fmt.Sprintf("it does not tell which machine it switches, and nobody has confirmed a test that it is %s", n)
		}
		if r.Power != ha.PowerOn {
			return fmt.Sprintf("it reads %q although %s seems alive: unless that died this very moment, it is another machine's device", r.Power, n)
		}
	case ha.StorageDevice:
		if len(s.facts.Clients) == 0 {
			return "" // without addresses it was asked only whether it works; Unfit says the rest
		}
		for _, name := range d.Storages {
			if !slices.Contains(r.Storages, ha.StorageReading{Storage: name, Access: ha.AccessOpen}) {
				return fmt.Sprintf("it does not find the access of %s to %s open although it is alive: see whether its guests there can write; if they can, correct the device", n, name)
			}
		}
	case ha.PoisonDevice:
		switch {
		case r.Disks <= 0:
			return fmt.Sprintf("it found no disk with a slot for %s: prepare the disks", n)
		case r.Pills > 0:
			return fmt.Sprintf("it finds a message for %s on %d of %d disks although it is alive: see whether it watches these disks, then clear the slot", n, r.Pills, r.Disks)
		}
	}
	return ""
}

// answer is what a device said, for people.
func answer(step ladder.PreviewStep, s subject, r ha.DeviceReading) string {
	if r.Problem != "" {
		return ""
	}
	switch step.Kind {
	case ha.PowerDevice:
		switch {
		case r.SystemUUID == "":
			return string(r.Power) + ", tells no system UUID"
		case ha.SameUUID(r.SystemUUID, s.facts.SystemUUID):
			return string(r.Power) + ", right system UUID"
		}
		return string(r.Power) + ", another system UUID"
	case ha.StorageDevice:
		return storagesAnswer(r)
	case ha.PoisonDevice:
		return fmt.Sprintf("message on %d of %d disks", r.Pills, r.Disks)
	case ha.ResetDevice:
		return "ready to reset it"
	}
	return ""
}

// storagesAnswer groups a storage device's words: "open: ceph-vm, cephfs".
func storagesAnswer(r ha.DeviceReading) string {
	var parts []string
	for _, access := range []ha.StorageAccess{ha.AccessOpen, ha.AccessRevoked, ha.AccessUnknown} {
		var of []string
		for _, s := range r.Storages {
			if s.Access == access {
				of = append(of, s.Storage)
			}
		}
		if len(of) > 0 {
			parts = append(parts, string(access)+": "+strings.Join(of, ", "))
		}
	}
	if len(parts) == 0 {
		return "nothing about any storage"
	}
	return strings.Join(parts, "; ")
}
