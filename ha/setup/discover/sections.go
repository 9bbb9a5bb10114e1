package discover

import (
	"fmt"
	"strings"
)

// section is a block of corosync.conf: "name { key: value … }", blocks within blocks.
type section struct {
	name   string
	values map[string]string // of a key that is repeated the last counts, as corosync reads it
	inner  []section
}

// all returns the blocks of that name directly in this one.
func (s section) all(name string) (out []section) {
	for _, in := range s.inner {
		if in.name == name {
			out = append(out, in)
		}
	}
	return out
}

// first is the first block of that name; an empty one if there is none.
func (s section) first(name string) section {
	if found := s.all(name); len(found) > 0 {
		return found[0]
	}
	return section{}
}

// parseSections reads corosync's format. The error names the line.
func parseSections(text string) (section, error) {
	stack := []section{{values: map[string]string{}}}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case strings.HasSuffix(line, "{"):
			stack = append(stack, section{name: strings.TrimSpace(strings.TrimSuffix(line, "{")), values: map[string]string{}})
		case line == "}":
			if len(stack) == 1 {
				return section{}, fmt.Errorf("line %d closes a block that was never opened", n)
			}
			done := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			up := &stack[len(stack)-1]
			up.inner = append(up.inner, done)
		default:
			key, value, ok := strings.Cut(line, ":")
			if !ok {
				return section{}, fmt.Errorf("line %d is neither \"key: value\" nor a block", n)
			}
			stack[len(stack)-1].values[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	if len(stack) > 1 {
		return section{}, fmt.Errorf("block %s is not closed", stack[len(stack)-1].name)
	}
	return stack[0], nil
}
