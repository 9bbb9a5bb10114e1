package pvesim

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The guest side: processes that stand for virtual machines and containers. A guest's only work is to append lines
// to its log on the shared storage, by which everybody can see where it ran and when.

// guestSpec is what a guest process is told.
type guestSpec struct {
	Lab, Dir, Exe string
	Node          string
	VMID          int
	Paused        bool // wait for SIGUSR1: the target of a migration
	Shutdown      time.Duration
	Tick          time.Duration
}

const kvmTitle = "/usr/bin/kvm"

func monitorTitle(vmid int) string { return "[lxc monitor] /var/lib/lxc " + strconv.Itoa(vmid) }

func runVM(encoded string) error {
	var spec guestSpec
	if err := decodeSpec(encoded, &spec); err != nil {
		return err
	}
	asked, resume := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	signal.Notify(resume, syscall.SIGUSR1)
	pidFile := vmPidFile(spec.Dir, spec.VMID)
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return fmt.Errorf("writing the pid file failed: %w", err)
	}
	g := guestWriter{spec: spec}
	if spec.Paused {
		select {
		case <-resume:
			g.counter = lastCounter(g.path()) + 1 // the memory came along
		case <-asked:
			return os.Remove(pidFile)
		}
	}
	g.run(asked)
	return os.Remove(pidFile)
}

// runMonitor starts the container's init and ends with it. If the monitor dies first, the kernel kills init.
func runMonitor(encoded string) error {
	runtime.LockOSThread() // PDEATHSIG is sent when the thread that forked ends, not the process
	var spec guestSpec
	if err := decodeSpec(encoded, &spec); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGTERM) // asked to shut down is init, not its monitor
	cmd, err := childCommand(spec.Exe, []string{"/sbin/init"}, roleInit, spec.Dir, spec)
	if err != nil {
		return err
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting init failed: %w", err)
	}
	pidFile := ctPidFile(spec.Dir, spec.VMID)
	line := strconv.Itoa(os.Getpid()) + " " + strconv.Itoa(cmd.Process.Pid) + "\n"
	if err := os.WriteFile(pidFile, []byte(line), 0o644); err != nil {
		return fmt.Errorf("writing the pid file failed: %w", err)
	}
	if err := cmd.Wait(); err != nil && !isExit(err) {
		return fmt.Errorf("waiting for init failed: %w", err)
	}
	return os.Remove(pidFile)
}

func isExit(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit)
}

func runInit(encoded string) error {
	var spec guestSpec
	if err := decodeSpec(encoded, &spec); err != nil {
		return err
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	g := guestWriter{spec: spec}
	g.run(asked)
	return nil
}

// guestWriter appends "vmid node incarnation generation counter unixnano" lines.
type guestWriter struct {
	spec        guestSpec
	counter     int64
	incarnation string
	generation  int64
}

func (g *guestWriter) path() string {
	return filepath.Join(g.spec.Lab, "storage/guests", strconv.Itoa(g.spec.VMID)+".log")
}

// run writes until the guest has shut down.
func (g *guestWriter) run(asked <-chan os.Signal) {
	g.incarnation, g.generation = readIncarnation(g.spec.Dir), readGeneration(g.spec.Dir, g.spec.VMID)
	g.write()
	tick := time.NewTicker(g.spec.Tick)
	defer tick.Stop()
	var down <-chan time.Time
	for {
		select {
		case <-tick.C:
			g.write()
		case <-asked:
			if down == nil && !exists(ignoreShutdownPath(g.spec.Lab, g.spec.VMID)) {
				down = time.After(g.spec.Shutdown)
			}
		case <-down:
			return
		}
	}
}

// write appends one line. While the storage network is cut the write hangs and completes, unchanged, when it is
// healed: that late line is exactly what fencing has to prevent.
func (g *guestWriter) write() {
	line := fmt.Sprintf("%d %s %s %d %d %d\n", g.spec.VMID, g.spec.Node, g.incarnation, g.generation, g.counter, time.Now().UnixNano())
	g.counter++
	for exists(cutPath(g.spec.Lab, g.spec.Node)) {
		time.Sleep(10 * time.Millisecond)
	}
	f, err := os.OpenFile(g.path(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		fmt.Fprintf(os.Stderr, "pvesim: guest %d: %v\n", g.spec.VMID, err)
		return
	}
	defer f.Close()
	if _, err := f.WriteString(line); err != nil {
		fmt.Fprintf(os.Stderr, "pvesim: guest %d: %v\n", g.spec.VMID, err)
	}
}

func readIncarnation(nodeDir string) string {
	data, err := os.ReadFile(filepath.Join(nodeDir, "boot_id"))
	if id := strings.TrimSpace(string(data)); err == nil && id != "" {
		return id
	}
	return "-"
}

// readGeneration takes the guest's generation from what the node's daemon wrote before the start; 0 if it wrote none.
func readGeneration(nodeDir string, vmid int) int64 {
	data, err := os.ReadFile(filepath.Join(nodeDir, "root/run/bascule/guests.json"))
	if err != nil {
		return 0
	}
	var guests map[string]struct {
		Generation int64 `json:"generation"`
	}
	if json.Unmarshal(data, &guests) != nil {
		return 0
	}
	return guests[strconv.Itoa(vmid)].Generation
}

// lastCounter is the counter of a log's last line, -1 if there is none.
func lastCounter(p string) int64 {
	f, err := os.Open(p)
	if err != nil {
		return -1
	}
	defer f.Close()
	end, err := f.Seek(0, 2)
	if err != nil {
		return -1
	}
	tail := make([]byte, min(end, 4096))
	if _, err := f.ReadAt(tail, end-int64(len(tail))); err != nil {
		return -1
	}
	lines := strings.Split(strings.TrimRight(string(tail), "\n"), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	if len(fields) != 6 {
		return -1
	}
	n, err := strconv.ParseInt(fields[4], 10, 64)
	if err != nil {
		return -1
	}
	return n
}
