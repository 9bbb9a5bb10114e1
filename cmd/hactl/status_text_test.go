package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/text"

	"bascule/ha/api"
	"bascule/ha/api/apitest"
)

// TestStatusGolden holds what operators see, at two widths. Look at the files when they change; -update writes them.
func TestStatusGolden(t *testing.T) {
	for name, scene := range apitest.Scenes {
		for _, width := range []int{80, 120} {
			t.Run(fmt.Sprintf("%s-%d", name, width), func(t *testing.T) {
				t.Setenv("COLUMNS", fmt.Sprint(width))
				got := statusText(newScreen(&bytes.Buffer{}), api.BuildStatus(scene()))
				golden(t, filepath.Join("testdata", "status", fmt.Sprintf("%s-%d.txt", name, width)), got, width)
			})
		}
	}
}

// TestColourKeepsLayout: colours must not move anything.
func TestColourKeepsLayout(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	for name, scene := range apitest.Scenes {
		st := api.BuildStatus(scene())
		plain := newScreen(&bytes.Buffer{})
		coloured := newScreen(&bytes.Buffer{})
		coloured.colour = true
		got := statusText(coloured, st)
		if !strings.Contains(got, "\x1b[") {
			t.Errorf("%s: no colour at all", name)
		}
		if d := cmp.Diff(statusText(plain, st), text.StripEscape(got)); d != "" {
			t.Errorf("%s: layout moves with colours (-plain +coloured):\n%s", name, d)
		}
	}
}

func TestOverwriteCountsWhatDoesNotFit(t *testing.T) {
	got := overwrite("a\nb\nc\nd\ne\n", 4)
	want := "\x1b[Ha\x1b[K\nb\x1b[K\n… 3 more lines: make the window higher\x1b[K\n\x1b[J"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := overwrite("a\n", 4); got != "\x1b[Ha\x1b[K\n\x1b[J" {
		t.Errorf("short text: %q", got)
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		in   string
		room int
		want []string
	}{
		{"", 10, []string{""}},
		{"one two three", 7, []string{"one two", "three"}},
		{"abcdefghij kl", 4, []string{"abcd", "efgh", "ij", "kl"}},
		{"a bcdefg", 4, []string{"a", "bcde", "fg"}},
	} {
		if d := cmp.Diff(c.want, wrap(c.in, c.room)); d != "" {
			t.Errorf("wrap(%q, %d): %s", c.in, c.room, d)
		}
	}
}
