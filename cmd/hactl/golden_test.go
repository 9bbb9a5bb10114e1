package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/text"
)

// golden holds what a screen shows to a file (-update writes it), and to the screen's width.
func golden(t *testing.T, file, got string, width int) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, d)
	}
	for line := range strings.SplitSeq(got, "\n") {
		if w := text.StringWidth(line); w > width {
			t.Errorf("line of %d columns on a screen of %d: %q", w, width, line)
		}
	}
}
