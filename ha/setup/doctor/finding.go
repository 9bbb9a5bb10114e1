package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// Severity grades a finding.
type Severity string

// Severities, from well to grave. OK says that something was looked at and is as it should be.
const (
	OK       Severity = "ok"
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Severities lists them from well to grave.
func Severities() []Severity { return []Severity{OK, Info, Warning, Critical} }

// AtLeast says whether s is as grave as o, or graver.
func (s Severity) AtLeast(o Severity) bool {
	all := Severities()
	return slices.Index(all, s) >= slices.Index(all, o)
}

// Finding is one thing that was looked at: what was seen, why it matters, what to do.
type Finding struct {
	ID       string      `json:"id"` // stable: scripts and docs/findings.md name it
	Severity Severity    `json:"severity"`
	Node     ha.NodeName `json:"node,omitempty"` // whose it is; empty: the cluster's
	Subject  string      `json:"subject"`        // "cluster", "node node2", "VM 101", "storage nas"
	Evidence string      `json:"evidence"`       // what was seen, measured or answered
	Why      string      `json:"why,omitempty"`
	Remedy   string      `json:"remedy,omitempty"`
}

// Kind is something that a check may find: its page in docs/findings.md.
type Kind struct {
	ID     string     `json:"id"`
	Grades []Severity `json:"severities"` // that it may have
	Title  string     `json:"title"`      // one line, without its end
	Why    string     `json:"why"`        // why it matters
	Do     string     `json:"remedy"`     // what the operator does
}

// check is one family of kinds and the function that finds them.
type check struct {
	kinds []Kind
	run   func(*exam)
}

// exam is one examination under way.
type exam struct {
	Cluster
	kinds    map[string]Kind
	findings []Finding
}

// add notes a finding. Why and Remedy are those of the kind where the check says nothing else.
func (x *exam) add(f Finding) {
	k := x.kinds[f.ID]
	f.Why, f.Remedy = cmp.Or(f.Why, k.Why), cmp.Or(f.Remedy, k.Do)
	if f.Subject == "" {
		f.Subject = "cluster"
		if f.Node != "" {
			f.Subject = "node " + string(f.Node)
		}
	}
	if f.Severity == OK {
		f.Why, f.Remedy = "", ""
	}
	x.findings = append(x.findings, f)
}

// found says whether one of these kinds was found at a node, graver than OK.
func (x *exam) found(node ha.NodeName, ids ...string) bool {
	return slices.ContainsFunc(x.findings, func(f Finding) bool {
		return f.Node == node && f.Severity != OK && slices.Contains(ids, f.ID)
	})
}

// Examine runs every check. The order is fixed: the gravest first, then in the order of the checks, then by node and subject.
func Examine(c Cluster) []Finding {
	x := &exam{Cluster: c, kinds: map[string]Kind{}}
	rank := map[string]int{}
	for i, k := range Kinds() {
		x.kinds[k.ID], rank[k.ID] = k, i
	}
	for _, check := range checks {
		check.run(x)
	}
	slices.SortStableFunc(x.findings, func(a, b Finding) int {
		if a.Severity != b.Severity {
			if a.Severity.AtLeast(b.Severity) {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(rank[a.ID], rank[b.ID]), cmp.Compare(c.position(a.Node), c.position(b.Node)), cmp.Compare(a.Node, b.Node),
			cmp.Compare(len(a.Subject), len(b.Subject)), cmp.Compare(a.Subject, b.Subject))
	})
	return slices.CompactFunc(x.findings, func(a, b Finding) bool { return a == b })
}

// Worst is the gravest severity among the findings; OK when there is none.
func Worst(findings []Finding) Severity {
	worst := OK
	for _, f := range findings {
		if f.Severity.AtLeast(worst) {
			worst = f.Severity
		}
	}
	return worst
}

// Kinds lists everything that may be found, in the order of the checks.
func Kinds() []Kind {
	var out []Kind
	for _, c := range checks {
		out = append(out, c.kinds...)
	}
	return out
}

// Explain returns a kind by its id.
func Explain(id string) (Kind, bool) {
	all := Kinds()
	i := slices.IndexFunc(all, func(k Kind) bool { return k.ID == id })
	if i < 0 {
		return Kind{}, false
	}
	return all[i], true
}

// words lists names as people read them: "a", "a and b", "a, b and c".
func words[T ~string](names []T) string {
	var out []string
	for _, n := range names {
		out = append(out, string(n))
	}
	if len(out) < 2 {
		return strings.Join(out, "")
	}
	return strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1]
}

// plural counts things: "1 guest", "3 guests".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// bounded joins at most eight texts and counts the rest.
func bounded(parts []string) string {
	if more := len(parts) - 8; more > 0 {
		return strings.Join(parts[:8], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(parts, "; ")
}
