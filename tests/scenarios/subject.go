package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bascule/ha"
	"bascule/tests/sim"
)

// subject is something that has a value at each moment; its timeline is what a scenario's expectations are about.
type subject struct {
	name string
	read func(c *sim.Scene) string
	told func(t sim.Stored) bool // whether a stored transition is one of its values: several may come in one commit
	line []moment
}

// moment is since when a value holds.
type moment struct {
	at    time.Duration
	value string
}

// look notes the present value if it is new, after what the new transitions say.
func (s *subject) look(c *sim.Scene, told []sim.Stored) {
	for _, t := range told {
		if s.told != nil && s.told(t) {
			s.note(t.At, t.To)
		}
	}
	s.note(c.Now(), s.read(c))
}

func (s *subject) note(at time.Duration, v string) {
	if n := len(s.line); n > 0 && s.line[n-1].value == v {
		return
	}
	s.line = append(s.line, moment{at, v})
}

// text is the timeline for people.
func (s *subject) text() string {
	var parts []string
	for _, m := range s.line {
		parts = append(parts, fmt.Sprintf("%s %s", clock(m.at), m.value))
	}
	return s.name + ": " + strings.Join(parts, ", ")
}

func clock(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }

// nothing is the value of what does not exist.
const nothing = "none"

func orNothing(v string) string {
	if v == "" {
		return nothing
	}
	return v
}

// nowhere is where a guest runs that does not run.
const nowhere = "nowhere"

func places(of []string) string {
	if len(of) == 0 {
		return nowhere
	}
	return strings.Join(of, "+")
}

// subject finds the one of these words, or makes it: "node node2", "guest 102", "guest 102 runs" ... The rest are the words that are
// not part of its name.
func (s *Scenario) subject(f []string) (sub *subject, rest []string, err error) {
	name, rest, read, err := s.reader(f)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range s.subjects {
		if o.name == name {
			return o, rest, nil
		}
	}
	sub = &subject{name: name, read: read, told: tells(name)}
	s.subjects = append(s.subjects, sub)
	return sub, rest, nil
}

// tells says which transitions are values of a subject.
func tells(name string) func(sim.Stored) bool {
	f := strings.Fields(name)
	switch {
	case len(f) == 2 && f[0] == "node":
		return func(t sim.Stored) bool { return t.Guest == 0 && string(t.Node) == f[1] && t.To != t.From }
	case len(f) == 2 && f[0] == "guest":
		return func(t sim.Stored) bool { return strconv.Itoa(int(t.Guest)) == f[1] && t.To != t.From }
	}
	return nil
}

// reader understands the words that name a subject.
func (s *Scenario) reader(f []string) (name string, rest []string, read func(*sim.Scene) string, err error) {
	if len(f) == 0 {
		return "", nil, nil, fmt.Errorf("what is expected? Write: %s", subjectHelp)
	}
	switch f[0] {
	case "leader":
		return "leader", f[1:], func(c *sim.Scene) string {
			if l := c.Truth().Leader; l != nil {
				return string(l.Node)
			}
			return nothing
		}, nil
	case "raft":
		return "raft", f[1:], func(c *sim.Scene) string { return orNothing(c.Raft()) }, nil
	case "voters":
		return "voters", f[1:], func(c *sim.Scene) string { return strings.Join(c.Voters(), "+") }, nil
	case "all", "no":
		return "guests", f, s.readGuests, nil
	}
	if len(f) < 2 {
		return "", nil, nil, fmt.Errorf("%q: write: %s", strings.Join(f, " "), subjectHelp)
	}
	if f[0] == "guest" {
		return s.guestReader(f)
	}
	return s.nodeReader(f)
}

const subjectHelp = "node NODE STATE | guest ID STATE | guest ID runs [on NODE|nowhere] | guest ID writes on NODE|nowhere | guest ID config NODE | guest ID assigned NODE | " +
	"guest ID says TEXT | node NODE says TEXT | machine NODE up|off|booting|frozen|crashed | lease NODE held|gone | permit NODE lease|peers|none | watchdog NODE armed|idle | " +
	"device NAME usable|says TEXT | leader NODE|none | raft NODE | voters NODE+NODE+NODE | all guests run | no guest runs"

