package doctor

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/findings.md anew")

// TestWellSaysWhatWasLookedAt: a healthy cluster gives findings that it is so, from most checks.
func TestWellSaysWhatWasLookedAt(t *testing.T) {
	got := map[string]bool{}
	for _, x := range Examine(well()) {
		if x.Severity != OK || x.Why != "" || x.Remedy != "" {
			t.Errorf("%+v", x)
		}
		got[x.ID] = true
	}
	for _, id := range []string{"watchdog-none", "fence-none", "ceph-caps", "timing-too-fast", "corosync-token-slow", "clock-apart", "port-closed", "mtu-path", "disk-space", "config-differs", "certificate-expiring", "token-weak", "boot-check-missing", "storage-not-shared", "memory-after-failure"} {
		if !got[id] {
			t.Errorf("%s: nobody looked (%v)", id, slices.Sorted(maps.Keys(got)))
		}
	}
}

// TestOrder: the gravest first, and the same whatever the order of the maps.
func TestOrder(t *testing.T) {
	c := well()
	for _, f := range faults {
		if slices.Contains([]string{"a BMC is broken", "a slow disk", "two nodes, no third vote", "a clock ahead", "a closed port", "another timing", "a weak token", "onboot", "no drop-in", "an old guard"}, f.name) {
			f.fault(&c)
		}
	}
	first := Examine(c)
	for i := 1; i < len(first); i++ {
		if first[i].Severity.AtLeast(first[i-1].Severity) && first[i].Severity != first[i-1].Severity {
			t.Fatalf("%+v stands behind %+v", first[i], first[i-1])
		}
	}
	for range 20 {
		if again := Examine(c); !reflect.DeepEqual(again, first) {
			t.Fatal("another order")
		}
	}
	if Worst(first) != Critical || Worst(nil) != OK {
		t.Error("worst")
	}
}

// TestFactsSurviveTheWire: what a node writes is what an examiner reads.
func TestFactsSurviveTheWire(t *testing.T) {
	want := well().Facts["node2"]
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Facts
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v: %+v", err, got)
	}
}

// TestKinds: ids are unique and stable in form, and every text is there.
func TestKinds(t *testing.T) {
	form, known := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`), map[string]bool{}
	for _, k := range Kinds() {
		if known[k.ID] || !form.MatchString(k.ID) || k.Title == "" || k.Why == "" || k.Do == "" || len(k.Grades) == 0 {
			t.Errorf("%+v", k)
		}
		for _, text := range []string{k.Title, k.Why, k.Do} {
			if strings.HasSuffix(text, ".") {
				t.Errorf("%s: a text ends with a full stop, which the page adds: %q", k.ID, text)
			}
		}
		known[k.ID] = true
	}
}

// TestPage holds docs/findings.md to the checks.
func TestPage(t *testing.T) {
	const file = "../../../docs/findings.md"
	if *update {
		if err := os.WriteFile(file, []byte(Page()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != Page() {
		t.Errorf("docs/findings.md is not what the checks say (%v): go test ./ha/setup/doctor -update", err)
	}
}

// TestProfiles: each profile's own bounds decide, taken from ha.Timing.
func TestProfiles(t *testing.T) {
	for _, c := range []struct {
		m    measured
		want string
	}{
		{measured{sync: 10 * time.Millisecond, slowest: 20 * time.Millisecond, trip: time.Millisecond}, "fast"},
		{measured{sync: 60 * time.Millisecond, slowest: 70 * time.Millisecond, trip: time.Millisecond}, "normal"},
		{measured{sync: 10 * time.Millisecond, slowest: 600 * time.Millisecond, trip: time.Millisecond}, "normal"},
		{measured{sync: 10 * time.Millisecond, slowest: 20 * time.Millisecond, trip: 60 * time.Millisecond}, "normal"},
		{measured{sync: 300 * time.Millisecond, slowest: 900 * time.Millisecond, trip: time.Millisecond}, "patient"},
		{measured{sync: 900 * time.Millisecond, slowest: 900 * time.Millisecond, trip: time.Millisecond}, ""},
	} {
		if got := c.m.fastest(); got != c.want {
			t.Errorf("%v: fastest %q, want %q", c.m, got, c.want)
		}
	}
}
