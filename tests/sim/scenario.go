package sim

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"bascule/ha"
)

// Scene is a world that a scenario leads through its time, and what it may ask about the truth in it. It changes nothing but by
// commands of the spec.
type Scene struct {
	w       *World
	seen    int // violations handed out
	stored  []Stored
	proofs  map[ha.NodeName][]string
	known   map[string]bool // proofs already noted
	resets  []Ended
	offs    []Ended
	tap     *tap
	changed func()
}

// Stored is a transition as the store has it, with the world's time of its commit.
type Stored struct {
	At time.Duration
	ha.Transition
}

// Ended is the end of a machine's boot by a watchdog, a poison pill or a device.
type Ended struct {
	At   time.Duration
	Host string
	By   string
}

// NewScene builds the spec's world. out receives the readable trace when not nil.
func NewScene(s Spec, out io.Writer) *Scene {
	t := &tap{out: out, devices: map[string]*[]string{}}
	for _, d := range s.Devices {
		t.devices[d.Name] = &[]string{}
	}
	c := &Scene{w: NewWorld(s, t), tap: t, proofs: map[ha.NodeName][]string{}, known: map[string]bool{}}
	m := c.w.machine
	reset, off := m.OnReset, m.OnPowerOff
	m.OnReset = func(host, why string) {
		if why != "button" {
			c.resets = append(c.resets, Ended{c.Now(), host, why})
		}
		reset(host, why)
	}
	m.OnPowerOff = func(host, by string) {
		if by != "mains" {
			c.offs = append(c.offs, Ended{c.Now(), host, by})
		}
		off(host, by)
	}
	c.w.store.OnApply(c.applied)
	return c
}

// OnChange calls f after every write of the store.
func (c *Scene) OnChange(f func()) { c.changed = f }

// Now is the world's time.
func (c *Scene) Now() time.Duration { return c.w.loop.Now() }

// StepTo runs the world up to this time, unless the judge finds something first: then it returns that, and the next call goes on.
func (c *Scene) StepTo(t time.Duration) []Violation {
	c.w.loop.halt = false
	c.w.loop.Run(t)
	return c.found()
}

func (c *Scene) found() []Violation {
	v := c.w.judge.violations[c.seen:]
	c.seen = len(c.w.judge.violations)
	return v
}

// Calm ends the faults: people switch everything on and look after what hangs.
func (c *Scene) Calm() { c.w.calm() }

// Order is the judge's last word: everything that should run runs, nothing is stuck.
func (c *Scene) Order() []Violation {
	c.w.judge.end()
	return c.found()
}

// applied notes what a write says for the first time: transitions and proofs.
func (c *Scene) applied(a Applied) {
	if a.Txn != nil {
		for _, p := range a.Txn.Puts {
			if !strings.HasPrefix(p.Key, ha.PrefixEvent) {
				continue
			}
			var e ha.Event
			if decodeJSON(p.Value, &e) == nil {
				c.stored = append(c.stored, Stored{a.At, e.Transition})
			}
		}
		c.noteProofs()
	}
	if c.changed != nil {
		c.changed()
	}
}

func (c *Scene) noteProofs() {
	truth := c.w.store.Truth()
	for _, n := range c.w.spec.memberNames() {
		for _, p := range slices.Concat(truth.Fences[n].Rec.Proofs, truth.Nodes[n].Rec.Proofs) {
			key := fmt.Sprintf("%s %s %s", n, p.Kind(), p.Incarnation())
			if !c.known[key] {
				c.known[key] = true
				c.proofs[n] = append(c.proofs[n], string(p.Kind()))
			}
		}
	}
}

// Stored are the transitions committed so far, in order.
func (c *Scene) Stored() []Stored { return c.stored }

// Proofs are the kinds of proof committed about a node so far, each once for a boot, in order.
func (c *Scene) Proofs(node string) []string { return c.proofs[ha.NodeName(node)] }

// Resets are the machines that a watchdog, a poison pill or a reset service has reset.
func (c *Scene) Resets() []Ended { return c.resets }

// PowerOffs are the machines that a fencing device switched off.
func (c *Scene) PowerOffs() []Ended { return c.offs }

// Commands are the actions that a power, storage or reset device has taken, in order: read, off, on, revoke, reset.
func (c *Scene) Commands(device string) []string { return *c.tap.devices[device] }

// Starts is how many guest processes began to run after the world's start.
func (c *Scene) Starts() int { return c.w.judge.res.Starts }

// Promises is how many promises members gave each other while the store was away.
func (c *Scene) Promises() int { return c.w.judge.res.Promises }

// Deputies is how many leases deputies ended.
func (c *Scene) Deputies() int { return c.w.judge.res.Deputies }

