package pages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func tree() *cobra.Command {
	root := &cobra.Command{Use: "prog", Short: "A program", Long: "A program that does things."}
	run := func(*cobra.Command, []string) {}
	fence := &cobra.Command{Use: "fence NODE", Short: "Switch a node off", Run: run}
	fence.AddCommand(&cobra.Command{Use: "test [NODE]", Short: "Only look", Run: run})
	fence.Flags().Bool("dry-run", false, "do nothing")
	root.AddCommand(fence, &cobra.Command{Use: "child", Short: "Secret", Hidden: true, Run: run})
	return root
}

// Every visible command has a page with its flags; two runs give the same bytes.
func TestWrite(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	date := time.Date(2026, 3, 31, 23, 30, 0, 0, time.FixedZone("elsewhere", 5*3600))
	for _, dir := range []string{first, second} {
		if err := Write(tree(), "8", dir, date); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"bash/prog", "fish/prog.fish", "man/man8/prog-fence-test.8", "man/man8/prog-fence.8", "man/man8/prog.8", "zsh/_prog"}
	var got []string
	err := filepath.WalkDir(first, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, strings.TrimPrefix(path, first+"/"))
		}
		return err
	})
	if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("wrote %v, want %v (%v)", got, want, err)
	}
	for _, name := range want {
		a, b := read(t, first, name), read(t, second, name)
		if a != b || a == "" {
			t.Errorf("%s differs from run to run, or is empty", name)
		}
	}
	page := read(t, first, "man/man8/prog-fence.8")
	for _, part := range []string{"dry-run", "Switch a node off", "Mar 2026", "prog-fence-test(8)"} {
		if !strings.Contains(strings.ReplaceAll(page, `\-`, "-"), part) {
			t.Errorf("the page of fence lacks %q:\n%s", part, page)
		}
	}
	if strings.Contains(page, "spf13") {
		t.Error("the page says who generated it, and when")
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"dir"}, {"dir", "yesterday"}} {
		if err := fromArgs(tree(), "1", args); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
	dir := t.TempDir()
	if err := fromArgs(tree(), "1", []string{dir, "0"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(read(t, dir, "man/man1/prog.1"), "Jan 1970") {
		t.Error("the date is not the one given")
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
