package guard

import (
	"os"
	"path/filepath"
	"testing"

	"bascule/ha/node"

	"github.com/google/go-cmp/cmp"
)

func TestStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "guard.json")
	if s, err := loadState(path); err != nil || !cmp.Equal(s, node.GuardSaved{}) {
		t.Fatalf("nothing on file: %+v, %v", s, err)
	}
	saved := node.GuardSaved{Incarnation: "boot1", Deadline: 100, Guests: refs(101), Permitted: true, Want: true, Held: true}
	k := newKeeper(path, node.GuardSaved{})
	defer func() { _ = k.line.Close() }()
	kept := k.put(saved)
	k.write()
	kept.then(func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	saved.Deadline = 200
	k.put(saved)
	k.write()
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Fatalf("a mere renewal replaced the state file: %v", err)
	}
	got, err := loadState(path)
	if diff := cmp.Diff(saved, got); err != nil || diff != "" {
		t.Fatalf("read back: %v\n%s", err, diff)
	}
	for name, line := range map[string]string{
		"torn": deadlineLine("boot1", 300)[:25], "another boot's": deadlineLine("boot0", 300),
		"earlier": deadlineLine("boot1", 50), "empty": "",
	} {
		if err := os.WriteFile(deadlinePath(path), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := loadState(path); err != nil || got.Deadline != 100 {
			t.Errorf("%s line: deadline %d, %v; want the state file's 100", name, got.Deadline, err)
		}
	}
	for name, data := range map[string]string{"garbage": "{", "newer": `{"schema":2,"guests":[{"id":101}]}`} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := loadState(path); err == nil || !cmp.Equal(got, node.GuardSaved{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
