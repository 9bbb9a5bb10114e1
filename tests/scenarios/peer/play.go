package peer

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"bascule/ha"
	"bascule/tests/sim"
)

// run is a scenario being played.
type run struct {
	s     Scenario
	ids   map[string]ha.VMID
	scene *sim.Scene
	end   time.Duration

	unplugged map[string]bool
	down      map[string]bool   // no machine that could carry guests: off, cut off, shut down
	asked     map[string]string // last requested state
	locked    map[string]bool
	disarmed  string       // the mode while the cluster is disarmed
	later     []ha.Request // asked for while it is

	unwatched map[string]bool // nodes that went down while the cluster was disarmed
	halved    bool            // half of the nodes was down at some moment
	recovered map[string]bool // nodes whose guests were recovered
	seen      int             // transitions looked at
	missing   []Feature       // that commands asked for
	bound     map[string]bool // rules that were not kept at some moment
	broken    []sim.Violation
}

// startRun builds the world with what the beginning says, and everything that will happen.
func startRun(s Scenario, seed uint64, trace io.Writer) (*run, error) {
	ids := vmids(s.Guests)
	spec, err := site(s, ids, seed)
	if err != nil {
		return nil, err
	}
	r := &run{s: s, ids: ids, unplugged: map[string]bool{}, down: map[string]bool{}, asked: map[string]string{}, locked: map[string]bool{}, unwatched: map[string]bool{},
		recovered: map[string]bool{}, bound: map[string]bool{}}
	r.scene = sim.NewScene(spec, trace)
	r.scene.OnChange(r.observe)
	r.scene.OnStart(r.started)
	r.scene.StayOffAfterReset(func(host string) { r.down[host] = true })
	r.scene.In(0, r.beginning)
	at, end := times(s.Steps)
	r.end = end
	for i, step := range s.Steps {
		for _, c := range step {
			r.scene.In(at[i], func() { r.do(c) })
		}
	}
	r.sampleRules()
	return r, nil
}

// beginning switches off what is off.
func (r *run) beginning() {
	for _, n := range r.s.Nodes {
		if !n.On {
			r.scene.SwitchOff(n.Name)
			r.down[n.Name] = true
		}
		if !n.Plugged {
			r.plug(n.Name, false)
		}
	}
	for _, g := range r.s.Guests {
		if g.Lock != "" {
			r.lock(g.ID, g.Lock)
		}
		r.failHere(g, g.Node)
	}
}

// play runs the world to its end; a broken safety rule ends it earlier.
func (r *run) play() {
	r.broken = r.scene.StepTo(r.end)
}

func (r *run) plug(node string, on bool) {
	if on == !r.unplugged[node] {
		return
	}
	r.unplugged[node] = !on
	if on {
		r.scene.Plug(node)
	} else {
		r.scene.Unplug(node)
	}
}

// do carries out one command. What the product cannot do is noted, and left out.
func (r *run) do(c Command) {
	r.scene.Say("%s", c.Text)
	f := commands[c.Verb]
	switch {
	case f == nil:
		r.lack(Feature{Name: "command " + firstOf(c.Verb, c.Text), Unplayed: true})
	case c.Subject != "" && !r.knows(c.Subject):
		r.lack(Feature{Name: fmt.Sprintf("a command about %s, which is not in the scenario's files", c.Subject), Unplayed: true})
	default:
		f(r, c)
	}
}

