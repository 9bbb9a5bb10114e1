//go:build fencingreal

package storagereal

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/setup/doctor/gather"
	"bascule/ha/storage"
)

// asChild makes this test binary the process of a look.
const asChild = "storage-look"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asChild {
		os.Exit(storage.RunChild(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// newLooker looks as basculed on node n1 does.
func newLooker(t *testing.T, etc string) *storage.Looker {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return storage.New(storage.Config{Node: "n1", Child: []string{self, asChild}, Etc: etc})
}

// lookTime is the longest that a look may take on a node (ha.Timing.StorageLook). A machine that is busy gets more: most looks here end by
// themselves.
const lookTime = 5 * time.Second

// look looks once and demands that it ends in time, whatever the storage does.
func look(t *testing.T, l *storage.Looker, p ha.StoragePlace) ha.StorageLook {
	t.Helper()
	got, said := quietly(t, l, p)
	t.Log(said)
	return got
}

func quietly(t *testing.T, l *storage.Looker, p ha.StoragePlace) (got ha.StorageLook, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lookTime)
	defer cancel()
	began := time.Now()
	got = l.Look(ctx, p)
	took := time.Since(began)
	if took > lookTime+30*time.Second { // nothing but a look that waits for its storage takes so long
		t.Errorf("the look at %s took %v", p.Name, took)
	}
	paths := ""
	if got.Paths != nil {
		paths = fmt.Sprintf(", %d of %d paths", got.Paths.Up, got.Paths.All)
	}
	return got, fmt.Sprintf("%s after %.2f s: hung %v, skipped %v, problem %q, notes %q%s", p.Name, took.Seconds(), got.Hung, got.Skipped, got.Problem, got.Notes, paths)
}

// lookUntil looks until the look is as wanted.
func lookUntil(t *testing.T, l *storage.Looker, p ha.StoragePlace, what string, ok func(ha.StorageLook) bool) ha.StorageLook {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		got, said := quietly(t, l, p)
		if ok(got) {
			t.Log(said)
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("not within 90 s: %s; the last look: %s", what, said)
		}
	}
}

func good(l ha.StorageLook) bool { return l.Problem == "" && !l.Hung && !l.Skipped }
func bad(l ha.StorageLook) bool  { return l.Problem != "" && !l.Hung && !l.Skipped }
func hung(l ha.StorageLook) bool { return l.Hung }

func noted(l ha.StorageLook, part string) bool {
	return slices.ContainsFunc(l.Notes, func(n string) bool { return strings.Contains(n, part) })
}

// run runs a command to its end.
func run(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := try(t, argv...)
	if err != nil {
		t.Fatalf("%q: %v: %s", argv, err, out)
	}
	return out
}

func try(t *testing.T, argv ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// gathered is what the doctor finds behind each storage, and each LUN's paths as "LUN UP/ALL".
func gathered(t *testing.T, s gather.Source) map[string]string {
	t.Helper()
	s.Config = &config.Config{Node: "n1", DataDir: t.TempDir()}
	f := gather.New(s).Facts(t.Context())
	for _, silent := range f.Silent {
		if silent.Probe == "storage.cfg" || silent.Probe == "SAN disks" {
			t.Errorf("%s: %s", silent.Probe, silent.Why)
		}
	}
	out := map[string]string{}
	for _, st := range f.Storages {
		out[st.Name] = st.Behind
	}
	for _, l := range f.Luns {
		out["LUN "+l.WWN] = fmt.Sprintf("%d/%d", l.Active, l.Paths)
	}
	return out
}
