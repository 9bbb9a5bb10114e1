package guard

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

const (
	capIPCLock = 14 // CAP_IPC_LOCK, linux/capability.h
	rtPriority = 2  // above ordinary work, below the kernel's watchdog and migration threads
	heapLimit  = 64 << 20
)

// realTime prepares the process for the hour in which the node is short of everything. Each measure is best effort; what is
// denied is logged with its reason, and the guard runs without it.
//
//   - Memory locked: when memory is short the kernel drops even the pages of running programs, and the disk they would come
//     back from may be the one that hangs. Pages are locked as they are first touched (ONFAULT): Go reserves much
//     more address space than it uses, and the program file holds the whole daemon.
//   - SCHED_RR: QEMU processes and compressing backups must not keep the guard from its deadline.
//   - Collector: the heap is a few MB and grows only by scanning. Collecting at four times its size makes pauses rare,
//     and the limit keeps the locked memory bounded whatever happens.
func realTime(log *logq) {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(heapLimit)
	if err := lockMemory(); err != nil {
		log.add(logrus.WarnLevel, fmt.Sprintf("guard: memory is not locked: %v: under memory pressure the guard may be late", err))
	}
	if err := scheduleRR(); err != nil {
		log.add(logrus.WarnLevel, fmt.Sprintf("guard: no real-time scheduling: %v: on a busy node the guard may be late", err))
	}
}

// lockMemory refuses where a limit would let it lock now and make a later allocation fail: that would end the process.
func lockMemory() error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &lim); err != nil {
		return fmt.Errorf("getrlimit: %w", err)
	}
	if lim.Cur != unix.RLIM_INFINITY && !hasCapability(capIPCLock) {
		return fmt.Errorf("limited to %d bytes without CAP_IPC_LOCK (set LimitMEMLOCK=infinity in the unit)", lim.Cur)
	}
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return fmt.Errorf("mlockall: %w", err)
	}
	return nil
}

func hasCapability(n uint) bool {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			mask, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return err == nil && mask&(1<<n) != 0
		}
	}
	return false
}

// scheduleRR sets every thread of the process; threads that Go makes later inherit it. Threads come and go meanwhile, so
// it repeats until a pass meets no new one.
func scheduleRR() error {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: rtPriority}
	done := map[int]bool{}
	for fresh := true; fresh; {
		fresh = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err != nil || done[tid] {
				continue
			}
			if err := unix.SchedSetAttr(tid, &attr, 0); err != nil && err != unix.ESRCH {
				return fmt.Errorf("sched_setattr: %w", err)
			}
			done[tid], fresh = true, true
		}
	}
	return nil
}
