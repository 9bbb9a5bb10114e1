// Package probe is one look at a mutant: a site drawn from a seed, changed and given faults as the mutant asks for. It runs nothing but
// the simulator.
package probe

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
	"bascule/tests/sim"
)

// Probe says what to look at. Script is empty for the faults that the seed draws; else these commands, in which "a~b" is a duration or
// time between the two, $a $b $c are different nodes with guests, $g a guest of $a $bmc its power device and $robot its reset service. Site lists restrictions:
// watchdog=KIND, devices=none|bmc|outlet|ceph|pill|pills|robot|hasty (a pill with too short a msgwait), joined by +, clients=N addresses for each node, timing=PROFILE,
// grace=TIME, nodes=N, max-concurrent=N, min-healthy=PERCENT, priority-delay=TIME, after=on, looks (at storages); what draws or replaces more stands first.
type Probe struct {
	Site   []string `json:"site,omitempty"`
	Script []string `json:"script,omitempty"`
}

// Spec is the probe's world for one seed; the error says what is wrong with the probe.
func (p Probe) Spec(seed uint64) (sim.Spec, error) {
	s, err := p.site(seed)
	if err != nil || len(p.Script) == 0 {
		return s, err
	}
	s.Commands = nil
	d := dice{rand.New(rand.NewPCG(seed, 0xface)), names(s)}
	for _, line := range p.Script {
		c, err := sim.ParseCommand(d.fill(line))
		if err != nil {
			return s, err
		}
		s.Commands = append(s.Commands, c)
		s.Length = max(s.Length, c.At+c.For+time.Second)
	}
	slices.SortStableFunc(s.Commands, func(a, b sim.Command) int { return int(a.At - b.At) })
	return s, nil
}

// Run runs the world of one seed under the judge and its audit, and returns what they found.
func (p Probe) Run(seed uint64) (sim.Result, error) { return p.Trace(seed, nil) }

// Trace is Run with a readable trace to out.
func (p Probe) Trace(seed uint64, out io.Writer) (sim.Result, error) {
	s, err := p.Spec(seed)
	if err != nil {
		return sim.Result{}, err
	}
	return sim.NewWorld(s, out).Run(), nil
}

// site draws until the number of nodes is as asked for, and replaces what else is asked for.
func (p Probe) site(seed uint64) (sim.Spec, error) {
	s := sim.RandomSpec(seed)
	sim.UsualLimits(&s)
	for _, r := range p.Site {
		k, v, _ := strings.Cut(r, "=")
		switch k {
		case "nodes":
			for i := uint64(1); fmt.Sprint(len(s.Plans)) != v; i++ {
				if i > 1000 {
					return s, fmt.Errorf("site %q: no drawn site has so many nodes", r)
				}
				s = sim.RandomSpec(seed + i<<32)
			}
			sim.UsualLimits(&s)
		case "watchdog":
			for i := range s.Hosts {
				if !s.Hosts[i].Witness {
					s.Hosts[i].Watchdog = strings.TrimPrefix(v, "none")
				}
			}
		case "timing":
			t, err := ha.Profile(v)
			if err != nil {
				return s, fmt.Errorf("site %q: %w", r, err)
			}
			s.Timing = t
		case "grace": // so long that time proves nothing before a message does
			g, err := time.ParseDuration(v)
			if err != nil {
				return s, fmt.Errorf("site %q: %w", r, err)
			}
			s.Timing.PermitGrace = g
		case "devices":
			if err := devices(&s, v); err != nil {
				return s, err
			}
		case "storages":
			for i := range s.Guests {
				s.Guests[i].Storages = strings.Split(v, "+")
			}
		case "clients":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				return s, fmt.Errorf("site %q: write a number of addresses from 1", r)
			}
			for i := range s.Hosts {
				s.Hosts[i].Portals = n - 1
			}
		case "memory": // tight: each host has what its own guests need and three GiB
			for i := range s.Hosts {
				h := &s.Hosts[i]
				h.Memory = 4 << 30
				for _, g := range s.Guests {
					if g.Node == h.Name {
						h.Memory += g.Memory
					}
				}
			}
		case "onboot":
			for i := range s.Guests {
				s.Guests[i].Onboot = true
			}
		case "max-concurrent", "min-healthy", "priority-delay", "after":
			if err := limit(&s, k, v); err != nil {
				return s, fmt.Errorf("site %q: %w", r, err)
			}
		case "looks":
			s.Looks = true
		case "sound": // guests without faults of their own
			for i := range s.Guests {
				g := &s.Guests[i]
				g.FailStarts, g.FailMigrations, g.NeverStops, g.Running, g.Protected = 0, 0, false, true, true
			}
			s.Old = nil
		default:
			return s, fmt.Errorf("site %q: there is no such restriction", r)
		}
	}
	return s, nil
}

