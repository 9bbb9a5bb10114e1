package peer

import (
	"strings"
	"time"

	"bascule/ha"
)

// observe looks at new transitions: a guest that goes into recovery while its node is down was recovered from it.
func (r *run) observe() {
	all := r.scene.Stored()
	for _, t := range all[r.seen:] {
		if t.Guest != 0 && t.To == string(ha.GuestRecovery) && r.down[string(t.Node)] && !strings.HasPrefix(t.Reason, "start failed") {
			r.recovered[string(t.Node)] = true
		}
	}
	r.seen = len(all)
}

const sampleEvery = 5 * time.Second

// sampleRules looks now and then whether the rules are kept. One that never was in the way of what Bascule did by itself does not
// matter for the scenario.
func (r *run) sampleRules() {
	if len(r.s.Rules) == 0 {
		return
	}
	for i := range r.s.Rules {
		if !r.bound[r.s.Rules[i].Name] && !r.kept(&r.s.Rules[i]) {
			r.scene.Say("rule %s is not kept", r.s.Rules[i].Name)
			r.bound[r.s.Rules[i].Name] = true
		}
	}
	r.scene.In(sampleEvery, r.sampleRules)
}

// runs is where a guest runs now, "" for nowhere.
func (r *run) runs(id string) string {
	if on := r.scene.RunsOn(r.ids[id]); len(on) > 0 {
		return on[0]
	}
	return ""
}

// kept says whether a rule is kept by all guests that run now.
func (r *run) kept(rule *Rule) bool {
	if rule.Kind == "node" {
		return r.keptNodes(rule)
	}
	first := ""
	used := map[string]bool{}
	for _, id := range rule.Guests {
		n := r.runs(id)
		switch {
		case n == "":
		case rule.Kind == "apart" && used[n], rule.Kind == "together" && first != "" && first != n:
			return false
		default:
			used[n], first = true, n
		}
	}
	return true
}

// keptNodes: each running guest is on one of the best nodes that are up; a preferred rule whose nodes are all down allows any.
func (r *run) keptNodes(rule *Rule) bool {
	best, some := 0, false
	for n, p := range rule.Nodes {
		if !r.down[n] && r.scene.Boot(n) != "" && (!some || p > best) {
			best, some = p, true
		}
	}
	for _, id := range rule.Guests {
		n := r.runs(id)
		p, listed := rule.Nodes[n]
		switch {
		case n == "":
		case rule.Strict && !listed, some && (!listed || p < best):
			return false
		}
	}
	return true
}
