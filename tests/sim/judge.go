package sim

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// Judge knows the physical truth and looks at it after every event. What it finds is a violation of a rule of DESIGN part 3, or of the
// promise that everything runs again when the faults are over.
type Judge struct {
	w          *World
	epoch      uint64 // of the machine room, last looked at
	violations []Violation
	res        Result

	guests     map[ha.VMID]ha.GuestRecord   // as last stored
	lost       map[ha.VMID]time.Duration    // since when a guest that should run makes no progress
	began      map[ha.VMID]time.Duration    // when a process of it last began to run
	lastHost   map[ha.VMID]string           // where it last began or ran
	trouble    map[string]time.Duration     // by host: until when a fault is a reason for what happens to it
	permitted  map[string]bool              // by host: its guard has a permit in force and the machine is not standing still
	permitFrom map[string]time.Duration     // by host: since when it has been so
	wanted     map[string]time.Duration     // by host: an operator asked for its fencing
	lied       map[string]bool              // by node: a device of it lied in this run
	managed    map[ha.VMID]time.Duration    // since when Proxmox's own HA manages it
	explain    bool                         // the trace tells why something is stuck
	broken     map[ha.VMID]bool             // a fault was aimed at the guest itself: it may end in error
	states     map[ha.NodeName]ha.NodeState // of the nodes, as last stored, and since when
	stateAt    map[ha.NodeName]time.Duration
	announced  map[string]time.Duration // when a start was last announced, or a disarming, by its report's key
	rev        int64                    // of the store, before the last write
	restoredAt time.Duration            // when the store was last restored
	mustEpoch  ha.Epoch                 // after a restore: nothing is started in an older one
	kinds      map[string]bool
	byHand     map[ha.VMID]bool      // an operator started, moved or took it in hand: where it runs is not the agents' doing alone
	handStart  map[ha.VMID]handStart // the last one
	crashed    map[ha.VMID]bool      // its process was made to end, by a fault or its operator
	toldResets []told                // resets that may be carried out
	quiet      quiet
	audit      *audit
}

// Violation is a broken rule.
type Violation struct {
	Rule string // R1 ... R8, "fence", "stuck"
	At   time.Duration
	Text string
}

func (v Violation) String() string { return fmt.Sprintf("%v %s: %s", v.At, v.Rule, v.Text) }

// troubleEcho is how long after a fault's end what follows from it may still happen.
const troubleEcho = 90 * time.Second

func newJudge(w *World) *Judge {
	j := &Judge{w: w, handStart: map[ha.VMID]handStart{}, quiet: newQuiet(), byHand: map[ha.VMID]bool{}, crashed: map[ha.VMID]bool{}, guests: map[ha.VMID]ha.GuestRecord{}, lost: map[ha.VMID]time.Duration{}, began: map[ha.VMID]time.Duration{}, lastHost: map[ha.VMID]string{},
		trouble: map[string]time.Duration{}, wanted: map[string]time.Duration{}, permitted: map[string]bool{}, permitFrom: map[string]time.Duration{}, lied: map[string]bool{}, managed: map[ha.VMID]time.Duration{},
		states: map[ha.NodeName]ha.NodeState{}, stateAt: map[ha.NodeName]time.Duration{}, announced: map[string]time.Duration{}, broken: map[ha.VMID]bool{}, kinds: map[string]bool{}}
	j.res.RTO = map[string][]time.Duration{}
	for _, g := range w.spec.Guests {
		if g.FailStarts > 0 || g.FailMigrations > 0 || g.NeverStops || g.NoConfig || g.OnlyOn != "" {
			j.broken[g.ID] = true
		}
	}
	w.store.OnApply(j.applied)
	w.machine.OnStart = j.started
	w.machine.OnReset = func(host, why string) { j.hostEnded(host, why, "reset by "+why, why == "button") }
	w.machine.OnPowerOff = func(host, by string) { j.hostEnded(host, by, "switched off by "+by, by == "mains") }
	w.loop.Every(500*time.Millisecond, j.patrol)
	return j
}

// violate notes a broken rule and ends the run.
func (j *Judge) violate(rule, format string, a ...any) {
	v := Violation{Rule: rule, At: j.w.loop.Now(), Text: fmt.Sprintf(format, a...)}
	j.w.loop.Logf("JUDGE", "%s", v)
	j.violations = append(j.violations, v)
	j.w.loop.Halt()
}