// RunsOn are the hosts on which a guest makes progress now.
func (c *Scene) RunsOn(id ha.VMID) []string {
	var out []string
	m := c.w.machine
	for _, h := range m.hosts {
		if !h.Runs() {
			continue
		}
		for _, p := range h.boot.processes {
			if p.g.id == id && p.writes() && !p.killed && !p.stuckOrShut() {
				out = append(out, h.Name)
				break
			}
		}
	}
	return out
}

// Holds are the hosts that are able to write a guest's disks, now or when they go on.
func (c *Scene) Holds(id ha.VMID) []string {
	var out []string
	for _, w := range c.w.machine.Writers(id) {
		out = append(out, w.Host)
	}
	return out
}

// Boot is a host's boot id when its system moves, "" otherwise.
func (c *Scene) Boot(host string) string {
	if h := c.w.machine.Host(host); h.Runs() {
		return string(h.Inc())
	}
	return ""
}

// ConfigUnder is under which node's directory a guest's config lies; "" for none.
func (c *Scene) ConfigUnder(id ha.VMID) string { return c.w.machine.ConfigNode(id) }

// Truth is what the store holds. It must not be changed.
func (c *Scene) Truth() *ha.Snapshot { return c.w.store.Truth() }

// Raft is the node whose voter leads the store, "" when none does.
func (c *Scene) Raft() string { return c.w.store.RaftLeader() }

// Voters are the nodes that vote in the store, by name.
func (c *Scene) Voters() []string { return slices.Sorted(slices.Values(c.w.store.Voters())) }

// Machine says in one word how a machine is: up, frozen, crashed, booting, off.
func (c *Scene) Machine(host string) string {
	switch h := c.w.machine.Host(host); {
	case h.Frozen():
		return "frozen"
	case h.Booted():
		return "up"
	case h.Crashed():
		return "crashed"
	case h.On():
		return "booting"
	}
	return "off"
}

// Permit says in one word by what right a node runs guests now: lease, peers, none.
func (c *Scene) Permit(host string) string {
	h := c.w.machine.Host(host)
	d := c.w.daemons[h.index]
	switch {
	case !h.Booted() || d == nil || !d.p.Alive() || !d.state.Lease.Valid(d.now()):
		return "none"
	case d.state.Lease.OnPeers(d.now()):
		return "peers"
	}
	return "lease"
}

// Watchdog says in one word whether a machine's watchdog counts: armed, idle.
func (c *Scene) Watchdog(host string) string {
	if c.w.machine.Host(host).Watchdog().Armed() {
		return "armed"
	}
	return "idle"
}

// AddScenarioVerbs adds what only scenarios use: the undoing of a drain or a quarantine as a command of its own.
func AddScenarioVerbs() {
	verbs["undrain"] = verb{"NODE", false, func(w *World, c Command, _ bool) { w.ask(ha.RequestUndrain, c.Args[0]) }}
}

// Verbs are all commands with the words that they take, for people.
func Verbs() map[string]string {
	out := map[string]string{}
	for name, v := range verbs {
		out[name] = v.args
		if v.lasts {
			out[name] += " [for DURATION]"
		}
	}
	return out
}

// CheckNames says what is wrong with a command's names and numbers on this site; running it would do nothing, or worse.
func (c Command) CheckNames(s Spec) error {
	for i, word := range strings.Fields(verbs[c.Verb].args) {
		if !s.knows(word, c.Args[i]) {
			return fmt.Errorf("%s: %q is no %s of this site", c.Verb, c.Args[i], word)
		}
	}
	return nil
}

// knows says whether a command's argument is what its word in the verb's description asks for.
func (s Spec) knows(word, arg string) bool {
	host := slices.ContainsFunc(s.Hosts, func(h HostSpec) bool { return h.Name == arg })
	switch word {
	case "NODE":
		return host
	case "A", "B", "FROM", "TO", "OBSERVER":
		end, _ := strings.CutPrefix(arg, "bmc:")
		disk, _ := strings.CutPrefix(arg, "disk:")
		return host || arg == "*" || s.hasDevice(end) || slices.ContainsFunc(s.Storages, func(d StorageSpec) bool { return d.Name == disk })
	case "NET":
		return slices.Contains([]string{"cluster", "corosync", "storage", "mgmt", "all"}, arg)
	case "DEVICE":
		return s.hasDevice(arg)
	case "VMID":
		return slices.ContainsFunc(s.Guests, func(g GuestSpec) bool { return strconv.Itoa(int(g.ID)) == arg })
	case "TIMES", "PERCENT":
		n, err := strconv.Atoi(arg)
		return err == nil && n >= 0
	case "DURATION", "BY", "STEP", "PERIOD":
		_, err := time.ParseDuration(arg)
		return err == nil
	}
	return true
}

func (s Spec) hasDevice(name string) bool {
	return slices.ContainsFunc(s.Devices, func(d DeviceSpec) bool { return d.Name == name })
}
