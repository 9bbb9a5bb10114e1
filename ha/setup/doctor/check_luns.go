package doctor

import (
	"fmt"
)

// luns: whether each disk of a SAN has all its paths.
var luns = check{
	kinds: []Kind{
		{ID: "lun-paths", Grades: []Severity{Warning}, Title: "A disk of the SAN has fewer paths than it should",
			Why: "one more broken path, and the node loses the storage with all guests on it",
			Do:  "multipath -ll; look at cables, switch ports and the target's portals (iscsiadm -m session)"},
	},
	run: func(x *exam) {
		for _, f := range x.agents() {
			for _, l := range f.Luns {
				if l.Active < l.Paths || l.Paths == 1 && x.mostPaths(l.WWN) > 1 {
					x.add(Finding{ID: "lun-paths", Severity: Warning, Node: f.Node, Subject: "LUN " + l.WWN, Evidence: fmt.Sprintf("%s: %d of %d paths work", l.Device, l.Active, max(l.Paths, x.mostPaths(l.WWN)))})
				}
			}
		}
	},
}

// mostPaths is the largest number of paths that any node has to a LUN.
func (x *exam) mostPaths(wwn string) int {
	most := 0
	for _, f := range x.agents() {
		for _, l := range f.Luns {
			if l.WWN == wwn {
				most = max(most, l.Paths)
			}
		}
	}
	return most
}
