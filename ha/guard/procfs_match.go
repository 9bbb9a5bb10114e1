package guard

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"bascule/ha"
)

// wanted is what a pass looks for.
type wanted struct {
	ids      map[ha.VMID]bool
	pidFiles map[int]ha.VMID
}

// identify says whose a process is by what it shows itself: its title, its arguments, its cgroup.
func identify(e process, want wanted) (match, bool) {
	vmidCg, whatCg, v2, inCgroup := cgroupOf(e.cgroups)
	inCgroup = inCgroup && want.ids[vmidCg]
	if !inCgroup {
		v2 = ""
	}
	for _, by := range []func(process, wanted) (ha.VMID, string, bool){workerOf, commandOf, monitorOf, qemuOf, helperOf} {
		if vmid, what, ok := by(e, want); ok && want.ids[vmid] {
			return match{vmid: vmid, what: what, cgroup: v2}, true
		}
	}
	return match{vmid: vmidCg, what: whatCg, cgroup: v2}, inCgroup
}

// workerOf knows PVE's task workers by their title.
func workerOf(e process, _ wanted) (ha.VMID, string, bool) {
	rest, ok := strings.CutPrefix(e.title(), "task UPID:")
	if !ok {
		return 0, "", false
	}
	f := strings.Split(rest, ":") // node, pid, pstart, starttime, type, id, user
	if len(f) < 7 {
		return 0, "", false
	}
	vmid, ok := parseVMID(f[5])
	return vmid, WhatWorker, ok
}

// writingCommands are qm's and pct's that start a guest or write to its volumes.
var writingCommands = []string{"start", "resume", "reboot", "migrate", "remote-migrate", "restore", "create", "clone", "destroy", "template", "import",
	"importdisk", "disk", "move-disk", "move_disk", "move-volume", "move_volume", "resize", "rollback", "snapshot", "delsnapshot", "mount", "fsck"}

// commandOf knows qm and pct, which wait for pmxcfs before they have a worker: another node's migration may have begun one here over ssh and
// have ended since.
func commandOf(e process, want wanted) (ha.VMID, string, bool) {
	script := slices.IndexFunc(e.argv, func(a string) bool { return path.Base(a) == "qm" || path.Base(a) == "pct" })
	perl := script > 0 && path.Base(e.argv[0]) == "perl" && !slices.ContainsFunc(e.argv[1:script], func(a string) bool { return !strings.HasPrefix(a, "-") })
	if script != 0 && !perl || len(e.argv) < script+3 || !slices.Contains(writingCommands, e.argv[script+1]) {
		return 0, "", false
	}
	for _, a := range e.argv[script+2:] {
		if vmid, ok := parseVMID(a); ok && want.ids[vmid] {
			return vmid, WhatWorker, true
		}
	}
	return 0, "", false
}

// monitorOf knows LXC's monitors by their title and, until they have one, lxc-start by its arguments.
func monitorOf(e process, _ wanted) (ha.VMID, string, bool) {
	if t := e.title(); strings.HasPrefix(t, "[lxc monitor] ") {
		vmid, ok := parseVMID(t[strings.LastIndexByte(t, ' ')+1:])
		return vmid, WhatMonitor, ok
	}
	if path.Base(e.title()) != "lxc-start" {
		return 0, "", false
	}
	vmid, ok := argVMID(e.argv, "-n", "--name")
	return vmid, WhatMonitor, ok
}

// qemuOf knows QEMU by -id, which PVE always gives, and by its name or its pid file.
func qemuOf(e process, want wanted) (ha.VMID, string, bool) {
	vmid, ok := argVMID(e.argv, "-id")
	if !ok {
		return 0, "", false
	}
	base := path.Base(e.title())
	byName := base == "kvm" || strings.HasPrefix(base, "qemu-system-")
	return vmid, WhatGuest, byName || want.pidFiles[e.pid] == vmid
}

// helperOf knows the processes that serve a VM beside QEMU and write to its volumes or directories.
func helperOf(e process, want wanted) (ha.VMID, string, bool) {
	base := path.Base(e.title())
	if base != "swtpm" && base != "virtiofsd" {
		return 0, "", false
	}
	line := strings.Join(e.argv, " ")
	for id := range want.ids {
		n := strconv.Itoa(int(id))
		if strings.Contains(line, "/qemu-server/"+n+".swtpm") || strings.Contains(line, "/virtiofsd/vm"+n+"-") {
			return id, WhatOther, true
		}
	}
	return 0, "", false
}

// cgroupOf reads /proc/PID/cgroup: the guest whose cgroup it is, if any, and its path if that is on the unified
// hierarchy. Only the outermost name counts: what a container calls its own cgroups is its own affair.
func cgroupOf(lines string) (vmid ha.VMID, what, v2 string, ok bool) {
	for line := range strings.Lines(lines) {
		hierarchy, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		_, cg, _ := strings.Cut(rest, ":")
		f := strings.SplitN(strings.TrimPrefix(cg, "/"), "/", 3)
		if len(f) < 2 {
			continue
		}
		name, as := f[1], ""
		switch f[0] {
		case "lxc":
			as = WhatGuest
		case "lxc.monitor":
			as = WhatMonitor
		case "qemu.slice":
			if name, ok = strings.CutSuffix(name, ".scope"); ok {
				as = WhatGuest
			}
		}
		id, isID := parseVMID(name)
		if as == "" || !isID {
			continue
		}
		if hierarchy == "0" {
			return id, as, "/" + f[0] + "/" + f[1], true
		}
		vmid, what = id, as
	}
	return vmid, what, "", vmid != 0
}

// title is the first argument: for processes that name themselves, all there is.
func (e process) title() string {
	if len(e.argv) == 0 {
		return ""
	}
	return e.argv[0]
}

// suspicious says whether a process without a readable command line may be a guest's, by the short name that the
// kernel keeps (15 bytes).
func (e process) suspicious() bool {
	return e.comm == "qm" || e.comm == "pct" || slices.ContainsFunc([]string{"kvm", "qemu-system", "task UPID:", "[lxc monitor]", "lxc-start", "swtpm", "virtiofsd"},
		func(s string) bool { return strings.HasPrefix(e.comm, s) })
}

// argVMID returns the VMID after the first of these flags.
func argVMID(argv []string, flags ...string) (ha.VMID, bool) {
	for i := 1; i+1 < len(argv); i++ {
		if slices.Contains(flags, argv[i]) {
			return parseVMID(argv[i+1])
		}
	}
	return 0, false
}

// parseVMID accepts what PVE writes: digits without sign or leading zero.
func parseVMID(s string) (ha.VMID, bool) {
	n, err := strconv.Atoi(s)
	return ha.VMID(n), err == nil && n > 0 && strconv.Itoa(n) == s
}
