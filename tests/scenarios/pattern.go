package scenarios

import (
	"fmt"
	"slices"
	"strings"
)

// row is a row of values: "a", "a|b", "a*" (none or more of it), "..." (whatever). Arrows between them are for the eye.
type row []cell

type cell struct {
	words []string // nil: any
	many  bool
}

// pattern reads a row; known are the words that can occur, nil: all.
func pattern(f []string, known []string) (row, error) {
	var out row
	for _, w := range f {
		switch {
		case w == "->":
			continue
		case w == "...":
			out = append(out, cell{many: true})
			continue
		}
		word, many := strings.CutSuffix(w, "*")
		c := cell{strings.Split(word, "|"), many}
		for _, x := range c.words {
			if known != nil && !slices.Contains(known, x) {
				return nil, fmt.Errorf("unknown value %q; it can be: %s", x, strings.Join(known, " "))
			}
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no values follow")
	}
	return out, nil
}

// matches says whether the values are as the row wants, all of them.
func (r row) matches(values []string) bool {
	if len(r) == 0 {
		return len(values) == 0
	}
	c := r[0]
	fits := len(values) > 0 && (c.words == nil || slices.Contains(c.words, values[0]))
	if c.many {
		return r[1:].matches(values) || fits && r.matches(values[1:])
	}
	return fits && r[1:].matches(values[1:])
}

// squeeze writes a row of actions with repetitions counted.
func squeeze(of []string) string {
	var out []string
	for i := 0; i < len(of); {
		n := i
		for n < len(of) && of[n] == of[i] {
			n++
		}
		if n-i > 1 {
			out = append(out, fmt.Sprintf("%s x%d", of[i], n-i))
		} else {
			out = append(out, of[i])
		}
		i = n
	}
	return strings.Join(out, " ")
}
