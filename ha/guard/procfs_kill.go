package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Kill implements Processes. The pidfd is taken first and the start time checked then: if it is still the one that Find saw,
// the pidfd cannot belong to another process. Where the guest has a cgroup of its own, cgroup.kill ends all of it at
// once, also what is being forked right now.
func (p *ProcFS) Kill(q Proc) error {
	if q.PID <= 1 || q.PID == os.Getpid() {
		return fmt.Errorf("PID %d is never a guest's", q.PID)
	}
	p.remember(q)
	cgErr := p.killCgroup(q)
	fd, err := unix.PidfdOpen(q.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(fd)
	now, err := p.readStat(q.PID)
	if errors.Is(err, errGone) || err == nil && now.start != q.StartTime {
		return nil
	}
	if err != nil {
		return err
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return errors.Join(fmt.Errorf("pidfd_send_signal: %w", err), cgErr)
	}
	return nil
}

// remember keeps a worker's session, so that what it started is found when the worker is gone.
func (p *ProcFS) remember(q Proc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m, ok := p.known[procID{q.PID, q.StartTime}]; ok && m.what == WhatWorker && m.sid == q.PID {
		if p.sessions == nil {
			p.sessions = map[int]deadSession{}
		}
		p.sessions[q.PID] = deadSession{leader: q.StartTime, vmid: q.VMID}
	}
}

// killCgroup uses cgroup.kill of the guest's own cgroup. A cgroup is named after its guest, so no number can have been
// given to somebody else. Kernels before 5.14 have no such file; a filter means that not all in it may be ours.
func (p *ProcFS) killCgroup(q Proc) error {
	if q.Cgroup == "" || p.Filter != nil {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(p.Root+"/sys/fs/cgroup", q.Cgroup, "cgroup.kill"), os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString("1")
	return errors.Join(err, f.Close())
}
