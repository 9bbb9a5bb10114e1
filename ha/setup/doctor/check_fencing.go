package doctor

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// fencing: whether each node could be proven off today, by whoever may have to do it.
var fencing = check{
	kinds: []Kind{
		{ID: "fence-none", Grades: []Severity{Critical, OK}, Title: "Nothing could prove a node off today",
			Why: "if it died now, its guests would stay down until an operator has looked at the machine",
			Do:  "hactl fence test NODE shows each step and what it lacks; repair a device, or arm the node's watchdog"},
		{ID: "fence-device-broken", Grades: []Severity{Critical}, Title: "A fencing device would not work today",
			Why: "nobody could use it: its address, account or cable is wrong, it hangs, or it is another machine's. An \"off\" of another machine's device destroys data",
			Do:  "repair it while the node lives: address, account, cable and its entry in basculed.yaml; then hactl fence test NODE"},
		{ID: "fence-device-partly", Grades: []Severity{Warning}, Title: "A fencing device works from some nodes only",
			Why: "any node may lead, and so may have to use it: fencing would fail, or take longer, under the wrong leader",
			Do:  "open the way from the named nodes to the device (firewall, VLAN, route), then hactl doctor again"},
		{ID: "fence-device-unproven", Grades: []Severity{Warning}, Title: "A fencing device proves nothing yet",
			Why: "it answers, but has not shown that it is this machine's (no system UUID), or not since the node booted",
			Do:  "wait two minutes after a boot; a device that tells no UUID needs a test by hand: hactl fence test NODE --confirm DEVICE"},
		{ID: "fence-self-only", Grades: []Severity{Info}, Title: "Only its own watchdog proves a node's end",
			Why: "guests wait until the watchdog has surely ended the node, instead of the second or two that a device takes",
			Do:  "a BMC, a power strip or the provider's robot API in basculed.yaml makes recovery faster (docs/fencing.md)"},
		{ID: "fence-busy", Grades: []Severity{Info}, Title: "A node's devices were not asked",
			Why: "the node is suspect or being fenced: the leader needs its devices now",
			Do:  "run hactl doctor again when hactl status is calm"},
	},
	run: func(x *exam) {
		for _, m := range x.Members {
			if seen := x.seenBy(m.Name); !m.Witness && len(seen) > 0 {
				x.fence(m.Name, seen)
			}
		}
	},
}

// sight is one node's view of another's fencing.
type sight struct {
	by ha.NodeName
	FenceNode
}

// seenBy collects the tests of a node by the others; its own only where no other looked, since another node would fence it.
func (x *exam) seenBy(n ha.NodeName) []sight {
	var own, others []sight
	for _, t := range x.Fencing {
		for _, tested := range t.Nodes {
			switch {
			case tested.Node != n:
			case t.By == n:
				own = append(own, sight{t.By, tested})
			default:
				others = append(others, sight{t.By, tested})
			}
		}
	}
	if len(others) > 0 {
		return others
	}
	return own
}

func (x *exam) fence(n ha.NodeName, seen []sight) {
	if slices.ContainsFunc(seen, func(s sight) bool { return s.Busy }) {
		x.add(Finding{ID: "fence-busy", Severity: Info, Node: n, Evidence: fmt.Sprintf("%s is %s", n, seen[0].State)})
		return
	}
	if seen[0].State == ha.NodeFenced || seen[0].State == ha.NodeOffline {
		return
	}
	for _, d := range seen[0].Devices {
		if !x.told(n, "device "+d.Name) {
			x.fenceDevice(n, d.Name, seen)
		}
	}
	provable := slices.ContainsFunc(seen, func(s sight) bool { return s.Provable })
	armed := slices.ContainsFunc(seen, func(s sight) bool { return s.Armed })
	switch {
	case !provable && !armed:
		x.add(Finding{ID: "fence-none", Severity: Critical, Node: n, Evidence: seen[0].Verdict})
	case !provable && len(seen[0].Devices) == 0:
		x.add(Finding{ID: "fence-self-only", Severity: Info, Node: n, Evidence: seen[0].Verdict})
	case provable:
		x.add(Finding{ID: "fence-none", Severity: OK, Node: n, Evidence: seen[0].Verdict})
	}
}

// told says whether a check before has told what is wrong with something of a node.
func (x *exam) told(n ha.NodeName, subject string) bool {
	return slices.ContainsFunc(x.findings, func(f Finding) bool { return f.Node == n && f.Subject == subject && f.Severity != OK })
}

// fenceDevice judges one device of a node by what it said to each that read it.
func (x *exam) fenceDevice(n ha.NodeName, device string, seen []sight) {
	var works, fails []ha.NodeName
	var problems, lacks []string
	method := ""
	for _, s := range seen {
		i := slices.IndexFunc(s.Devices, func(d FenceDevice) bool { return d.Name == device })
		if i < 0 {
			continue
		}
		d := s.Devices[i]
		method = d.Method
		switch {
		case d.Problem != "":
			fails = append(fails, s.by)
			if !slices.Contains(problems, d.Problem) {
				problems = append(problems, d.Problem)
			}
		case !d.Usable:
			lacks = append(lacks, d.Why)
		default:
			works = append(works, s.by)
		}
	}
	f := Finding{Node: n, Subject: "device " + device}
	switch {
	case len(fails) > 0 && len(works) > 0:
		f.ID, f.Severity, f.Evidence = "fence-device-partly", Warning, fmt.Sprintf("%s works from %s, not from %s: %s", method, words(works), words(fails), bounded(problems))
	case len(fails) > 0:
		f.ID, f.Severity, f.Evidence = "fence-device-broken", Critical, fmt.Sprintf("%s, read by %s: %s", method, words(fails), bounded(problems))
	case len(lacks) > 0:
		f.ID, f.Severity, f.Evidence = "fence-device-unproven", Warning, fmt.Sprintf("%s: %s", method, strings.TrimSuffix(lacks[0], "; "))
	default:
		return
	}
	x.add(f)
}
