package leader

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

// Device checks: how often a healthy device is looked at, and how soon again after a failure.
const (
	checkEvery = 2 * time.Minute
	checkRetry = 2 * time.Second
)

// checkDevices reads each switching device of a living node now and then: a device may prove something about an
// incarnation only when it read "on" and named the right machine during that incarnation's live lease (R3), and one that would
// not work today is shown today.
func (r *round) checkDevices(rec *ha.NodeRecord, mem *NodeMemory) {
	rep, reg := r.registered(rec.Node)
	if !reg || rep.Incarnation != rec.Incarnation || rec.State == ha.NodeFencing || rec.State == ha.NodeFenced || rec.State == ha.NodeSuspect {
		mem.Checks = nil
		return
	}
	next := map[string]CheckMemory{}
	for _, level := range r.Plans[rec.Node].Levels {
		for _, d := range level {
			if _, seen := next[d.Name]; d.Switches && !seen {
				next[d.Name] = r.checkDevice(rec, rep, d.Name, mem.Checks[d.Name])
			}
		}
	}
	mem.Checks = next
}

func (r *round) checkDevice(rec *ha.NodeRecord, rep ha.NodeReport, name string, m CheckMemory) CheckMemory {
	if m.Incarnation != rec.Incarnation {
		m = CheckMemory{Incarnation: rec.Incarnation, Next: r.now}
	}
	for _, a := range r.Readings {
		if m.InFlight && a.Device == name && a.Node == rec.Node && a.Incarnation == rec.Incarnation && a.Action == ha.DeviceRead {
			m.InFlight = false
			m.Next = r.now.Add(checkEvery)
			c := judgeDevice(name, rep, a, previous(rec, name))
			if !c.Identified(rec.Incarnation) || c.Problem != "" {
				m.Next = r.now.Add(checkRetry)
			}
			setCheck(rec, c)
		}
	}
	if !previous(rec, name).Identified(rec.Incarnation) { // also when an answer was lost with a commit
		m.Next = min(m.Next, r.now.Add(checkRetry))
	}
	if !m.InFlight && r.now >= m.Next {
		m.InFlight = true
		r.reads = append(r.reads, ha.DeviceCommand{Device: name, Node: rec.Node, Incarnation: rec.Incarnation,
			Action: ha.DeviceRead, Term: r.Term, Timeout: r.Timing.DeviceTimeout})
	}
	if !m.InFlight {
		r.wakeAt(m.Next)
	}
	return m
}

// judgeDevice turns a reading of a living node's device into its check. An identification stays valid for the
// incarnation when a later reading merely fails; one of another machine ends it.
func judgeDevice(name string, rep ha.NodeReport, a ha.DeviceReading, old ha.DeviceCheck) ha.DeviceCheck {
	c := ha.DeviceCheck{Device: name, Incarnation: rep.Incarnation, Confirmed: old.Confirmed}
	if old.Incarnation == rep.Incarnation {
		c.ReadOn, c.UUIDMatched = old.ReadOn, old.UUIDMatched
	}
	switch {
	case a.Problem != "":
		c.Problem = a.Problem
	case a.SystemUUID == "" && c.Confirmed == "":
		c.Problem = fmt.Sprintf("%s does not tell which machine it switches, so it proves nothing; test it once as an operator", name)
	case a.SystemUUID != "" && !ha.SameUUID(a.SystemUUID, rep.SystemUUID):
		c.ReadOn, c.UUIDMatched = false, false
		c.Problem = fmt.Sprintf("%s belongs to another machine: it has system UUID %s, %s has %s; correct its address", name, a.SystemUUID, rep.Node, rep.SystemUUID)
	case a.Power != ha.PowerOn:
		c.ReadOn = c.ReadOn && (a.Power != ha.PowerOff || old.Problem == "") // twice "off" of a living machine: not its device
		c.Problem = fmt.Sprintf("%s reads %q although %s is alive: it is not believed; check which machine it belongs to", name, a.Power, rep.Node)
	default:
		c.ReadOn, c.UUIDMatched = true, a.SystemUUID != ""
	}
	return c
}

func previous(rec *ha.NodeRecord, name string) ha.DeviceCheck {
	for _, c := range rec.Devices {
		if c.Device == name {
			return c
		}
	}
	return ha.DeviceCheck{}
}

func setCheck(rec *ha.NodeRecord, c ha.DeviceCheck) {
	i := slices.IndexFunc(rec.Devices, func(d ha.DeviceCheck) bool { return d.Device == c.Device })
	if i < 0 {
		rec.Devices = append(rec.Devices, c)
		return
	}
	rec.Devices[i] = c
}
