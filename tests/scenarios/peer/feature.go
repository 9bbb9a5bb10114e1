package peer

import "slices"

// Feature is something that a scenario asks for and the product does not have.
type Feature struct {
	Name     string
	Unplayed bool                // a command was left out: the end says nothing
	Needed   bool                // waited for, whatever the end: without it the same end is luck
	Explains func(Mismatch) bool // which differences it accounts for
}

// ofGuest is a feature whose lack accounts for whatever becomes of one guest.
func ofGuest(name, id string) Feature {
	return Feature{Name: name, Explains: func(m Mismatch) bool { return m.Guest == id }}
}

// policies are the features that the scenario's files ask for. They account for a guest on another node, and for one that waits in
// recovery because no node is allowed: never for a guest that is lost, in error, or runs nowhere.
func (r *run) policies() []Feature {
	var out []Feature
	placed := func(m Mismatch) bool { return m.Placement || m.Waits }
	for _, rule := range r.s.Rules {
		name := map[string]string{"node": "node affinity", "together": "resource affinity (together)", "apart": "resource affinity (apart)"}[rule.Kind]
		out = append(out, Feature{Name: name, Needed: r.bound[rule.Name], Explains: placed})
	}
	switch r.s.Schedule.Mode {
	case "static":
		out = append(out, Feature{Name: "placement by configured load", Explains: placed})
	case "dynamic":
		out = append(out, Feature{Name: "placement by measured load", Explains: placed})
	}
	if r.s.Schedule.RebalanceOnStart {
		out = append(out, Feature{Name: "placement at the first start", Explains: placed})
	}
	if r.s.Schedule.AutoRebalance {
		out = append(out, Feature{Name: "automatic rebalancing", Explains: placed})
	}
	if limitsDiffer(r.s) {
		out = append(out, Feature{Name: "max_restart and max_relocate per guest", Unplayed: true})
	}
	return out
}

// waits are the names of the features that the scenario waits for, none when all differences have another reason. A difference that no
// missing feature accounts for is left for the caller.
func (r *run) waits(diff []Mismatch) (names []string, unexplained []Mismatch) {
	add := func(n string) {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	all := slices.Concat(r.missing, r.policies())
	for _, f := range all {
		if f.Unplayed {
			add(f.Name)
		}
	}
	if len(names) > 0 {
		return names, nil
	}
	for _, f := range all {
		if f.Needed {
			add(f.Name)
		}
	}
	for _, m := range diff {
		explained := m.Guest == "" && r.elsewhere(diff, all)
		for _, f := range all {
			if f.Explains != nil && f.Explains(m) {
				add(f.Name)
				explained = true
			}
		}
		if !explained {
			unexplained = append(unexplained, m)
		}
	}
	return names, unexplained
}

// elsewhere says whether the recovered nodes may differ because guests stood elsewhere when a node died: a rule was not kept, or a guest
// ends on another node than the peer's for a reason that a missing feature gives.
func (r *run) elsewhere(diff []Mismatch, all []Feature) bool {
	return slices.ContainsFunc(all, func(f Feature) bool {
		return f.Needed || f.Explains != nil && slices.ContainsFunc(diff, func(m Mismatch) bool { return m.Guest != "" && f.Explains(m) })
	})
}
