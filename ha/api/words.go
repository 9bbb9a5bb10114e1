package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// natural orders names as people do: node2 before node10.
func natural(a, b string) int {
	pa, na := splitNumber(a)
	pb, nb := splitNumber(b)
	if pa == pb && na != "" && nb != "" {
		na, nb = strings.TrimLeft(na, "0"), strings.TrimLeft(nb, "0")
		if c := cmp.Or(cmp.Compare(len(na), len(nb)), cmp.Compare(na, nb)); c != 0 {
			return c
		}
	}
	return cmp.Compare(a, b)
}

// splitNumber cuts the digits off a name's end.
func splitNumber(s string) (prefix, digits string) {
	prefix = strings.TrimRight(s, "0123456789")
	return prefix, s[len(prefix):]
}

// sorted returns a copy in natural order; never nil, so that JSON shows [] and not null.
func sorted[S ~string](in []S) []S {
	out := append([]S{}, in...)
	slices.SortFunc(out, func(a, b S) int { return natural(string(a), string(b)) })
	return out
}

// list joins names for people: "a", "a and b", "a, b and c".
func list[S ~string](names []S) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// maxListed bounds how many guests one problem names.
const maxListed = 8

// bounded joins items with semicolons and says how many were left out.
func bounded(items []string) string {
	if len(items) > maxListed {
		items = append(slices.Clone(items[:maxListed]), fmt.Sprintf("and %d more", len(items)-maxListed))
	}
	return strings.Join(items, "; ")
}

// count words a number of guests: "1 guest", "3 guests".
func count(n int) string {
	if n == 1 {
		return "1 guest"
	}
	return fmt.Sprintf("%d guests", n)
}

// Ago words a duration as people read it: "41 s", "5 min", "3 h", "12 d". Negative ones (clock skew) are "0 s".
func Ago(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}
