package scenarios

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"bascule/ha"
	"bascule/tests/sim"
)

// lookEvery is how often the physical truth is looked at; what the store says is looked at with each of its writes.
const lookEvery = 50 * time.Millisecond

// run is one run of a scenario.
type run struct {
	s       *Scenario
	scene   *sim.Scene
	holders map[ha.VMID]place
	stopped []ha.VMID // guests that ended on a machine that ran on
	broken  []sim.Violation
	told    int // transitions already looked at
}

// place is where a guest was able to write when it was last looked at.
type place struct{ host, boot string }

// Run runs the scenario. out receives the readable trace when not nil. seed 0 is the scenario's own.
func (s *Scenario) Run(out io.Writer, seed uint64) Report {
	if s.site.wrong != nil || s.refused != "" {
		return s.runRefused()
	}
	r := &run{s: s, holders: map[ha.VMID]place{}}
	r.scene = sim.NewScene(s.elected(s.spec(seed)), out)
	for _, x := range s.subjects {
		x.line = nil
	}
	r.scene.OnChange(r.look)
	if r.until(s.until) {
		ended := r.report()
		r.scene.OnChange(nil)
		r.scene.Calm()
		if r.step(s.until+s.settle) && !slices.Contains(s.allowed, "stuck") {
			r.judged(r.scene.Order())
		}
		ended.Violations = r.broken
		return ended
	}
	rep := r.report()
	rep.Failures = nil // it was cut short by the violation
	return rep
}

// spec is the site with the scenario's commands and times.
func (s *Scenario) spec(seed uint64) sim.Spec {
	x := s.site.spec
	if seed != 0 {
		x.Seed = seed
	}
	x.Length, x.Settle = s.until, s.settle
	x.Commands = nil
	for _, c := range s.commands {
		x.Commands = append(x.Commands, c.Command)
	}
	return x
}

// elections under so many seeds, the next one each time, until the site's node wins.
const electionTries = 100

// elected draws until the nodes that the site wants lead the cluster and the store at the beginning.
func (s *Scenario) elected(x sim.Spec) sim.Spec {
	if s.site.leader == "" && s.site.raft == "" {
		return x
	}
	at := x.Timing.QuietTime(0) + 4*time.Second
	try := x
	try.Commands = slices.DeleteFunc(slices.Clone(x.Commands), func(c sim.Command) bool { return c.At > at })
	for range electionTries {
		c := sim.NewScene(try, nil)
		c.StepTo(at)
		l := c.Truth().Leader
		if l != nil && (s.site.leader == "" || string(l.Node) == s.site.leader) && (s.site.raft == "" || c.Raft() == s.site.raft) {
			break
		}
		try.Seed++
	}
	x.Seed = try.Seed
	return x
}

// runRefused is for scenarios about a site that the product does not start on.
func (s *Scenario) runRefused() Report {
	rep := Report{}
	switch {
	case s.site.wrong == nil:
		rep.Failures = append(rep.Failures, Failure{Text: "refused " + s.refused, Seen: "nothing is wrong with this site"})
	case s.refused == "" || !strings.Contains(s.site.wrong.Error(), s.refused):
		rep.Failures = append(rep.Failures, Failure{Text: "refused " + s.refused, Seen: s.site.wrong.Error()})
	}
	return rep
}

// until looks at everything from moment to moment; false when the judge found something that is not allowed.
func (r *run) until(end time.Duration) bool {
	for t := r.scene.Now(); t < end; {
		t = min(end, t+lookEvery)
		if !r.step(t) {
			return false
		}
		r.look()
	}
	return true
}

// step takes the world to a time, over violations that are allowed.
func (r *run) step(t time.Duration) bool {
	for r.scene.Now() < t {
		if r.judged(r.scene.StepTo(t)) {
			return false
		}
	}
	return true
}

// judged notes what is not allowed of what the judge found, and says whether there was any.
func (r *run) judged(found []sim.Violation) bool {
	for _, v := range found {
		if !slices.Contains(r.s.allowed, v.Rule) {
			r.broken = append(r.broken, v)
		}
	}
	return len(r.broken) > 0
}

// look notes the present values.
func (r *run) look() {
	told := r.scene.Stored()[r.told:]
	r.told += len(told)
	for _, x := range r.s.subjects {
		x.look(r.scene, told)
	}
	for _, g := range r.s.site.spec.Guests {
		r.lookAt(g.ID)
	}
}

// lookAt notices a guest that ended although its machine runs on, and nobody else runs it.
func (r *run) lookAt(id ha.VMID) {
	on := r.scene.Holds(id)
	was, ran := r.holders[id]
	if len(on) > 0 {
		r.holders[id] = place{on[0], r.scene.Boot(on[0])}
		return
	}
	delete(r.holders, id)
	if ran && was.boot != "" && r.scene.Boot(was.host) == was.boot && !slices.Contains(r.stopped, id) {
		r.stopped = append(r.stopped, id)
	}
}

// What can be counted, and what of it for one node.
var (
	countWords    = []string{"resets", "power-offs", "stopped-guests", "starts", "fencings", "fenced", "suspects", "promises", "deputies", "elections"}
	countedByNode = []string{"resets", "power-offs", "fencings", "fenced", "suspects"}
)

// count counts, and lists what it counted.
func (r *run) count(what, node string) (int, []string) {
	switch what {
	case "resets":
		return ended(r.scene.Resets(), node)
	case "power-offs":
		return ended(r.scene.PowerOffs(), node)
	case "stopped-guests":
		return len(r.stopped), []string{fmt.Sprint(r.stopped)}
	case "starts":
		return r.scene.Starts(), nil
	case "promises":
		return r.scene.Promises(), nil
	case "deputies":
		return r.scene.Deputies(), nil
	case "elections":
		return r.elections()
	}
	to := map[string]ha.NodeState{"fencings": ha.NodeFencing, "fenced": ha.NodeFenced, "suspects": ha.NodeSuspect}[what]
	var list []string
	for _, t := range r.scene.Stored() {
		if t.To == string(to) && t.From != t.To && t.Guest == 0 && (node == "" || string(t.Node) == node) {
			list = append(list, fmt.Sprintf("%s at %s", t.Node, clock(t.At)))
		}
	}
	return len(list), list
}

// elections counts how often somebody began to lead.
func (r *run) elections() (int, []string) {
	for _, x := range r.s.subjects {
		if x.name == "leader" {
			n := 0
			for _, m := range x.line {
				if m.value != nothing {
					n++
				}
			}
			return n, []string{x.text()}
		}
	}
	return 0, []string{"the scenario does not look at the leader"}
}

func ended(of []sim.Ended, node string) (int, []string) {
	var list []string
	for _, e := range of {
		if node == "" || e.Host == node {
			list = append(list, fmt.Sprintf("%s by %s at %s", e.Host, e.By, clock(e.At)))
		}
	}
	return len(list), list
}
