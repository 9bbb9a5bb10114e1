package pve

import (
	"fmt"
	"slices"
	"strings"
)

// block is a section of corosync.conf: "name { key: value … }", blocks within blocks. A file may open one several times.
type block struct {
	name   string
	values map[string]string // of a key that is repeated the last counts, as corosync reads it
	inner  []block
}

// all returns the blocks at a path below this one: all("nodelist", "node") are the nodes of every nodelist.
func (b block) all(path ...string) (out []block) {
	if len(path) == 0 {
		return []block{b}
	}
	for _, in := range b.inner {
		if in.name == path[0] {
			out = append(out, in.all(path[1:]...)...)
		}
	}
	return out
}

// value is a setting of the blocks at a path; of several the last, as corosync reads it.
func (b block) value(key string, path ...string) (string, bool) {
	for _, at := range slices.Backward(b.all(path...)) {
		if v, ok := at.values[key]; ok {
			return v, true
		}
	}
	return "", false
}

// text is value, empty where there is none.
func (b block) text(key string, path ...string) string {
	v, _ := b.value(key, path...)
	return v
}

// parseBlocks reads corosync's format. The error names the line.
func parseBlocks(text string) (block, error) {
	stack := []block{{values: map[string]string{}}}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		name, begins := strings.CutSuffix(line, "{")
		switch {
		case line == "" || line[0] == '#':
		case begins:
			stack = append(stack, block{name: strings.TrimSpace(name), values: map[string]string{}})
		case line == "}":
			if len(stack) == 1 {
				return block{}, fmt.Errorf("line %d closes a block that was never opened", n)
			}
			done := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			up := &stack[len(stack)-1]
			up.inner = append(up.inner, done)
		default:
			key, value, ok := strings.Cut(line, ":")
			if key = strings.TrimSpace(key); !ok || key == "" {
				return block{}, fmt.Errorf("line %d is neither \"key: value\" nor a block", n)
			}
			stack[len(stack)-1].values[key] = strings.TrimSpace(value)
		}
	}
	if len(stack) > 1 {
		return block{}, fmt.Errorf("block %s is not closed", stack[len(stack)-1].name)
	}
	return stack[0], nil
}
