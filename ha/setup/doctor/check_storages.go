package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bascule/ha"
)

// storages: whether what is called shared is one and the same on every node.
var storages = check{
	kinds: []Kind{
		{ID: "storage-not-shared", Grades: []Severity{Critical, OK}, Title: "A storage is marked shared and is not one and the same everywhere",
			Why: "a guest would be recovered onto a node where its disk is missing, or where an old copy of it lies under the same name",
			Do:  "mount or export the same thing on every node, or take \"shared\" off the storage (pvesm set NAME --shared 0) and restrict it to the nodes that have it (--nodes)"},
		{ID: "lun-paths", Grades: []Severity{Warning}, Title: "A disk of the SAN has fewer paths than it should",
			Why: "one more broken path, and the node loses the storage with all guests on it",
			Do:  "multipath -ll; look at cables, switch ports and the target's portals (iscsiadm -m session)"},
	},
	run: func(x *exam) {
		for _, name := range x.sharedNames() {
			x.shared(name)
		}
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

func (x *exam) sharedNames() []string {
	names := map[string]bool{}
	for _, f := range x.agents() {
		for _, s := range f.Storages {
			if s.Shared {
				names[s.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// shared compares what stands behind a storage on each node.
func (x *exam) shared(name string) {
	by := map[string][]ha.NodeName{}
	var behind []string
	for _, f := range x.agents() {
		i := slices.IndexFunc(f.Storages, func(s Storage) bool { return s.Name == name && s.Shared && s.Behind != "" })
		if i < 0 {
			continue
		}
		b := f.Storages[i].Behind
		if by[b] == nil {
			behind = append(behind, b)
		}
		by[b] = append(by[b], f.Node)
	}
	switch len(behind) {
	case 0:
		return
	case 1:
		if len(by[behind[0]]) > 1 {
			x.add(Finding{ID: "storage-not-shared", Severity: OK, Subject: "storage " + name, Evidence: fmt.Sprintf("the same on %s: %s", words(by[behind[0]]), behind[0])})
		}
		return
	}
	var parts []string
	for _, b := range behind {
		parts = append(parts, fmt.Sprintf("%s on %s", b, words(by[b])))
	}
	x.add(Finding{ID: "storage-not-shared", Severity: Critical, Subject: "storage " + name, Evidence: strings.Join(parts, "; ")})
}
