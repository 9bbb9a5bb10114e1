package guard

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is what one pass reads of a process.
type process struct {
	pid, ppid, sid, threads int
	start                   uint64
	state                   byte
	comm                    string
	argv                    []string
	cgroups                 string
	unreadable              bool // no command line though there should be one
}

const kernelThread = 0x00200000 // PF_KTHREAD in the flags of /proc/PID/stat

// readAll reads every process that has not ended, kernel threads left out. problems are processes that exist and cannot
// be read.
func (p *ProcFS) readAll() (all []process, problems []error, err error) {
	dir, err := os.Open(p.proc())
	if err != nil {
		return nil, nil, fmt.Errorf("processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, nil, fmt.Errorf("processes: %w", err)
	}
	self := os.Getpid()
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid <= 1 || pid == self && p.Proc == "" {
			continue
		}
		e, err := p.readStat(pid)
		switch {
		case errors.Is(err, errGone):
			continue
		case err != nil:
			problems = append(problems, err)
			continue
		}
		p.readRest(&e)
		all = append(all, e)
	}
	return all, problems, nil
}

// errGone means that the process has ended, or is no process of user space.
var errGone = errors.New("gone")

// readStat reads /proc/PID/stat, which never waits for the process.
func (p *ProcFS) readStat(pid int) (process, error) {
	data, err := os.ReadFile(p.proc(strconv.Itoa(pid), "stat"))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return process{}, errGone
	}
	if err != nil {
		return process{}, fmt.Errorf("processes: %w", err)
	}
	left, right := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if left < 0 || right < left {
		return process{}, fmt.Errorf("processes: PID %d: stat %q is not understood", pid, data)
	}
	f := strings.Fields(string(data[right+1:])) // f[0] is the state, the third field of proc(5)
	if len(f) < 20 {
		return process{}, fmt.Errorf("processes: PID %d: stat %q is too short", pid, data)
	}
	num := make([]uint64, 20)
	for i := 1; i < 20; i++ {
		if num[i], err = strconv.ParseUint(strings.TrimPrefix(f[i], "-"), 10, 64); err != nil {
			return process{}, fmt.Errorf("processes: PID %d: stat %q: %w", pid, data, err)
		}
	}
	e := process{
		pid: pid, comm: string(data[left+1 : right]), state: f[0][0],
		ppid: int(num[1]), sid: int(num[3]), threads: int(num[17]), start: num[19],
	}
	dead := e.state == 'X' || e.state == 'x' || e.state == 'Z' && e.threads <= 1
	if dead || num[6]&kernelThread != 0 {
		return process{}, errGone
	}
	return e, nil
}

// readRest reads cgroups and command line. Both may fail because the process has ended meanwhile; then what is known
// of it stands, and the next pass will miss it.
func (p *ProcFS) readRest(e *process) {
	pid := strconv.Itoa(e.pid)
	if data, err := os.ReadFile(p.proc(pid, "cgroup")); err == nil {
		e.cgroups = string(data)
	}
	err := p.slow.do(procID{e.pid, e.start}, func() func() {
		data, err := p.readCmdline(pid, e.threads)
		return func() { e.argv, e.unreadable = splitArgs(data), err != nil || len(data) == 0 }
	})
	if err != nil {
		e.unreadable = true
	}
}

// readCmdline reads the command line; of a process whose main thread has ended while others live, from one of those.
func (p *ProcFS) readCmdline(pid string, threads int) ([]byte, error) {
	data, err := os.ReadFile(p.proc(pid, "cmdline"))
	if err != nil || len(data) > 0 || threads <= 1 {
		return data, err
	}
	tasks, err := os.ReadDir(p.proc(pid, "task"))
	for _, t := range tasks {
		if data, err := os.ReadFile(p.proc(pid, "task", t.Name(), "cmdline")); err == nil && len(data) > 0 {
			return data, nil
		}
	}
	return nil, err
}

func splitArgs(data []byte) []string {
	s := strings.TrimRight(string(data), "\x00")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\x00")
}

// slowLimit is how long one process's files may take, where nothing else is said. Ordinary reads take microseconds.
const slowLimit = 200 * time.Millisecond

var errStuck = errors.New("its /proc files do not answer")

// slowReads runs reads that may hang on a process which holds its memory lock in the kernel. The zero value is ready.
type slowReads struct {
	limit time.Duration // 0: slowLimit
	mu    sync.Mutex
	stuck map[procID]bool
}

// do runs read in a goroutine of its own and then the function that it returned in this one. It returns errStuck when read
// takes too long, and at once while an earlier read of the same process still hangs.
func (s *slowReads) do(id procID, read func() (apply func())) error {
	s.mu.Lock()
	hangs := s.stuck[id]
	s.mu.Unlock()
	if hangs {
		return errStuck
	}
	result := make(chan func())
	given := make(chan struct{}) // closed: nobody waits any more
	go func() {
		apply := read()
		select {
		case result <- apply:
		case <-given:
			s.mu.Lock()
			delete(s.stuck, id)
			s.mu.Unlock()
		}
	}()
	limit := time.NewTimer(cmp.Or(s.limit, slowLimit))
	defer limit.Stop()
	select {
	case apply := <-result:
		apply()
		return nil
	case <-limit.C:
		s.mu.Lock()
		if s.stuck == nil {
			s.stuck = map[procID]bool{}
		}
		s.stuck[id] = true
		s.mu.Unlock()
		close(given)
		return errStuck
	}
}
