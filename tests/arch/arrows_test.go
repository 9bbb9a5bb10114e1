package arch

import (
	"fmt"
	"strings"
	"testing"
)

// row says which packages of the module a package may import from its non-test files. Patterns: "x" exactly, "x/*" one level
// below, "x/..." x and everything below, "..." everything. The first row that fits counts. Within one adapter or method (ha/etcd/…,
// fencing/redfish/…) packages may import each other.
type row struct {
	pkg string
	may []string
}

// pure are the packages that know no clock, goroutine, I/O, log or global randomness.
var pure = []string{"ha", "ha/leader", "ha/node", "ha/ladder", "ha/placement"}

// arrows is the design's picture: ha ← pure machines ← agent; adapters → ha; fencing/METHOD → fencing → ha; config → ha;
// cmd → everything; nobody imports tests/ but cmd/halab.
var arrows = []row{
	{"ha", nil},
	{"ha/leader", []string{"ha", "ha/ladder"}}, // Decide walks the ladder of the node that it fences
	{"ha/node", []string{"ha", "ha/ladder"}},   // a deputy walks it without touching anything
	{"ha/ladder", []string{"ha"}},
	{"ha/placement", []string{"ha"}},
	{"ha/agent", pure},
	{"ha/journal/...", pure}, // it replays the machines; the agent sees it through a port
	{"ha/guard/...", []string{"ha", "ha/node"}},
	{"ha/gossip/...", []string{"ha"}},
	{"ha/etcd/...", []string{"ha"}},
	{"ha/pve", []string{"ha"}}, // pure: the formats of Proxmox's files
	{"ha/proxmox/...", []string{"ha", "ha/pve"}},
	{"ha/storage/...", []string{"ha", "ha/pve"}},
	{"ha/api/...", []string{"ha", "ha/setup/doctor"}}, // whose facts it carries
	{"ha/alert/...", []string{"ha"}},
	{"ha/setup/doctor", []string{"ha", "ha/placement"}}, // pure: it asks placement what would not fit
	{"ha/setup/...", []string{"ha", "ha/pve", "config"}},
	{"ha/waittest", nil}, // for tests only
	{"config", []string{"ha"}},
	{"fencing", []string{"ha"}},
	{"fencing/methods", []string{"ha", "fencing", "fencing/*"}},
	{"fencing/...", []string{"ha", "fencing"}},
	{"cmd/halab", []string{"..."}},
	{"cmd/pages", nil}, // in builds for the package only
	{"cmd/...", []string{"ha/...", "config", "fencing/...", "cmd/pages"}},
	{"tests/sim/...", append([]string{"tests/sim/..."}, pure...)},
	{"tests/...", []string{"..."}},
	{"systemd", nil},
}

// fits says whether a package matches a pattern.
func fits(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == base || strings.HasPrefix(pkg, base+"/")
	}
	if base, ok := strings.CutSuffix(pattern, "/*"); ok {
		rest, below := strings.CutPrefix(pkg, base+"/")
		return below && !strings.Contains(rest, "/")
	}
	return pattern == pkg
}

// household is the adapter, method or command that a package belongs to, for packages at least two levels deep: "ha/etcd" for
// ha/etcd/storetest.
func household(pkg string) string {
	parts := strings.SplitN(pkg, "/", 3)
	if len(parts) < 2 {
		return ""
	}
	return parts[0] + "/" + parts[1]
}

func anyFits(patterns []string, pkg string) bool {
	for _, p := range patterns {
		if fits(p, pkg) {
			return true
		}
	}
	return false
}

// checkArrows lists what breaks the table. Test files may import any package, since fakes and conformance suites live in others,
// but tests/ belongs to cmd/halab and to itself.
func checkArrows(table []row, pkg string, files []source) []string {
	var rule *row
	for i := range table {
		if fits(table[i].pkg, pkg) {
			rule = &table[i]
			break
		}
	}
	if rule == nil {
		return []string{fmt.Sprintf("package %s stands in no row of the table: add one to tests/arch/arrows_test.go that says what it may import", pkg)}
	}
	var out []string
	for _, f := range files {
		for _, i := range f.imports {
			switch {
			case !i.own:
			case fits("tests/...", i.pkg) && !fits("tests/...", pkg) && pkg != "cmd/halab":
				out = append(out, fmt.Sprintf("%s: %s imports %s: nobody imports tests/ but cmd/halab", i.pos, pkg, i.pkg))
			case household(pkg) != "" && household(pkg) == household(i.pkg):
			case !f.test && !anyFits(rule.may, i.pkg):
				out = append(out, fmt.Sprintf("%s: %s must not import %s; it may import %s (declare an interface where it is used, and wire it in cmd)", i.pos, pkg, i.pkg, may(rule)))
			}
		}
	}
	return out
}

