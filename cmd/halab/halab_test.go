package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/tests/lab"
)

func TestSince(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "10m": now.Add(-10 * time.Minute), "2026-01-31T11:00:00Z": now.Add(-time.Hour),
	} {
		if got, err := parseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s %v", text, got, err)
		}
	}
	if _, err := parseSince("yesterday", now); err == nil {
		t.Error("yesterday was understood")
	}
}

func TestBenchFlags(t *testing.T) {
	if got, err := corosyncSettings("both"); err != nil || len(got) != 2 {
		t.Errorf("%v %v", got, err)
	}
	if _, err := corosyncSettings("quick"); err == nil {
		t.Error("quick is no corosync setting")
	}
	if _, err := victimKinds([]string{"plain", "switch"}); err == nil {
		t.Error("switch is no victim")
	}
}

// run executes halab and returns what it printed.
func run(args ...string) (string, error) {
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.Execute()
	return out.String(), err
}

// offlineLab is the directory of a lab that is down, with one guest's lines.
func offlineLab(t *testing.T, lines ...string) string {
	t.Helper()
	dir := t.TempDir()
	l := lab.Layout{Dir: dir}
	for path, text := range map[string]string{
		filepath.Join(dir, "lab.json"): `{"dir":"` + dir + `","nodes":3,"guests":1}`,
		l.GuestLog(101):                strings.Join(lines, "\n") + "\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func line(node string, generation, counter, second int) string {
	return fmt.Sprintf("101 node%s boot%s %d %d %d", node, node, generation, counter, time.Unix(1700000000+int64(second), 0).UnixNano())
}

func TestCheckFailsOnADoubleRun(t *testing.T) {
	clean := offlineLab(t, line("1", 1, 0, 0), line("1", 1, 1, 1), line("2", 2, 0, 6))
	out, err := run("check", "--dir", clean)
	if err != nil || !strings.Contains(out, "no double run") || !strings.Contains(out, "gap of 5.00 s") {
		t.Errorf("%v\n%s", err, out)
	}
	double := offlineLab(t, line("1", 1, 0, 0), line("2", 2, 0, 1), line("1", 1, 1, 2))
	out, err = run("check", "--dir", double)
	if err == nil || !strings.Contains(out, "DOUBLE RUN: guest 101: node1") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err = run("check", "--dir", double, "--since", "2023-11-14T22:13:22Z"); err != nil {
		t.Errorf("since after the first writer's line: %v\n%s", err, out)
	}
}

func TestCommandsSayThatThereIsNoLab(t *testing.T) {
	for _, args := range [][]string{{"status"}, {"kill", "node1"}, {"down"}, {"events"}, {"cut", "node1"}} {
		_, err := run(append(args, "--dir", t.TempDir())...)
		if err == nil || !strings.Contains(err.Error(), "halab up") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestUpNeedsBasculed(t *testing.T) {
	_, err := run("up", "--dir", t.TempDir(), "--bin", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "no basculed") {
		t.Errorf("%v", err)
	}
}
