package lab

import (
	"fmt"
	"os"
	"strings"
)

// Logs is the end of every log of the lab, for a report of what went wrong: the world's, and those of each node's programs.
func (l *Lab) Logs(lines int) string {
	out := tail(l.worldLog(), lines)
	for _, name := range l.Machines() {
		for _, p := range l.Options.programs(name) {
			out += "\n" + tail(l.Node(name, "log", p.Role+".log"), lines)
		}
	}
	return out
}

// tail is the last lines of a file with its name above.
func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("--- %s: %v", path, err)
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return fmt.Sprintf("--- the end of %s:\n%s", path, strings.Join(all, "\n"))
}