func may(r *row) string {
	if len(r.may) == 0 {
		return "nothing of this module"
	}
	return strings.Join(r.may, ", ")
}

func TestArrows(t *testing.T) {
	h := readHouse(t)
	if len(h.packages["ha"]) == 0 {
		t.Fatal("package ha was not found: this test looks in the wrong place")
	}
	for _, pkg := range h.paths() {
		for _, v := range checkArrows(arrows, pkg, h.packages[pkg]) {
			t.Error(v)
		}
	}
}

// A table that lets everything through would be no test: each arrow is broken once here.
func TestArrowsAreEnforced(t *testing.T) {
	tests := []struct {
		pkg, imports string
		test         bool
		broken       bool
	}{
		{"ha", "ha/leader", false, true},
		{"ha", "config", false, true},
		{"ha/leader", "ha", false, false},
		{"ha/leader", "ha/ladder", false, false},
		{"ha/leader", "ha/placement", false, true},
		{"ha/leader/clever", "ha", false, true},
		{"ha/ladder", "ha/leader", false, true},
		{"ha/leader", "ha/placement", true, false},
		{"ha/node", "ha/agent", false, true},
		{"ha/agent", "ha/ladder", false, false},
		{"ha/agent", "ha/etcd", false, true},
		{"ha/agent", "ha/journal", false, true},
		{"ha/journal", "ha/node", false, false},
		{"ha/journal", "ha/agent", false, true},
		{"ha/agent", "fencing", false, true},
		{"ha/etcd", "ha", false, false},
		{"ha/etcd", "ha/etcd/internal/txncheck", false, false},
		{"ha/etcd/internal/txncheck", "ha", false, false},
		{"ha/etcd/storetest", "ha/gossip", false, true},
		{"ha/etcd", "ha/gossip", false, true},
		{"ha/etcd", "ha/node", false, true},
		{"ha/guard", "ha/node", false, false},
		{"ha/guard", "ha/leader", false, true},
		{"ha/pve", "ha", false, false},
		{"ha/pve", "ha/proxmox", false, true},
		{"ha/proxmox", "ha/pve", false, false},
		{"ha/proxmox", "ha/setup/discover", false, true},
		{"ha/setup/discover", "ha/pve", false, false},
		{"ha/setup/doctor", "ha/pve", false, true},
		{"ha/agent", "ha/pve", false, true},
		{"ha/api", "config", false, true},
		{"ha/api", "ha/setup/doctor", false, false},
		{"ha/api", "ha/setup/doctor/gather", false, true},
		{"ha/setup/doctor", "ha/placement", false, false},
		{"ha/setup/doctor", "ha/api", false, true},
		{"ha/setup/doctor/gather", "ha/setup/doctor", false, false},
		{"ha/setup/doctor/gather", "ha/proxmox", false, true},
		{"config", "ha", false, false},
		{"config", "fencing", false, true},
		{"fencing", "ha", false, false},
		{"fencing", "fencing/redfish", false, true},
		{"fencing/redfish", "fencing", false, false},
		{"fencing/redfish", "fencing/manual", false, true},
		{"fencing/redfish", "fencing/fencingtest", true, false},
		{"fencing/redfish", "config", false, true},
		{"fencing/methods", "fencing/redfish", false, false},
		{"fencing/methods", "ha/agent", false, true},
		{"cmd/basculed", "ha/agent", false, false},
		{"cmd/basculed", "fencing/methods", false, false},
		{"cmd/basculed", "tests/lab/netsw", false, true},
		{"cmd/hactl", "tests/sim", true, true},
		{"cmd/halab", "tests/lab/netsw", false, false},
		{"ha/etcd", "tests/sim", true, true},
		{"tests/sim", "ha/ladder", false, false},
		{"tests/sim", "ha/etcd", false, true},
		{"tests/sim", "tests/sim/store", false, false},
		{"tests/lab/netsw", "ha/proxmox", false, false},
		{"newpackage", "ha", false, true},
		{"ha/clever", "ha", false, true},
	}
	for _, tt := range tests {
		files := []source{{path: "x.go", test: tt.test, imports: []imported{{pkg: tt.imports, own: true, pos: "x.go:3"}, {pkg: "os"}}}}
		if got := checkArrows(arrows, tt.pkg, files); (len(got) > 0) != tt.broken {
			t.Errorf("%s → %s (test file: %v): broken = %v, want %v: %v", tt.pkg, tt.imports, tt.test, len(got) > 0, tt.broken, got)
		}
	}
}
