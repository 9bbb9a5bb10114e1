package peer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Scenario is one folder of the peer's suite.
type Scenario struct {
	Name     string
	Steps    [][]Command // one inner list per step
	Nodes    []Node      // by name
	Guests   []Guest     // by id
	Rules    []Rule      // groups among them
	Policy   string      // ha.shutdown_policy; "": conditional
	Schedule Schedule
	Expected Expected
}

// Node is a machine and its state at the beginning. Memory is in bytes.
type Node struct {
	Name        string
	On, Plugged bool
	CPUs        float64
	Memory      int64
}

// Guest is a service of the peer. Memory is in bytes.
type Guest struct {
	ID          string // "vm:101", "ct:102", "fa:130"
	Node        string
	State       string // started, stopped, disabled, ignored
	MaxRestart  int
	MaxRelocate int
	Failback    bool
	Lock        string
	Memory      int64
	Fault       Fault
	Later       bool // it does not exist before a command adds it
}

// Schedule is the peer's cluster resource scheduling.
type Schedule struct {
	Mode             string // static, dynamic; "": by number of guests
	RebalanceOnStart bool
	AutoRebalance    bool
}

// Expected is how the peer's manager ends.
type Expected struct {
	Guests    map[string]ExpectedGuest `json:"guests"`
	Recovered []string                 `json:"recovered_nodes"`
}

// ExpectedGuest is the end of one guest.
type ExpectedGuest struct {
	Node    string   `json:"node"`
	State   *string  `json:"state"` // nil: not managed
	Running []string `json:"running_on"`
}

const (
	gib           = 1 << 30
	defaultMemory = 4 * gib
	nodeMemory    = 128 * gib
	nodeCPUs      = 24
)

// Load reads a folder. The error names the file.
func Load(dir string) (Scenario, error) {
	r := reader{dir: dir}
	s := Scenario{Name: filepath.Base(dir)}
	var lists [][]string
	r.json("cmdlist", &lists, true)
	for _, l := range lists {
		step := []Command{}
		for _, text := range l {
			step = append(step, ParseCommand(text))
		}
		s.Steps = append(s.Steps, step)
	}
	r.nodes(&s)
	r.guests(&s)
	r.rules(&s)
	r.datacenter(&s)
	r.json("expected.json", &s.Expected, true)
	return s, r.err
}

// reader reads the files of one folder; the first error stays.
type reader struct {
	dir string
	err error
}

func (r *reader) file(name string, must bool) []byte {
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil && (must || !errors.Is(err, fs.ErrNotExist)) {
		r.fail(name, err)
	}
	return b
}

func (r *reader) fail(name string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", filepath.Join(filepath.Base(r.dir), name), err)
	}
}

func (r *reader) json(name string, into any, must bool) {
	if b := r.file(name, must); len(strings.TrimSpace(string(b))) > 0 {
		if err := json.Unmarshal(b, into); err != nil {
			r.fail(name, err)
		}
	}
}

func (r *reader) nodes(s *Scenario) {
	var hw map[string]struct {
		Power, Network string
		MaxCPU         number `json:"maxcpu"`
		MaxMem         number `json:"maxmem"`
	}
	r.json("hardware_status", &hw, true)
	for name, h := range hw {
		s.Nodes = append(s.Nodes, Node{Name: name, On: h.Power == "on", Plugged: h.Network == "on",
			CPUs: cmp.Or(float64(h.MaxCPU), nodeCPUs), Memory: cmp.Or(int64(h.MaxMem), nodeMemory)})
	}
	slices.SortFunc(s.Nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
}

func (r *reader) guests(s *Scenario) {
	var conf map[string]struct {
		Node, State, Group, Lock string
		Failback                 *number
		MaxRestart               *number `json:"max_restart"`
		MaxRelocate              *number `json:"max_relocate"`
	}
	r.json("service_config", &conf, false)
	memory := r.memory()
	groups := map[string][]string{}
	for id, c := range conf {
		s.Guests = append(s.Guests, Guest{ID: id, Node: c.Node, State: state(c.State), Lock: c.Lock, Memory: cmp.Or(memory[id], defaultMemory), Fault: faultOf(id),
			MaxRestart: c.MaxRestart.or(1), MaxRelocate: c.MaxRelocate.or(1), Failback: c.Failback.or(1) != 0})
		if c.Group != "" {
			groups[c.Group] = append(groups[c.Group], id)
		}
	}
	for _, step := range s.Steps {
		for _, c := range step {
			if c.Verb == "service add" && !slices.ContainsFunc(s.Guests, func(g Guest) bool { return g.ID == c.Subject }) {
				s.Guests = append(s.Guests, Guest{ID: c.Subject, Later: true, State: "started", MaxRestart: 1, MaxRelocate: 1, Failback: true,
					Memory: cmp.Or(memory[c.Subject], defaultMemory), Fault: faultOf(c.Subject)})
			}
		}
	}
	slices.SortFunc(s.Guests, func(a, b Guest) int { return strings.Compare(a.ID, b.ID) })
	s.Rules = append(s.Rules, groupRules(parseSections(string(r.file("groups", false))), groups)...)
}

// memory is what is configured for guests, in bytes.
func (r *reader) memory() map[string]int64 {
	var stats map[string]struct {
		MaxMem number `json:"maxmem"`
	}
	r.json("static_service_stats", &stats, false)
	out := map[string]int64{}
	for id, st := range stats {
		out[id] = int64(st.MaxMem)
	}
	return out
}

func (r *reader) rules(s *Scenario) {
	rules, err := rulesOf(parseSections(string(r.file("rules_config", false))))
	if err != nil {
		r.fail("rules_config", err)
	}
	s.Rules = append(s.Rules, rules...)
}

func (r *reader) datacenter(s *Scenario) {
	var dc struct {
		HA struct {
			Policy string `json:"shutdown_policy"`
		} `json:"ha"`
		CRS struct {
			HA        string `json:"ha"`
			OnStart   number `json:"ha-rebalance-on-start"`
			Automatic number `json:"ha-auto-rebalance"`
		} `json:"crs"`
	}
	r.json("datacenter.cfg", &dc, false)
	s.Policy = dc.HA.Policy
	s.Schedule = Schedule{Mode: dc.CRS.HA, RebalanceOnStart: dc.CRS.OnStart != 0, AutoRebalance: dc.CRS.Automatic != 0}
	if s.Schedule.Mode == "basic" {
		s.Schedule.Mode = ""
	}
}

// state is a configured state in its present name.
func state(s string) string {
	switch s {
	case "":
		return "disabled"
	case "enabled":
		return "started"
	}
	return s
}

// number is a JSON number that the peer sometimes writes as a string.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "" || s == "null" {
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	*n = number(f)
	return err
}

func (n *number) or(otherwise int) int {
	if n == nil {
		return otherwise
	}
	return int(*n)
}
