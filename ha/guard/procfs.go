package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"bascule/ha"
	"bascule/ha/node"
)

// ProcFS finds guests' processes in /proc, in one pass for any number of guests. It takes for a guest's:
//
//   - workers: processes titled `task UPID:NODE:PID:PSTART:START:TYPE:VMID:USER:`, and commands
//     (qm start VMID …) that have not made their worker yet;
//   - VMs: kvm and qemu-system-* with the arguments `-id VMID`, the process of Root/run/qemu-server/VMID.pid if it has
//     these arguments, everything in the cgroup qemu.slice/VMID.scope, and the VM's swtpm and virtiofsd;
//   - containers: the LXC monitor, lxc-start, and everything in the cgroups lxc/VMID and lxc.monitor/VMID (v1 and v2);
//   - whatever descends from one of these or shares a worker's session, also after Kill ended that worker.
//
// A worker whose title names no VMID (startall, a backup of several guests) is not matched; what it starts is.
// A process is gone when its last thread is: a zombie whose threads still sit in the kernel may still write, and counts.
// Reading a command line waits for the process's memory lock; one that does not answer is waited for only once, and if it
// may be a guest's, Find says that it could not tell.
//
// The zero value serves a real node.
type ProcFS struct {
	Root   string             // before /run and /sys/fs/cgroup
	Proc   string             // "" means /proc
	Filter func(pid int) bool // nil: all; a lab keeps to its own node's processes. With a filter cgroups are not killed as a whole

	mu       sync.Mutex
	known    map[procID]match    // identified before and still alive: a dying process loses its command line
	sessions map[int]deadSession // of workers that Kill ended, by session id
	slow     slowReads
}

type procID struct {
	pid   int
	start uint64
}

type deadSession struct {
	leader uint64 // start time
	vmid   ha.VMID
}

// match says whose a process is.
type match struct {
	vmid   ha.VMID
	what   string
	cgroup string // v2, below its mount
	sid    int
}

// Find implements Processes.
func (p *ProcFS) Find(guests []node.GuestRef) ([]Proc, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	want := wanted{ids: map[ha.VMID]bool{}, pidFiles: map[int]ha.VMID{}}
	for _, g := range guests {
		want.ids[g.ID] = true
		if pid, ok := p.pidFile(g.ID); ok {
			want.pidFiles[pid] = g.ID
		}
	}
	all, problems, err := p.readAll()
	if err != nil {
		return nil, err
	}
	found := p.identifyAll(all, want, &problems)
	out := []Proc{}
	for i, e := range all {
		if m, ok := found[i]; ok && want.ids[m.vmid] {
			out = append(out, Proc{PID: e.pid, StartTime: e.start, What: m.what, VMID: m.vmid, Cmdline: strings.Join(e.argv, " "), Cgroup: m.cgroup})
		}
	}
	return out, errors.Join(problems...)
}

// identifyAll says which process is whose, by its index.
func (p *ProcFS) identifyAll(all []process, want wanted, problems *[]error) map[int]match {
	found, known := map[int]match{}, map[procID]match{}
	for i, e := range all {
		id := procID{e.pid, e.start}
		m, strong := identify(e, want)
		if old, ok := p.known[id]; ok && !strong {
			m, strong = old, true
		}
		switch {
		case strong && p.mine(e, problems):
			m.sid = e.sid
			found[i], known[id] = m, m
		case !strong && e.unreadable && e.suspicious():
			*problems = append(*problems, fmt.Errorf("PID %d (%s) does not show its command line: cannot tell whose it is", e.pid, e.comm))
		}
	}
	p.known = known
	p.addSessions(all, found, problems)
	p.addDescendants(all, found, problems)
	return found
}

// mine asks the filter, which may read files of the process that hang as its command line may.
func (p *ProcFS) mine(e process, problems *[]error) bool {
	if p.Filter == nil {
		return true
	}
	keep := false
	if err := p.slow.do(procID{e.pid, e.start}, func() func() { k := p.Filter(e.pid); return func() { keep = k } }); err != nil {
		*problems = append(*problems, fmt.Errorf("PID %d (%s) cannot be looked at: %w", e.pid, e.comm, err))
	}
	return keep
}

// addSessions adds what shares a session with a worker that lives or was killed: PVE's workers lead their own sessions,
// and what they started keeps the session id when they are gone.
func (p *ProcFS) addSessions(all []process, found map[int]match, problems *[]error) {
	leaders, members := map[int]ha.VMID{}, map[int]bool{}
	for i, e := range all {
		if m, ok := found[i]; ok && m.what == WhatWorker && e.sid == e.pid {
			leaders[e.sid] = m.vmid
		}
		if d, ok := p.sessions[e.pid]; ok && e.start != d.leader {
			delete(p.sessions, e.pid) // the number belongs to somebody else now
		}
	}
	for sid, d := range p.sessions {
		leaders[sid] = d.vmid
	}
	for i, e := range all {
		vmid, ok := leaders[e.sid]
		if !ok {
			continue
		}
		members[e.sid] = true
		if _, is := found[i]; !is && p.mine(e, problems) {
			found[i] = match{vmid: vmid, what: WhatOther, sid: e.sid}
		}
	}
	for sid := range p.sessions {
		if !members[sid] {
			delete(p.sessions, sid)
		}
	}
}

// addDescendants adds what descends from what was found.
func (p *ProcFS) addDescendants(all []process, found map[int]match, problems *[]error) {
	index := map[int]int{}
	for i, e := range all {
		index[e.pid] = i
	}
	for i := range all {
		path := []int{}
		for j, ok := i, true; ok && len(path) <= len(all); j, ok = index[all[j].ppid] {
			m, is := found[j]
			if !is {
				path = append(path, j)
				continue
			}
			p.inherit(all, found, path, m, problems)
			break
		}
	}
}

func (p *ProcFS) inherit(all []process, found map[int]match, path []int, m match, problems *[]error) {
	what := WhatOther
	if m.what == WhatMonitor || m.what == WhatGuest {
		what = WhatGuest
	}
	for _, k := range path {
		if p.mine(all[k], problems) {
			found[k] = match{vmid: m.vmid, what: what, sid: all[k].sid}
		}
	}
}

func (p *ProcFS) proc(elem ...string) string {
	base := p.Proc
	if base == "" {
		base = "/proc"
	}
	return filepath.Join(append([]string{base}, elem...)...)
}

// pidFile reads QEMU's pid file; what it says counts only for a process with the right arguments.
func (p *ProcFS) pidFile(id ha.VMID) (pid int, ok bool) {
	data, err := os.ReadFile(filepath.Join(p.Root+"/run/qemu-server", strconv.Itoa(int(id))+".pid"))
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
	return pid, err == nil && pid > 1
}
