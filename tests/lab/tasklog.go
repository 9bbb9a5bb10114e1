package lab

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Task is one task of a node's Proxmox, as its files tell: a process that carried something out for a guest.
type Task struct {
	Node       string
	Type       string // qmstart, vzstart …
	VMID       int    // 0: of no guest
	Start, End time.Time
}

// taskUnit is the unit of the start time in a task's name: USER_HZ, which is 100 on every architecture that Proxmox runs on.
const taskUnit = 10 * time.Millisecond

// Tasks lists a node's tasks from the files that their processes wrote, the oldest first. A task that still runs ends with its last word
// so far. Start is too early by up to taskUnit.
func (l *Lab) Tasks(node string) ([]Task, error) {
	booted, err := kernelBoot(time.Now())
	if err != nil {
		return nil, err
	}
	dir := l.Node(node, "root", "var", "log", "pve", "tasks")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("the tasks of %s cannot be read: %w", node, err)
	}
	var out []Task
	for _, e := range entries {
		t, ok := parseTask(e.Name(), booted)
		info, err := e.Info()
		if !ok || err != nil {
			continue // the index, or a file that has just gone
		}
		t.End = info.ModTime()
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Task) int { return a.Start.Compare(b.Start) })
	return out, nil
}

// parseTask reads "UPID:node:pid:start:time:type:id:user:", numbers in hexadecimal, start in ticks since the kernel's boot.
func parseTask(name string, booted time.Time) (Task, bool) {
	f := strings.Split(name, ":")
	if len(f) != 9 || f[0] != "UPID" {
		return Task{}, false
	}
	ticks, err := strconv.ParseInt(f[3], 16, 64)
	if err != nil {
		return Task{}, false
	}
	return Task{Node: f[1], Type: f[5], VMID: number(f[6]), Start: booted.Add(time.Duration(ticks) * taskUnit)}, true
}

// kernelBoot is when this machine's kernel started.
func kernelBoot(now time.Time) (time.Time, error) {
	text := readText("/proc/uptime")
	first, _, _ := strings.Cut(text, " ")
	up, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("/proc/uptime says %q: %w", text, err)
	}
	return now.Add(-time.Duration(up * float64(time.Second))), nil
}

// MostAtOnce is how many of these tasks ran at the same moment, at most.
func MostAtOnce(tasks []Task) int {
	most := 0
	for _, t := range tasks { // the most are at work when one of them begins
		n := 0
		for _, o := range tasks {
			if !o.Start.After(t.Start) && o.End.After(t.Start.Add(taskUnit)) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