// knows says whether a name is a node or a guest of the scenario.
func (r *run) knows(name string) bool {
	_, guest := r.ids[name]
	return guest || slices.ContainsFunc(r.s.Nodes, func(n Node) bool { return n.Name == name })
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// commands are the peer's, by their verb.
var commands = map[string]func(r *run, c Command){
	"delay": func(*run, Command) {},
	"power on": func(r *run, c Command) {
		r.scene.SwitchOn(c.Subject)
		r.plug(c.Subject, true)
		delete(r.down, c.Subject)
	},
	"power off": func(r *run, c Command) {
		r.scene.SwitchOff(c.Subject)
		r.plug(c.Subject, false)
		r.goesDown(c.Subject)
	},
	"network on": func(r *run, c Command) {
		r.plug(c.Subject, true)
		if r.scene.Machine(c.Subject) != "off" {
			delete(r.down, c.Subject)
		}
	},
	"network off": func(r *run, c Command) {
		r.plug(c.Subject, false)
		r.goesDown(c.Subject)
	},
	"reboot":      func(r *run, c Command) { r.shutdown(c.Subject, true) },
	"shutdown":    func(r *run, c Command) { r.shutdown(c.Subject, false) },
	"restart-lrm": func(r *run, c Command) { r.scene.RestartDaemon(c.Subject) },
	"crm stop":    func(r *run, c Command) { r.scene.RestartDaemon(c.Subject) },

	"crm enable-node-maintenance":  func(r *run, c Command) { r.ask(ha.RequestDrain, c.Subject) },
	"crm disable-node-maintenance": func(r *run, c Command) { r.undrain(c.Subject) },

	"service add":               (*run).add,
	"service delete":            func(r *run, c Command) { r.scene.Protect(r.ids[c.Subject], false) },
	"service started":           (*run).start,
	"service stopped":           (*run).stop,
	"service disabled":          (*run).stop,
	"service stop":              (*run).stop,
	"service ignored":           (*run).ignore,
	"service migrate":           (*run).migrate,
	"service relocate":          (*run).migrate,
	"service manual-migrate":    func(r *run, c Command) { r.scene.Do("move-guest", r.vmid(c), c.arg(0)) },
	"service lock":              func(r *run, c Command) { r.lock(c.Subject, firstOf(c.arg(0), "backup")) },
	"service unlock":            func(r *run, c Command) { r.lock(c.Subject, "") },
	"service set-static-stats":  (*run).staticStats,
	"service set-dynamic-stats": func(*run, Command) {}, // Bascule places by configured memory

	"crm disarm-ha": (*run).disarm,
	"crm arm-ha":    func(r *run, _ Command) { r.arm() },
}

func (r *run) vmid(c Command) string { return strconv.Itoa(int(r.ids[c.Subject])) }

func (r *run) ask(kind ha.RequestKind, node string) {
	q := ha.Request{Kind: kind, Node: ha.NodeName(node)}
	if r.disarmed != "" { // nobody is there who would take it
		r.later = append(r.later, q)
		return
	}
	r.scene.Ask(q)
}

// undrain ends a maintenance. The peer's guests go back to where they came from; Bascule's stay.
func (r *run) undrain(node string) {
	r.ask(ha.RequestUndrain, node)
	r.lack(Feature{Name: "return of guests after a maintenance", Explains: func(m Mismatch) bool { return m.Placement && m.Expected == node }})
}

// shutdown ends a machine in order. A reboot keeps its guests where they are, frozen; whoever wants them elsewhere meanwhile, or for
// the time of a shutdown, needs a policy that the product does not have.
func (r *run) shutdown(node string, again bool) {
	if r.scene.Machine(node) != "up" {
		return
	}
	policy := firstOf(r.s.Policy, "conditional")
	keeps := policy == "freeze" || again && policy != "migrate"
	if !keeps && slices.ContainsFunc(r.s.Guests, func(g Guest) bool { return slices.Contains(r.scene.RunsOn(r.ids[g.ID]), node) }) {
		r.lack(Feature{Name: "shutdown policy " + policy, Unplayed: true})
	}
	r.goesDown(node)
	r.scene.Shutdown(node, again, func() {})
	if again {
		delete(r.down, node)
	}
}

// goesDown notes that a node can carry no guests any more.
func (r *run) goesDown(node string) {
	r.down[node] = true
	r.unwatched[node] = r.unwatched[node] || r.disarmed != ""
	r.halved = r.halved || 2*len(r.down) == len(r.s.Nodes)
}

func (r *run) lock(id, name string) {
	r.locked[id] = name != ""
	r.scene.Lock(r.ids[id], name)
}

// add makes the config of a guest and protects it.
func (r *run) add(c Command) {
	st := "started"
	if s := c.arg(1); s != "" {
		st = state(s)
	}
	r.asked[c.Subject] = st
	running := c.arg(2) != "" && c.arg(2) != "0"
	r.scene.Create(r.ids[c.Subject], c.arg(0), st == "started", running)
	if st == "ignored" {
		r.scene.Protect(r.ids[c.Subject], false)
	}
}

func (r *run) staticStats(c Command) {
	for i := 0; i+1 < len(c.Args); i += 2 {
		if n, err := strconv.ParseInt(c.Args[i+1], 10, 64); err == nil && c.Args[i] == "maxmem" {
			r.scene.Change(r.ids[c.Subject], func(g *sim.GuestSpec) { g.Memory = n << 20 })
		}
	}
}

// guest is the scenario's guest of a command.
func (r *run) guest(c Command) Guest {
	i := slices.IndexFunc(r.s.Guests, func(g Guest) bool { return g.ID == c.Subject })
	if i < 0 {
		return Guest{ID: c.Subject}
	}
	return r.s.Guests[i]
}

// lack notes a feature once.
func (r *run) lack(f Feature) {
	if !slices.ContainsFunc(r.missing, func(o Feature) bool { return o.Name == f.Name && o.Explains == nil && f.Explains == nil }) {
		r.missing = append(r.missing, f)
	}
}
