package lab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// killLimit bounds a power cut. A process in an uninterruptible sleep can outlast it; then the cut has failed and says so.
const killLimit = 5 * time.Second

// markOf returns the node directory in a process's environment, or "".
func markOf(pid int) string {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "" // gone, or another user's: not one of ours
	}
	prefix := []byte(MarkVariable + "=")
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, prefix); ok {
			return string(value)
		}
	}
	return ""
}

// lineage is what /proc/PID/stat says of a living process; zero for one that is gone or a zombie.
type lineage struct{ parent, session int }

func lineageOf(pid int) lineage {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return lineage{}
	}
	// pid (name) state ppid pgrp session …; the name may contain anything, so look behind its end.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 4 || f[0] == "Z" {
		return lineage{}
	}
	return lineage{parent: number(f[1]), session: number(f[3])}
}

// alive says whether a process is there and no zombie.
func alive(pid int) bool { return lineageOf(pid).parent != 0 }

// pids lists all processes of this machine that can be seen.
func pids() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// marked lists the living processes whose mark satisfies the condition, or that live in one of the given sessions (session → mark), by
// mark, with their descendants: a fencing agent that was started with a clean environment belongs to its node as well.
func marked(ours func(nodeDir string) bool, sessions map[int]string) map[string][]int {
	out := map[string][]int{}
	owner := map[int]string{}
	children := map[int][]int{}
	for _, pid := range pids() {
		line := lineageOf(pid)
		if line.parent == 0 {
			continue
		}
		children[line.parent] = append(children[line.parent], pid)
		if dir, ok := sessions[line.session]; ok {
			owner[pid] = dir
		} else if mark := markOf(pid); mark != "" && ours(mark) {
			owner[pid] = mark
		}
	}
	var adopt func(pid int, mark string)
	adopt = func(pid int, mark string) {
		if slices.Contains(out[mark], pid) {
			return
		}
		out[mark] = append(out[mark], pid)
		for _, child := range children[pid] {
			if owner[child] == "" && markOf(child) == "" {
				adopt(child, mark)
			}
		}
	}
	for pid, mark := range owner {
		adopt(pid, mark)
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out
}

// markedBelow lists the processes of all nodes of one lab, by node directory.
func markedBelow(labDir string) map[string][]int {
	return marked(func(nodeDir string) bool { return filepath.Dir(nodeDir) == labDir }, nil)
}

// killNode sends SIGKILL to every process of a node, and to everything in the given sessions, until none is left. The caller keeps
// the sessions' numbers from passing to strangers by not reaping their leaders. The error names those left after killLimit.
func killNode(nodeDir string, sessions ...int) error {
	return killOwned(nodeDir, func(dir string) bool { return dir == nodeDir }, sessions)
}

// killSession kills what lives in a session of a node: what a program left behind when it ended.
func killSession(nodeDir string, session int) error {
	return killOwned(nodeDir, func(string) bool { return false }, []int{session})
}

func killOwned(nodeDir string, ours func(string) bool, sessions []int) error {
	bySession := map[int]string{}
	for _, s := range sessions {
		bySession[s] = nodeDir
	}
	deadline := time.Now().Add(killLimit)
	for {
		left := marked(ours, bySession)[nodeDir]
		if len(left) == 0 {
			return nil
		}
		killAll(left, sessions)
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v of %s are still there %s after SIGKILL: look at their state in /proc/PID/stat", left, filepath.Base(nodeDir), killLimit)
		}
	}
}

// killAll kills processes that were found in one scan, unless a number has passed to a stranger since, and sees them end. All are
// pinned by descriptors before the first dies, because a child without a mark is recognized by its parent.
func killAll(members, sessions []int) {
	var pinned []int
	for _, pid := range members {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // gone
		}
		defer unix.Close(fd)
		line := lineageOf(pid)
		if slices.Contains(members, line.parent) || slices.Contains(sessions, line.session) || markOf(pid) != "" {
			pinned = append(pinned, fd)
		}
	}
	for _, fd := range pinned {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // gone already, or the next scan finds it again
	}
	for _, fd := range pinned {
		// Interrupted or late: the next scan decides.
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(killLimit.Milliseconds()))
	}
}

// killIf kills a process if a condition holds once its number cannot change hands any more.
func killIf(pid int, condition func() bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // gone
	}
	defer unix.Close(fd)
	if condition() {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // gone already, or the caller sees that it is not
	}
}
