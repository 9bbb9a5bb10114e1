package doctor

import (
	"fmt"
	"strings"
	"time"

	"bascule/ha"
)

// answers: who could be examined at all.
var answers = check{
	kinds: []Kind{
		{ID: "node-unanswered", Grades: []Severity{Warning, Info}, Title: "A member could not be examined",
			Why: "what is weak on it is not known, and findings about the way to it may be missing",
			Do:  "see that it is up and that basculed runs there (systemctl status basculed); on that machine itself, hactl doctor --local looks without basculed"},
		{ID: "probe-silent", Grades: []Severity{Warning}, Title: "A probe did not answer",
			Why: "the probe was given up after its time, so that the doctor never hangs; what it should have looked at is not known, and what it waited for may hang for guests too",
			Do:  "look at what the probe names on that node; a storage or a file system that hangs shows in dmesg and as processes in state D"},
		{ID: "facts-newer", Grades: []Severity{Info}, Title: "A member's basculed is newer than this hactl",
			Why: "its facts may hold more than this hactl judges",
			Do:  "run hactl doctor on the machine with the newest version, or finish the upgrade"},
	},
	run: func(x *exam) {
		for _, m := range x.Members {
			f, ok := x.Facts[m.Name]
			if !ok {
				x.unanswered(m.Name)
				continue
			}
			if f.Version > FactsVersion {
				x.add(Finding{ID: "facts-newer", Severity: Info, Node: m.Name, Evidence: fmt.Sprintf("basculed %s writes facts of version %d, this hactl knows %d", f.Daemon, f.Version, FactsVersion)})
			}
			for _, s := range f.Silent {
				x.add(Finding{ID: "probe-silent", Severity: Warning, Node: m.Name, Subject: "probe " + s.Probe, Evidence: fmt.Sprintf("%s, after %s", s.Why, round(s.After))})
			}
		}
	},
}

func (x *exam) unanswered(n ha.NodeName) {
	why, asked := x.Silent[n]
	if !asked {
		return // only some were to be examined
	}
	sev := Warning
	switch x.States[n] {
	case ha.NodeOffline, ha.NodeMaintenance, ha.NodeFenced:
		sev = Info
		why += fmt.Sprintf(" (it is %s)", x.States[n])
	}
	x.add(Finding{ID: "node-unanswered", Severity: sev, Node: n, Evidence: why})
}

// round words a duration as people read it, with at most one decimal: "14.5 s", "80 s", "9 ms", "0.4 ms".
func round(d time.Duration) string {
	unit, name := time.Second, "s"
	if d < time.Second {
		unit, name = time.Millisecond, "ms"
	}
	x := float64(d) / float64(unit)
	if x >= 20 {
		return fmt.Sprintf("%.0f %s", x, name)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0") + " " + name
}