// look is called after every event: R1, whenever anything physical changed.
func (j *Judge) look() {
	e := j.w.machine.Epoch()
	if e == j.epoch {
		return
	}
	j.epoch = e
	for _, id := range j.w.machine.Guests() {
		j.onePlace(id)
		j.progress(id)
	}
}

// onePlace is R1: a guest is never able to write on two nodes at once.
func (j *Judge) onePlace(id ha.VMID) {
	ws := j.w.machine.Writers(id)
	if len(ws) < 2 {
		return
	}
	for _, a := range ws[1:] {
		if j.byPerson(id, a.Host) || j.byPerson(id, ws[0].Host) {
			continue
		}
		if a.Host != ws[0].Host && !j.lied[a.Host] && !j.lied[ws[0].Host] && !j.givenBack(a.Inc) && !j.givenBack(ws[0].Inc) {
			j.violate("R1", "guest %d is able to write on %s (boot %s) and on %s (boot %s)", id, ws[0].Host, ws[0].Inc, a.Host, a.Inc)
			return
		}
	}
}

// personsStart is how long a process that a person started on a node that may not run the guest lives at most: until that node's agent or
// its guard ends it.
const personsStart = 15 * time.Second

// byPerson says whether the guest runs there because a person has just started it by hand, on a node that is not the guest's.
func (j *Judge) byPerson(id ha.VMID, host string) bool {
	h, ok := j.handStart[id]
	rec := j.w.store.Truth().Guests[id].Rec
	return ok && h.host == host && string(rec.Node) != host && j.w.loop.Now()-h.at < personsStart
}

// handStart is a person's own start of a guest.
type handStart struct {
	host string
	at   time.Duration
}

// progress notes since when a guest stands still, for the recovery times.
func (j *Judge) progress(id ha.VMID) {
	if j.w.machine.Progress(id) {
		delete(j.lost, id)
		if ws := j.w.machine.Writers(id); len(ws) > 0 {
			j.lastHost[id] = ws[0].Host
		}
	} else if _, known := j.lost[id]; !known {
		j.lost[id] = j.w.loop.Now()
	}
}

// started is called when a guest's process begins to run.
func (j *Judge) started(host string, _ ha.Incarnation, id ha.VMID) {
	j.res.Starts++
	j.began[id] = j.w.loop.Now()
	since, stood := j.lost[id]
	from := j.lastHost[id]
	j.lastHost[id] = host
	rec, ok := j.w.store.Truth().Guests[id]
	if !ok || !stood || from == "" || from == host || rec.Rec.Node != ha.NodeName(host) {
		return
	}
	kind := "released"
	for _, p := range j.w.store.Truth().Nodes[ha.NodeName(from)].Rec.Proofs {
		kind = string(p.Kind())
	}
	j.res.Recoveries++
	j.res.RTO[kind] = append(j.res.RTO[kind], j.w.loop.Now()-since)
}

// hostEnded judges the end of a machine: a healthy one is fenced or reset only for a reason.
func (j *Judge) hostEnded(host, by, how string, byFault bool) {
	if byFault {
		return
	}
	now := j.w.loop.Now()
	j.res.Fences++
	healthy := j.permitted[host]
	j.permitted[host] = false
	if t, ok := j.wanted[host]; ok && now < t {
		return
	}
	if !healthy { // without a permit it runs nothing, or should not
		return
	}
	if j.lateReset(by) || now-j.permitFrom[host] < j.w.spec.Timing.DeviceTimeout+3*time.Second { // what was sent about the boot before hits this one: devices know no boots
		j.res.FalseFences++
		return
	}
	if until, ok := j.trouble[host]; !ok || now > until {
		j.violate("fence", "healthy node %s was %s", host, how)
	} else {
		j.res.FalseFences++
	}
}

