package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// markSettled is how old a member's mark must be before another one that does not find it is evidence: NFS may show a directory as it was
// a minute ago, and members are asked up to 40 s one after the other.
const markSettled = 2 * time.Minute

// shared: whether a storage that is called shared is one and the same on every node. What a member wrote there and another one finds, or
// does not find, counts first; what is mounted is compared where no mark says more.
var shared = check{
	kinds: []Kind{
		{ID: "storage-not-shared", Grades: []Severity{Critical, OK}, Title: "A storage is marked shared and is not one and the same everywhere",
			Why: "a guest would be recovered onto a node where its disk is missing, or where an old copy of it lies under the same name",
			Do:  "mount or export the same thing on every node (findmnt DIRECTORY shows what is there), or take \"shared\" off the storage (pvesm set NAME --shared 0) and restrict it to the nodes that have it (--nodes); three minutes after it was mended it is no longer found"},
	},
	run: func(x *exam) {
		for _, name := range x.sharedNames() {
			x.shared(name)
		}
	},
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

// shared judges one storage: who finds whose marks, and where that says nothing, what stands behind it on each node.
func (x *exam) shared(name string) {
	same := groups{}
	var apart, mounted []string
	marks := 0
	for _, reader := range x.agents() {
		if s := storageOf(reader, name); s != nil && s.Behind != "" {
			same.join(string(reader.Node), s.Behind)
			mounted = append(mounted, s.Behind)
		}
		for _, writer := range x.agents() {
			switch found, why := finds(name, reader, writer); {
			case why != "":
				apart = append(apart, why)
			case found:
				same.join(string(reader.Node), string(writer.Node))
				marks++
			}
		}
	}
	var by [][]ha.NodeName // nodes of which something is known, by what they have in common
	var roots []string
	for _, f := range x.agents() {
		root, known := same.of(string(f.Node))
		if !known || storageOf(f, name) == nil {
			continue
		}
		i := slices.Index(roots, root)
		if i < 0 {
			i, roots, by = len(roots), append(roots, root), append(by, nil)
		}
		by[i] = append(by[i], f.Node)
	}
	subject := "storage " + name
	switch {
	case len(apart) > 0:
		if d := x.differently(name); d != "" {
			apart = append(apart, "mounted there: "+d)
		}
		x.add(Finding{ID: "storage-not-shared", Severity: Critical, Subject: subject, Evidence: bounded(apart)})
	case len(by) > 1 && x.differently(name) != "":
		x.add(Finding{ID: "storage-not-shared", Severity: Critical, Subject: subject, Evidence: x.differently(name)})
	case len(by) == 1 && len(by[0]) > 1 && marks > 0:
		x.add(Finding{ID: "storage-not-shared", Severity: OK, Subject: subject, Evidence: fmt.Sprintf("%s find there what others have written", words(by[0]))})
	case len(by) == 1 && len(by[0]) > 1:
		x.add(Finding{ID: "storage-not-shared", Severity: OK, Subject: subject, Evidence: fmt.Sprintf("the same on %s: %s", words(by[0]), mounted[0])})
	}
}

// storageOf is a node's storage of this name, if it is called shared there.
func storageOf(f Facts, name string) *Storage {
	if i := slices.IndexFunc(f.Storages, func(s Storage) bool { return s.Name == name && s.Shared }); i >= 0 {
		return &f.Storages[i]
	}
	return nil
}

// differently words what is mounted where; "" when it is the same everywhere, or not known.
func (x *exam) differently(name string) string {
	by := map[string][]ha.NodeName{}
	var behind []string
	for _, f := range x.agents() {
		if s := storageOf(f, name); s != nil && s.Behind != "" {
			if by[s.Behind] == nil {
				behind = append(behind, s.Behind)
			}
			by[s.Behind] = append(by[s.Behind], f.Node)
		}
	}
	if len(behind) < 2 {
		return ""
	}
	var parts []string
	for _, b := range behind {
		parts = append(parts, fmt.Sprintf("%s on %s", b, words(by[b])))
	}
	return strings.Join(parts, "; ")
}

// finds says whether one node finds what another one wrote on a storage; with why it is evidence that it does not. Neither: nothing is known.
func finds(name string, reader, writer Facts) (found bool, why string) {
	r, w := marksOf(reader, name), marksOf(writer, name)
	if reader.Node == writer.Node || r == nil || w == nil || r.Problem != "" || len(w.Wrote) == 0 || storageOf(reader, name) == nil || storageOf(writer, name) == nil {
		return false, ""
	}
	var settled *Mark // the newest that everybody should find by now
	for i := range w.Wrote {
		if w.Wrote[i].Age >= markSettled {
			settled = &w.Wrote[i]
		}
	}
	i := slices.IndexFunc(r.Found, func(m Mark) bool { return m.Node == writer.Node })
	if i < 0 && settled != nil {
		return false, fmt.Sprintf("%s does not find there what %s wrote %s ago", reader.Node, writer.Node, round(settled.Age))
	}
	if i < 0 || r.Found[i].Unread != "" || r.Found[i].Cluster != w.Wrote[0].Cluster { // another cluster's node may have the same name
		return false, ""
	}
	m := r.Found[i]
	fresh := m.Life == w.Wrote[0].Life && m.Count >= w.Wrote[0].Count
	if settled != nil && (!fresh || m.Count < settled.Count) {
		return false, fmt.Sprintf("%s finds there an old copy of what %s wrote, not what it wrote %s ago", reader.Node, writer.Node, round(settled.Age))
	}
	return fresh, ""
}

func marksOf(f Facts, name string) *Marks {
	if i := slices.IndexFunc(f.Marks, func(m Marks) bool { return m.Storage == name }); i >= 0 {
		return &f.Marks[i]
	}
	return nil
}

// groups are sets of what belongs together: each member's value is one that stands for it, in the end itself.
type groups map[string]string

// of is what stands for the whole set; known: it was joined to something.
func (g groups) of(a string) (root string, known bool) {
	next, known := g[a]
	for known && next != a {
		a, next = next, g[next]
	}
	return a, known
}

func (g groups) join(a, b string) {
	for _, v := range []string{a, b} {
		g[v] = cmp.Or(g[v], v)
	}
	ra, _ := g.of(a)
	rb, _ := g.of(b)
	g[ra] = rb
}
