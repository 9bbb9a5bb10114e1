package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// finder collects what is wrong in a view. Each method looks at one thing; findProblems lists them all.
type finder struct {
	v   View
	s   Status // already holds nodes and guests
	id  string // of what is looked at now
	out []Problem
}

// about names what is looked at next: the id of its problems, which hactl doctor's page (docs/findings.md) explains.
func (f *finder) about(id string) *finder {
	f.id = id
	return f
}

// findProblems returns what is wrong, the gravest first, in a fixed order within one severity.
func findProblems(v View, s Status) []Problem {
	f := &finder{v: v, s: s, out: []Problem{}}
	f.about("store").store()
	f.about("store-stale").snapshot()
	f.about("leader-none").leader()
	f.about("permit-none").permit()
	f.about("guard-away").guard()
	f.about("proxmox-quorum").proxmoxQuorum()
	f.about("proxmox-votes").votes()
	for _, n := range s.Nodes {
		f.about("node-state").node(n)
	}
	f.guests()
	f.about("storage-lost").storages()
	f.about("record-unreadable").unreadable()
	f.about("version-mix").versions()
	f.about("node-reports").reported()
	rank := map[Severity]int{Critical: 0, Warning: 1, Info: 2}
	slices.SortStableFunc(f.out, func(a, b Problem) int { return rank[a.Severity] - rank[b.Severity] })
	return f.out
}

func (f *finder) add(sev Severity, subject, what, why, do string) {
	p := Problem{ID: f.id, Severity: sev, Subject: subject, What: what, Why: why, Do: do}
	if !slices.Contains(f.out, p) {
		f.out = append(f.out, p)
	}
}

// since words how long something has lasted by the answering node's clock; "" where the start is not known.
func (f *finder) since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " (for " + Ago(f.v.Wall.Sub(t)) + ")"
}

func nodeSubject(n ha.NodeName) string { return "node " + string(n) }

// joined strings the parts that are not empty together.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}

// versions tells of an upgrade that is not finished.
func (f *finder) versions() {
	by := map[string][]ha.NodeName{}
	for _, n := range f.s.Nodes {
		if n.Lease && n.Version != "" {
			by[n.Version] = append(by[n.Version], n.Name)
		}
	}
	if k := f.v.Snapshot.NewerSchema; k != "" {
		f.add(Warning, nodeSubject(f.v.Self), fmt.Sprintf("basculed %s on %s is older than the cluster's records and does not lead", f.v.Version, f.v.Self),
			fmt.Sprintf("a newer basculed wrote the record %s", k), fmt.Sprintf("upgrade basculed on %s", f.v.Self))
	}
	if len(by) < 2 {
		return
	}
	var parts []string
	for ver, nodes := range by {
		parts = append(parts, fmt.Sprintf("%s on %s", ver, list(nodes)))
	}
	slices.Sort(parts)
	f.add(Info, "cluster", "the nodes run different versions of basculed", bounded(parts), "finish the upgrade; the versions work together meanwhile")
}

// tokenDo is said beside every complaint about a token's privileges (they show as shorter lists, not as errors).
const tokenDo = "give basculed's user and token a role with Sys.Audit, VM.Audit, Datastore.Audit, VM.PowerMgmt and VM.Migrate on / (pveum acl modify /)"

// reported passes on what the nodes say of themselves.
func (f *finder) reported() {
	for _, p := range f.v.Problems {
		f.add(Warning, nodeSubject(f.v.Self), p, "", hint(p))
	}
	for _, n := range f.s.Nodes {
		for _, p := range f.v.Snapshot.Reports[n.Name].Rec.Problems {
			f.add(Warning, nodeSubject(n.Name), p, "", hint(p))
		}
	}
}
