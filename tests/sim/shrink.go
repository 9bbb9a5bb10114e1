package sim

import (
	"slices"
	"strconv"
	"strings"
)

// Keep leaves only some of a spec's commands, by their numbers, separated by commas; "none" leaves none.
func Keep(s Spec, numbers string) Spec {
	all := s.Commands
	s.Commands = nil
	for _, n := range strings.Split(numbers, ",") {
		if i, err := strconv.Atoi(n); err == nil && i >= 0 && i < len(all) {
			s.Commands = append(s.Commands, all[i])
		}
	}
	return s
}

// Kept lists the commands that a flag made by Shrink leaves; all for "".
func Kept(s Spec, flag string) []Command {
	if _, numbers, ok := strings.Cut(flag, "-only "); ok {
		return Keep(s, numbers).Commands
	}
	return s.Commands
}

// Shrink looks for the fewest commands with which a spec still breaks the same rule, and returns the flag that leaves only these.
func Shrink(s Spec, rule string) string {
	left := make([]int, len(s.Commands))
	for i := range left {
		left[i] = i
	}
	for changed := true; changed; {
		changed = false
		for i := len(left) - 1; i >= 0; i-- {
			fewer := slices.Delete(slices.Clone(left), i, i+1)
			if breaks(Keep(s, numbers(fewer)), rule) {
				left, changed = fewer, true
			}
		}
	}
	return " -only " + numbers(left)
}

func numbers(of []int) string {
	if len(of) == 0 {
		return "none"
	}
	var out []string
	for _, n := range of {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, ",")
}

func breaks(s Spec, rule string) bool {
	for _, v := range NewWorld(s, nil).Run().Violations {
		if v.Rule == rule {
			return true
		}
	}
	return false
}
