package pvesim

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// userHZ is the unit of start times in /proc, which is 100 on every Linux that Proxmox runs on.
const userHZ = 100

// procStat is what /proc/<pid>/stat tells.
type procStat struct {
	state byte
	start uint64 // clock ticks since the host's boot
}

func readStat(p string) (procStat, error) {
	data, err := os.ReadFile(p)
	if err != nil {
		return procStat{}, err
	}
	i := bytes.LastIndexByte(data, ')') // the name may contain anything
	f := strings.Fields(string(data[i+1:]))
	if i < 0 || len(f) < 20 {
		return procStat{}, errors.New("pvesim: " + p + " has an unknown format")
	}
	start, err := strconv.ParseUint(f[19], 10, 64)
	return procStat{state: f[0][0], start: start}, err
}

func statPid(pid int) (procStat, error) {
	return readStat("/proc/" + strconv.Itoa(pid) + "/stat")
}

// alive says whether a process exists and is no zombie.
func alive(pid int) bool {
	st, err := statPid(pid)
	return pid > 0 && err == nil && st.state != 'Z' && st.state != 'X'
}

func cmdline(pid int) []string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
}

// processUptime is how long a process has run.
func processUptime(pid int) time.Duration {
	st, err := statPid(pid)
	if err != nil {
		return 0
	}
	data, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(data), " ")
	up, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return max(0, time.Duration((up-float64(st.start)/userHZ)*float64(time.Second)))
}

// stopped says whether every thread of a process is stopped by SIGSTOP.
func stopped(pid int) bool {
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, t := range tasks {
		if st, err := readStat(t); err == nil && st.state != 'T' {
			return false
		}
	}
	return true
}

// waitGone waits until a process has ended; false if it is still there after d.
func waitGone(pid int, d time.Duration) bool {
	for end := time.Now().Add(d); ; time.Sleep(5 * time.Millisecond) {
		if !alive(pid) {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

func sendSignal(pid int, sig syscall.Signal) error {
	if pid <= 0 {
		return errors.New("pvesim: no process")
	}
	return syscall.Kill(pid, sig)
}

// guestPIDs are the processes of a guest on a node. For a VM both are the same.
type guestPIDs struct {
	outer int // kvm, or the container's monitor
	inner int // kvm, or the container's init
}

func vmPidFile(nodeDir string, vmid int) string {
	return filepath.Join(nodeDir, "root/run/qemu-server", strconv.Itoa(vmid)+".pid")
}

func ctPidFile(nodeDir string, vmid int) string {
	return filepath.Join(nodeDir, "root/run/lxc", strconv.Itoa(vmid)+".pid")
}

// findGuest looks for a guest's living processes by its pid file; a stale file, or one whose process is another
// program by now, is no guest.
func findGuest(nodeDir, kind string, vmid int) (guestPIDs, bool) {
	id := strconv.Itoa(vmid)
	p := vmPidFile(nodeDir, vmid)
	if kind == "lxc" {
		p = ctPidFile(nodeDir, vmid)
	}
	data, err := os.ReadFile(p)
	if err != nil {
		return guestPIDs{}, false
	}
	f := strings.Fields(string(data))
	if len(f) == 0 {
		return guestPIDs{}, false
	}
	pids := guestPIDs{outer: atoiDefault(f[0], 0)}
	pids.inner = pids.outer
	if !alive(pids.outer) {
		return guestPIDs{}, false
	}
	args := cmdline(pids.outer)
	if kind == "qemu" {
		return pids, len(args) > 2 && args[0] == kvmTitle && args[1] == "-id" && args[2] == id
	}
	if len(f) > 1 {
		pids.inner = atoiDefault(f[1], 0)
	}
	return pids, len(args) > 0 && args[0] == monitorTitle(vmid)
}