func (s *Scenario) guestReader(f []string) (string, []string, func(*sim.Scene) string, error) {
	n, err := strconv.Atoi(f[1])
	id := ha.VMID(n)
	if err != nil || !slices.ContainsFunc(s.site.spec.Guests, func(g sim.GuestSpec) bool { return g.ID == id }) {
		return "", nil, nil, fmt.Errorf("%q is no guest of this site", f[1])
	}
	record := func(of func(ha.GuestRecord) string) func(*sim.Scene) string {
		return func(c *sim.Scene) string {
			g, ok := c.Truth().Guests[id]
			if !ok {
				return nothing
			}
			return orNothing(of(g.Rec))
		}
	}
	word := ""
	if len(f) > 2 {
		word = strings.TrimSuffix(f[2], ":")
	}
	switch word {
	case "runs":
		return f[0] + " " + f[1] + " runs", f[3:], func(c *sim.Scene) string { return places(c.RunsOn(id)) }, nil
	case "writes":
		return f[0] + " " + f[1] + " writes", f[3:], func(c *sim.Scene) string { return places(c.Holds(id)) }, nil
	case "config":
		return f[0] + " " + f[1] + " config", f[3:], func(c *sim.Scene) string { return orNothing(c.ConfigUnder(id)) }, nil
	case "assigned":
		return f[0] + " " + f[1] + " assigned", f[3:], record(func(g ha.GuestRecord) string { return string(g.Node) }), nil
	case "says":
		return f[0] + " " + f[1] + " says", f[2:], record(func(g ha.GuestRecord) string { return g.Reason }), nil
	}
	return f[0] + " " + f[1], f[2:], record(func(g ha.GuestRecord) string { return string(g.State) }), nil
}

func (s *Scenario) nodeReader(f []string) (string, []string, func(*sim.Scene) string, error) {
	name := strings.TrimSuffix(f[1], ":")
	n := ha.NodeName(name)
	if f[0] == "device" {
		return s.deviceReader(f)
	}
	reads := map[string]func(*sim.Scene) string{
		"node":     func(c *sim.Scene) string { return orNothing(string(c.Truth().Nodes[n].Rec.State)) },
		"machine":  func(c *sim.Scene) string { return c.Machine(name) },
		"permit":   func(c *sim.Scene) string { return c.Permit(name) },
		"watchdog": func(c *sim.Scene) string { return c.Watchdog(name) },
		"lease": func(c *sim.Scene) string {
			if _, ok := c.Truth().Leases[n]; ok {
				return "held"
			}
			return "gone"
		},
	}
	read, ok := reads[f[0]]
	switch {
	case !ok:
		return "", nil, nil, fmt.Errorf("unknown word %q: write: %s", f[0], subjectHelp)
	case !s.site.isNode(name):
		return "", nil, nil, fmt.Errorf("%q is no node of this site", name)
	}
	if f[0] == "node" && len(f) > 2 && f[2] == "says" {
		return "node " + name + " says", f[2:], func(c *sim.Scene) string { return orNothing(c.Truth().Nodes[n].Rec.Reason) }, nil
	}
	return f[0] + " " + name, f[2:], read, nil
}

// deviceReader is what the leader last found out about a device while its node was alive.
func (s *Scenario) deviceReader(f []string) (string, []string, func(*sim.Scene) string, error) {
	i := slices.IndexFunc(s.site.spec.Devices, func(d sim.DeviceSpec) bool { return d.Name == f[1] })
	if i < 0 {
		return "", nil, nil, fmt.Errorf("%q is no device of this site", f[1])
	}
	node := ha.NodeName(s.site.spec.Devices[i].Node)
	return "device " + f[1], f[2:], func(c *sim.Scene) string {
		rec := c.Truth().Nodes[node].Rec
		for _, d := range rec.Devices {
			if d.Device == f[1] && d.Problem != "" {
				return d.Problem
			} else if d.Device == f[1] && d.Identified(rec.Incarnation) {
				return usable
			}
		}
		return nothing
	}, nil
}

// usable is a device that may prove something about its node's present boot.
const usable = "usable"

// readGuests says of those guests that ran at the start and are protected whether they run.
func (s *Scenario) readGuests(c *sim.Scene) string {
	var down []string
	all := 0
	for _, g := range s.site.spec.Guests {
		if !g.Running || !g.Protected {
			continue
		}
		all++
		if len(c.RunsOn(g.ID)) == 0 {
			down = append(down, strconv.Itoa(int(g.ID)))
		}
	}
	switch len(down) {
	case 0:
		return allRun
	case all:
		return noneRuns
	}
	return "down: " + strings.Join(down, " ")
}

const (
	allRun   = "all run"
	noneRuns = "none runs"
)
