package leader

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// Device checks: how often a healthy device is looked at, and how soon again after a failure.
const (
	checkEvery = 2 * time.Minute
	checkRetry = 2 * time.Second

	// Reset services belong to somebody else: they count requests (Hetzner: 500 an hour), and their health changes slowly.
	resetCheckEvery = 5 * time.Minute
	resetCheckRetry = time.Minute

	// toldAfter is how long a device must fail until people hear of it: a controller that restarts itself, for an update of its firmware,
	// is back by then.
	toldAfter = 5 * time.Minute
)

// checkPauses are the pauses of a kind of device.
func checkPauses(k ha.DeviceKind) (every, retry time.Duration) {
	if k == ha.ResetDevice {
		return resetCheckEvery, resetCheckRetry
	}
	return checkEvery, checkRetry
}

// checkDevices reads each device of a living node now and then: a device may prove something about an incarnation only when
// it showed that incarnation alive during its live lease (R3), and one that would not work today is shown today.
func (r *round) checkDevices(rec *ha.NodeRecord, mem *NodeMemory) {
	rep, reg := r.registered(rec.Node)
	if !reg || rep.Incarnation != rec.Incarnation || rec.State == ha.NodeFencing || rec.State == ha.NodeFenced || rec.State == ha.NodeSuspect {
		mem.Checks = nil
		return
	}
	next := map[string]CheckMemory{}
	for _, level := range r.Plans[rec.Node].Levels {
		for _, d := range level {
			if _, seen := next[d.Name]; d.Kind.Acts() && !seen {
				next[d.Name] = r.checkDevice(rec, rep, d, mem.Checks[d.Name])
			}
		}
	}
	mem.Checks = next
}

func (r *round) checkDevice(rec *ha.NodeRecord, rep ha.NodeReport, d ladder.Device, m CheckMemory) CheckMemory {
	if m.Incarnation != rec.Incarnation {
		m = CheckMemory{Incarnation: rec.Incarnation, Next: r.now, Failing: m.Failing}
	}
	if why := d.Unfit(livingFacts(rep)); why != "" { // reading it would tell nothing
		setCheck(rec, ha.DeviceCheck{Device: d.Name, Kind: recordedKind(d), Incarnation: rec.Incarnation, Problem: d.Name + ": " + why})
		return CheckMemory{Failing: r.tellDevice(rec, d.Name, m.Failing)}
	}
	every, retry := checkPauses(d.Kind)
	for _, a := range r.Readings {
		if m.InFlight && a.Device == d.Name && a.Node == rec.Node && a.Incarnation == rec.Incarnation && a.Action == ha.DeviceRead {
			m.InFlight = false
			m.Next = r.now.Add(every)
			c := judgeDevice(d, rep, a, previous(rec, d.Name))
			if !c.Identified(rec.Incarnation) || c.Problem != "" {
				m.Next = r.now.Add(retry)
			}
			setCheck(rec, c)
			m.Failing = r.tellDevice(rec, d.Name, m.Failing)
		}
	}
	if m.InFlight {
		if lost := ladder.AnswerLost(r.Timing, m.Since); r.now < lost {
			r.wakeAt(lost)
		} else {
			m.InFlight = false
		}
	}
	if !previous(rec, d.Name).Identified(rec.Incarnation) { // also when an answer was lost with a commit
		m.Next = min(m.Next, r.now.Add(retry))
	}
	if !m.InFlight && r.now >= m.Next {
		m.InFlight, m.Since = true, r.now
		c := ha.DeviceCommand{Device: d.Name, Node: rec.Node, Incarnation: rec.Incarnation, Action: ha.DeviceRead, Term: r.Term, Timeout: r.Timing.DeviceTimeout}
		if d.Kind == ha.StorageDevice {
			c.Clients = slices.Clone(rep.Clients)
		}
		r.reads = append(r.reads, c)
	}
	if !m.InFlight {
		r.wakeAt(m.Next)
	}
	return m
}

// tellDevice notes for people, after a look, that a device has failed for long, or works again. failing is since when it failed, as of the
// look before; the new one is returned.
func (r *round) tellDevice(rec *ha.NodeRecord, name string, failing ha.Instant) ha.Instant {
	i := slices.IndexFunc(rec.Devices, func(c ha.DeviceCheck) bool { return c.Device == name })
	c := &rec.Devices[i]
	if c.Problem != "" {
		failing = cmp.Or(failing, r.now)
	} else {
		failing = 0
	}
	tell := func(from, to, why string) {
		k := ha.KeyNode(rec.Node)
		r.trans[k] = append(r.trans[k], ha.Transition{Subject: fmt.Sprintf("%s%s of %s", ha.SubjectDevice, name, rec.Node), From: from, To: to, Reason: why})
		c.Told = to == ha.DeviceBroken
	}
	switch {
	case c.Told && c.Problem == "":
		tell(ha.DeviceBroken, ha.DeviceWorks, "it answers again as it should")
	case !c.Told && c.Problem != "" && r.now >= failing.Add(toldAfter):
		tell(ha.DeviceWorks, ha.DeviceBroken, c.Problem)
	}
	return failing
}

