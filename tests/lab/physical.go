package lab

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Process is one process of a node, as /proc shows it.
type Process struct {
	Node  string
	Pid   int
	Title string // what ps would print
	Guest int    // the VMID of a VM's or container's process, else 0
}

// Processes lists everything that runs on the lab's nodes, from /proc and from nothing else.
func (l *Lab) Processes() []Process {
	var out []Process
	for dir, list := range markedBelow(l.Dir) {
		for _, pid := range list {
			argv := argvOf(pid)
			out = append(out, Process{Node: filepath.Base(dir), Pid: pid, Title: strings.Join(argv, " "), Guest: guestOf(argv)})
		}
	}
	slices.SortFunc(out, func(a, b Process) int {
		if c := strings.Compare(a.Node, b.Node); c != 0 {
			return c
		}
		return a.Pid - b.Pid
	})
	return out
}

// guestOf recognizes a guest's process by its title, as on a real node: `/usr/bin/kvm -id 101 …` and
// `[lxc monitor] /var/lib/lxc 201`.
func guestOf(argv []string) int {
	if len(argv) == 0 {
		return 0
	}
	title := strings.Join(argv, " ")
	if monitor, ok := strings.CutPrefix(title, "[lxc monitor] "); ok {
		fields := strings.Fields(monitor)
		if len(fields) == 2 {
			return number(fields[1])
		}
		return 0
	}
	if filepath.Base(argv[0]) != "kvm" {
		return 0
	}
	if i := slices.Index(argv, "-id"); i > 0 && i+1 < len(argv) {
		return number(argv[i+1])
	}
	return 0
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// RunningOn lists the nodes on which a guest's process lives, from /proc.
func (l *Lab) RunningOn(vmid int) []string {
	var out []string
	for _, p := range l.Processes() {
		if p.Guest == vmid && !slices.Contains(out, p.Node) {
			out = append(out, p.Node)
		}
	}
	return out
}