// limit sets one of the limits of fencing, which are the usual ones else.
func limit(s *sim.Spec, what, v string) (err error) {
	switch what {
	case "max-concurrent":
		s.MaxConcurrent, err = strconv.Atoi(v)
	case "min-healthy":
		s.MinHealthy, err = strconv.Atoi(v)
	case "priority-delay":
		s.PriorityDelay, err = time.ParseDuration(v)
	case "after":
		for n, p := range s.Plans {
			p.After = ladder.After(v)
			s.Plans[n] = p
		}
	}
	return err
}

// devices gives every node the same ladder.
func devices(s *sim.Spec, kinds string) error {
	s.Devices = nil
	s.Plans = map[ha.NodeName]ladder.Plan{}
	for _, h := range s.Hosts {
		if h.Witness {
			continue
		}
		var level []ladder.Device
		for _, k := range strings.Split(kinds, "+") {
			spec := sim.DeviceSpec{Name: h.Name + "-" + k, Node: h.Name, Kind: ha.PowerDevice}
			wait := time.Duration(0)
			switch k {
			case "none":
				continue
			case "bmc":
			case "outlet", "outlet2":
				spec.Outlet = true
			case "ceph":
				spec.Kind, spec.Storages = ha.StorageDevice, []string{"ceph"}
			case "pill":
				spec.Kind, spec.Storages, wait = ha.PoisonDevice, []string{"iscsi"}, 2*s.Timing.WatchdogTimeout
			case "hasty":
				spec.Kind, spec.Storages, wait = ha.PoisonDevice, []string{"iscsi"}, s.Timing.WatchdogTimeout/2
			case "pills":
				spec.Kind, spec.Storages, wait = ha.PoisonDevice, []string{"ceph", "iscsi", "third"}, 2*s.Timing.WatchdogTimeout
			case "robot":
				spec.Kind, s.Timing.BootTime = ha.ResetDevice, time.Minute
			default:
				return fmt.Errorf("devices=%s: there is no kind %q", kinds, k)
			}
			s.Devices = append(s.Devices, spec)
			level = append(level, ladder.Device{Name: spec.Name, Kind: spec.Kind, Storages: spec.Storages, MsgWait: wait})
		}
		plan := ladder.Plan{}
		if len(level) > 0 {
			plan.Levels = append(plan.Levels, level)
		}
		plan.Levels = append(plan.Levels, []ladder.Device{{Name: "manual", Kind: ha.ManualDevice}})
		s.Plans[ha.NodeName(h.Name)] = plan
	}
	return nil
}

// dice fills in what a script leaves to the seed.
type dice struct {
	r     *rand.Rand
	names map[string]string
}

// names draws who $a, $b and $c are, and finds $g and $bmc.
func names(s sim.Spec) map[string]string {
	r := rand.New(rand.NewPCG(s.Seed, 0xabc))
	var nodes []string
	for _, h := range s.Hosts {
		if !h.Witness {
			nodes = append(nodes, h.Name)
		}
	}
	r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	out := map[string]string{"$a": nodes[0], "$b": nodes[1], "$c": nodes[len(nodes)-1], "$bmc": nodes[0] + "-bmc", "$robot": nodes[0] + "-robot"}
	for _, g := range s.Guests {
		if g.Node == nodes[0] && out["$g"] == "" {
			out["$g"] = fmt.Sprint(int(g.ID))
		}
	}
	return out
}

func (d dice) fill(line string) string {
	words := strings.Fields(line)
	for i, w := range words {
		if v, ok := d.names[w]; ok {
			words[i] = v
		} else if lo, hi, ok := strings.Cut(w, "~"); ok {
			from, err1 := time.ParseDuration(lo)
			to, err2 := time.ParseDuration(hi)
			if err1 == nil && err2 == nil && to > from {
				words[i] = (from + time.Duration(d.r.Int64N(int64(to-from)))).Round(time.Millisecond).String()
			}
		}
	}
	return strings.Join(words, " ")
}
