package doctor

import "fmt"

// versions: whether the two processes of one node fit together. Different versions among nodes are hactl status's.
var versions = check{
	kinds: []Kind{
		{ID: "guard-version", Grades: []Severity{Info}, Title: "A node's guard is of another version than its basculed",
			Why: "after an upgrade the guard goes on as it was until it is restarted: what is new in it does not work yet",
			Do:  "nothing: it is renewed when the node boots. At once, best while the node is drained: systemctl stop basculed; systemctl restart bascule-guard; systemctl start basculed"},
	},
	run: func(x *exam) {
		for _, f := range x.agents() {
			if g := f.Guard; g != nil && g.Version != "" && f.Daemon != "" && g.Version != f.Daemon {
				x.add(Finding{ID: "guard-version", Severity: Info, Node: f.Node, Evidence: fmt.Sprintf("guard %s, basculed %s", g.Version, f.Daemon)})
			}
		}
	},
}