// livingFacts are a living node's facts as far as they say whether a device can work for it. Arming comes and goes; the ladder looks
// at it when it matters.
func livingFacts(rep ha.NodeReport) ladder.Facts {
	return ladder.Facts{Node: rep.Node, Incarnation: rep.Incarnation, Clients: rep.Clients, Armed: true, Watches: rep.Watches, Timing: rep.Timing}
}

// recordedKind is a device's kind as checks have it: empty for power.
func recordedKind(d ladder.Device) ha.DeviceKind {
	if d.Kind == ha.PowerDevice {
		return ""
	}
	return d.Kind
}

// judgeDevice turns a reading of a living node's device into its check.
func judgeDevice(d ladder.Device, rep ha.NodeReport, a ha.DeviceReading, old ha.DeviceCheck) ha.DeviceCheck {
	if d.Kind == ha.PowerDevice {
		return judgePower(d.Name, rep, a, old)
	}
	c := ha.DeviceCheck{Device: d.Name, Kind: d.Kind, Incarnation: rep.Incarnation, Problem: a.Problem}
	if c.Problem == "" && d.Kind == ha.StorageDevice {
		c.Problem = storageProblem(d, rep, a)
	} else if c.Problem == "" && d.Kind == ha.PoisonDevice {
		c.Problem = poisonProblem(d, rep, a)
	}
	c.ReadOn = c.Problem == ""
	return c
}

// storageProblem: of a living node every storage must literally read open, for every address that it published.
func storageProblem(d ladder.Device, rep ha.NodeReport, a ha.DeviceReading) string {
	for _, addr := range rep.Clients {
		if !slices.Contains(a.Clients, addr) {
			return fmt.Sprintf("%s did not answer about %s, from where %s writes", d.Name, addr, rep.Node)
		}
	}
	for _, s := range d.Storages {
		open := slices.Contains(a.Storages, ha.StorageReading{Storage: s, Access: ha.AccessOpen})
		if slices.Contains(a.Storages, ha.StorageReading{Storage: s, Access: ha.AccessRevoked}) {
			return fmt.Sprintf("%s reads the access of %s to %s as revoked although it is alive: give it back (or correct the device), its guests cannot write", d.Name, rep.Node, s)
		}
		if !open {
			return fmt.Sprintf("%s does not say whether %s can write to %s: check that the device serves that storage", d.Name, rep.Node, s)
		}
	}
	return ""
}

// poisonProblem: a living node has a slot, and no message waits in it.
func poisonProblem(d ladder.Device, rep ha.NodeReport, a ha.DeviceReading) string {
	switch {
	case a.Disks <= 0:
		return fmt.Sprintf("%s found no disk with a slot for %s", d.Name, rep.Node)
	case a.Pills > 0:
		return fmt.Sprintf("%s finds a message in the slot of %s on %d of %d disks although it is alive: does it watch these disks? Then clear the slot", d.Name, rep.Node, a.Pills, a.Disks)
	}
	return ""
}

// judgePower turns a power reading of a living node into its device's check. An identification stays valid for the
// incarnation when a later reading merely fails; one of another machine ends it. A person's test stays valid for the machine.
func judgePower(name string, rep ha.NodeReport, a ha.DeviceReading, old ha.DeviceCheck) ha.DeviceCheck {
	c := ha.DeviceCheck{Device: name, Incarnation: rep.Incarnation}
	if old.Kind == "" && ha.SameUUID(old.ConfirmedUUID, rep.SystemUUID) { // the machine that was tested
		c.Confirmed, c.ConfirmedUUID = old.Confirmed, old.ConfirmedUUID
	}
	if old.Incarnation == rep.Incarnation && old.Kind == "" {
		c.ReadOn, c.UUIDMatched = old.ReadOn, old.UUIDMatched
	}
	switch {
	case a.Problem != "":
		c.Problem = a.Problem
	case a.SystemUUID == "" && c.Confirmed == "":
		c.Problem = fmt.Sprintf("%s does not tell which machine it switches, so it proves nothing; switch %s off and on with it once, and if it was this machine: hactl fence test %s --confirm %s", name, rep.Node, rep.Node, name)
	case a.SystemUUID != "" && !ha.SameUUID(a.SystemUUID, rep.SystemUUID):
		c.ReadOn, c.UUIDMatched, c.Confirmed, c.ConfirmedUUID = false, false, "", ""
		c.Problem = fmt.Sprintf("%s belongs to another machine: it has system UUID %s, %s has %s; correct its address", name, a.SystemUUID, rep.Node, rep.SystemUUID)
	case a.Power != ha.PowerOn:
		if a.Power == ha.PowerOff && old.Problem != "" { // twice "off" of a living machine: not its device, whoever tested it
			c.ReadOn, c.Confirmed, c.ConfirmedUUID = false, "", ""
		}
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
	c.Told = rec.Devices[i].Told
	rec.Devices[i] = c
}