// command notes what a fault or a person does, as a reason for what follows.
func (j *Judge) command(c Command) {
	j.kinds[c.Verb] = true
	j.res.Faults++
	until := j.w.loop.Now() + c.For + troubleEcho
	if c.Verb == "suspend" || c.Verb == "hang-task" || c.Verb == "break-watch" || c.Verb == "gossip-false-dead" || c.Verb == "block-pmxcfs" {
		until += time.Minute
	}
	j.touch(c, until)
	j.disturb(c)
	switch c.Verb {
	case "fence":
		j.wanted[c.Args[0]] = until + time.Hour // a request that waits for a leader is carried out by the next one
	case "device-lies":
		if j.w.device(c).Spec().Kind != ha.ResetDevice { // nothing that such a one says is to be believed
			j.lied[j.w.device(c).Spec().Node] = true
		}
	case "device-wrong-machine":
		j.lied[j.w.device(c).Spec().Node] = true
		j.lied[c.Args[1]] = true
	case "qm-start":
		j.byHand[c.vmid(1)] = true
		j.handStart[c.vmid(1)] = handStart{c.Args[0], j.w.loop.Now()}
	case "move-guest", "destroy":
		j.byHand[c.vmid(0)] = true
	case "crash-guest":
		j.crashed[c.vmid(0)] = true
	case "qm-stop":
		j.crashed[c.vmid(1)] = true
	case "managed":
		j.byHand[c.vmid(0)] = true
		j.managed[c.vmid(0)] = j.w.loop.Now()
	case "fail-start", "set-lock", "unprotect", "set-onboot":
		for _, a := range c.Args {
			if id := (Command{Args: []string{a}}).vmid(0); id != 0 {
				j.broken[id] = true
				j.byHand[id] = j.byHand[id] || c.Verb == "unprotect"
			}
		}
	case "lie-start", "hang-task":
		for _, g := range j.w.spec.Guests {
			j.broken[g.ID] = true
		}
	}
}

func (j *Judge) over(c Command) {
	if c.Verb == "managed" {
		delete(j.managed, c.vmid(0))
	}
}

// touch marks the hosts that a command may have an effect on.
func (j *Judge) touch(c Command, until time.Duration) {
	named := false
	for _, a := range c.Args {
		if d := j.w.machine.Device(a); d != nil {
			a = d.Spec().Node
		}
		if j.w.machine.Host(a) != nil {
			named = true
			j.trouble[a] = max(j.trouble[a], until)
		}
	}
	if !named || slices.Contains([]string{"device-wrong-machine", "etcd-restore", "etcd-overwrite", "move-raft"}, c.Verb) {
		for _, h := range j.w.spec.Hosts {
			j.trouble[h.Name] = max(j.trouble[h.Name], until)
		}
	}
}

// patrol looks at what needs no event: R2's deadline.
func (j *Judge) patrol() {
	for _, h := range j.w.machine.Hosts() {
		was := j.permitted[h.Name]
		j.permitted[h.Name] = h.Runs() && h.boot.guard != nil && h.boot.guard.s.Phase == node.GuardPermitted && h.Clock().Now() < h.boot.guard.s.Deadline
		if !was {
			j.permitFrom[h.Name] = j.w.loop.Now()
		}
		j.endedInTime(h)
	}
}

// endedInTime is R2: W after the permit's end nothing protected can run on an armed node.
func (j *Judge) endedInTime(h *Host) {
	if !h.Booted() || h.boot.guard == nil || h.spec.Watchdog == "" || h.spec.Watchdog == "softdog" || !h.Watchdog().Armed() {
		return
	}
	s := h.boot.guard.s
	if s.Deadline == 0 || s.Disarming || !s.Held || h.Clock().Now() < s.Deadline.Add(j.w.spec.Timing.Through(h.Watchdog().Driver()).SelfFence()) {
		return
	}
	for _, g := range s.Guests { // what a person starts there is ended as quickly as the rest
		for _, x := range j.w.machine.Writers(g.ID) {
			if x.Host == h.Name && x.Inc == h.Inc() && j.w.loop.Now()-j.began[g.ID] > j.w.spec.Timing.SelfFence() {
				j.violate("R2", "guest %d can still write on %s, %v after the permit's end", g.ID, h.Name, h.Clock().Now().Sub(s.Deadline))
				return
			}
		}
	}
}

// told counts stored transitions.
func (j *Judge) told(t ha.Transition) {
	if t.To == string(ha.NodeFenced) && t.From != string(ha.NodeFenced) && t.Guest == 0 {
		j.res.Fenced++
	}
}
