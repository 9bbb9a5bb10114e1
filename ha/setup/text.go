package setup

import (
	"fmt"
	"slices"
	"strings"
)

// Text renders a plan for people: what was chosen and why, what is weak, the configuration, every step, what comes next. It holds no secret.
func (p Plan) Text() string {
	var b strings.Builder
	width := 0
	for _, c := range p.Choices {
		width = max(width, len(c.What))
	}
	for _, c := range p.Choices {
		fmt.Fprintf(&b, "  %-*s  %s: %s\n", width, c.What, c.Chosen, c.Why)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "! %s\n", w)
	}
	for _, part := range []struct {
		title string
		steps []Step
	}{{"Once for the site:", p.Site}, {fmt.Sprintf("On %s:", p.Node), p.Own}, {"When its daemon runs:", p.Witness}} {
		if len(part.steps) == 0 {
			continue
		}
		b.WriteString(part.title + "\n")
		for _, s := range part.steps {
			fmt.Fprintf(&b, "  - %s\n", s.Title())
		}
	}
	if len(p.Next) > 0 {
		b.WriteString("Then:\n")
		for _, n := range p.Next {
			fmt.Fprintf(&b, "  - %s\n", n)
		}
	}
	return b.String()
}

// Diff shows what changes between two texts: lines that go with -, lines that come with +, and none that stay. Empty: nothing changes.
func Diff(from, to string) string {
	a, b := strings.Split(from, "\n"), strings.Split(to, "\n")
	// common[i][j] is the length of the longest common subsequence of a[i:] and b[j:]; configurations have few hundred lines.
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := range slices.Backward(a) {
		for j := range slices.Backward(b) {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out strings.Builder
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out.WriteString("-" + a[i] + "\n")
			i++
		default:
			out.WriteString("+" + b[j] + "\n")
			j++
		}
	}
	return out.String()
}
