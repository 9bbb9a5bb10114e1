package config

import (
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"bascule/ha"
)

// failUnknown notes an unknown key with the best idea of what was meant: a slip of the pen, a key of another section, a wait
// that follows from the profile; else it lists the keys.
func (s *source) failUnknown(key *yaml.Node, path string, fields []field) {
	at := join(path, key.Value)
	s.lines[at] = key.Line
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	if near := nearest(key.Value, keys); near != "" {
		s.fail(at, "unknown key; write %s", near)
		return
	}
	if path == "timing" && slices.Contains(derivedTimings(), key.Value) {
		s.fail(at, "follows from the profile and cannot be set alone; remove it and choose another profile: fast, normal or patient")
		return
	}
	if in := sectionsWith(key.Value); len(in) == 1 {
		if in[0] == "" {
			s.fail(at, "unknown key here; write %s: at the left margin", key.Value)
		} else {
			s.fail(at, "unknown key here; it belongs under %s:", in[0])
		}
		return
	}
	s.fail(at, "unknown key; known here: %s", strings.Join(keys, ", "))
}

// derivedTimings lists the waits of ha.Timing by their names.
func derivedTimings() []string {
	t := reflect.TypeFor[ha.Timing]()
	var out []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}

// nearest returns the word that a slip of the pen may have meant; "" if none or several are as near.
func nearest(word string, known []string) string {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	best, bestDist := "", 3
	for _, k := range known {
		switch d := distance(plain(word), plain(k)); {
		case d < bestDist && 3*d <= len(k):
			best, bestDist = k, d
		case d == bestDist:
			best = "" // two are as near: node4 means neither node1 nor node2
		}
	}
	return best
}

// distance counts the insertions, removals, replacements and swaps of neighbours between two words.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
