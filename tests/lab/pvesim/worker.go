package pvesim

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// The worker side: this runs in a process of its own on a node. It sees the tree through the node's pmxcfs.sock,
// guests through pid files and signals, and other nodes through pvesim.sock.

// becomeTask gives the new process its title. Only now is its process id known, which the title contains, so it
// executes itself once more; process id and start time stay.
func becomeTask(encoded string) error {
	var spec workerSpec
	if err := decodeSpec(encoded, &spec); err != nil {
		return err
	}
	st, err := statPid(os.Getpid())
	if err != nil {
		return fmt.Errorf("reading one's own start time failed: %w", err)
	}
	u := upid{node: spec.Node, pid: os.Getpid(), pstart: st.start, start: spec.Start, kind: spec.Type, user: spec.User}
	if spec.VMID != 0 {
		u.id = strconv.Itoa(spec.VMID)
	}
	spec.UPID = u.String()
	again, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("encoding the task failed: %w", err)
	}
	cmd, err := childCommand(spec.Exe, []string{"task " + spec.UPID}, roleTask, spec.Dir, json.RawMessage(again))
	if err != nil {
		return err
	}
	return syscall.Exec(spec.Exe, cmd.Args, cmd.Env)
}

// worker is a running task.
type worker struct {
	spec  workerSpec
	fs    *fsClient
	began time.Time
	ctl   *controlClient

	interrupted chan struct{} // closed by SIGTERM and SIGINT

	mu       sync.Mutex
	log      *os.File
	finished bool
}

// readyFD is the pipe on which the worker tells that it has its title.
const readyFD = 3

func runTask(encoded string) error {
	w := &worker{began: time.Now(), interrupted: make(chan struct{})}
	if err := decodeSpec(encoded, &w.spec); err != nil {
		return err
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, syscall.SIGTERM, syscall.SIGINT)
	ready := os.NewFile(readyFD, "ready")
	ready.Write([]byte("1")) // nobody listening is no reason to stop
	ready.Close()
	log, err := os.OpenFile(taskLog(filepath.Join(w.spec.Dir, "root/var/log/pve/tasks"), w.spec.UPID), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("opening the task log failed: %w", err)
	}
	w.log, w.fs = log, newFSClient(filepath.Join(w.spec.Dir, "pmxcfs.sock"))
	w.ctl = &controlClient{newUnixClient(filepath.Join(w.spec.Dir, "pvesim.sock"))}
	w.fs.unix.broken, w.ctl.unix.broken = powerFailure, powerFailure
	go func() {
		<-interrupts
		close(w.interrupted)
		if w.spec.Action == "migrate" {
			return // it notices by itself and cleans up
		}
		w.finish(errors.New("received interrupt"))
		os.Exit(255)
	}()
	w.finish(w.run())
	return nil
}

// powerFailure is called when the node's sockets are gone: its power is being cut, and a real worker would not live
// to notice. So this one notes nothing and waits for its end; should nobody kill it, it goes by itself.
func powerFailure(error) {
	time.Sleep(10 * time.Second)
	os.Exit(1)
}

// run carries out the action.
func (w *worker) run() error {
	actions := map[string]func() error{
		"qemu start": w.startVM, "qemu stop": w.stopVM, "qemu shutdown": w.shutdownVM, "qemu migrate": w.migrateVM,
		"qemu config": w.setConfig,
		"lxc start":   w.startCT, "lxc stop": w.stopCT, "lxc shutdown": w.shutdownCT, "lxc migrate": w.migrateCT,
		" startall": w.startAll, " stopall": w.stopAll,
	}
	if w.spec.Action == "ha" {
		return w.requestHA()
	}
	action, ok := actions[w.spec.Kind+" "+w.spec.Action]
	if !ok {
		return fmt.Errorf("unknown action %s of %s", w.spec.Action, w.spec.Kind)
	}
	return action()
}

// requestHA only queues: there is no HA manager in the lab, so nothing comes of it.
func (w *worker) requestHA() error {
	line := "Requesting HA " + w.spec.Params["what"] + " for VM " + strconv.Itoa(w.spec.VMID)
	if target := w.spec.Params["target"]; target != "" {
		line += " to node " + target
	}
	w.say(line)
	return nil
}

// say writes a line to the task's log.
func (w *worker) say(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.finished {
		fmt.Fprintln(w.log, line)
	}
}

// stamp writes a line with the time before it, as migrations do.
func (w *worker) stamp(format string, args ...any) {
	w.say(time.Now().Format("2006-01-02 15:04:05 ") + fmt.Sprintf(format, args...))
}

// finish writes the exit status, once.
func (w *worker) finish(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished {
		return
	}
	w.finished = true
	if err != nil {
		fmt.Fprintln(w.log, "TASK ERROR: "+err.Error())
	} else {
		fmt.Fprintln(w.log, "TASK OK")
	}
}

// until waits for the rest of the time that the task should take at least.
func (w *worker) until(d time.Duration) { time.Sleep(d - time.Since(w.began)) }

// failure is a fault that the lab asked for.
func (w *worker) failure() error {
	if w.spec.Fail != "" {
		return errors.New(w.spec.Fail)
	}
	return nil
}

// lockConfig takes the guest's config lock of this node, for which real workers wait ten seconds.
func (w *worker) lockConfig() (unlock func(), err error) {
	shown := "/var/lock/qemu-server/lock-" + strconv.Itoa(w.spec.VMID) + ".conf"
	if w.spec.Kind == "lxc" {
		shown = "/run/lock/lxc/pve-config-" + strconv.Itoa(w.spec.VMID) + ".lock"
	}
	p := filepath.Join(w.spec.Dir, "root", shown)
	f, err := os.OpenFile(p, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("can't open file '%s' - %w", shown, err)
	}
	for end := time.Now().Add(w.spec.Timing.LockTimeout); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if time.Now().After(end) {
			f.Close()
			return nil, fmt.Errorf("can't lock file '%s' - got timeout", shown)
		}
	}
}

// config reads the guest's config from a node's directory of the tree.
func (w *worker) config(node string) (*guestConfig, error) {
	p := configPath(node, w.spec.Kind, w.spec.VMID)
	data, err := w.fs.read(p)
	if errors.Is(err, errno(eNOENT)) {
		//lint:ignore ST1005 PVE's own words
		return nil, fmt.Errorf("Configuration file '%s' does not exist", p)
	}
	if err != nil {
		return nil, fmt.Errorf("unable to open file '/etc/pve/%s' - %w", p, err)
	}
	return parseConfig(w.spec.Kind, data), nil
}

// takePending makes pending changes real before a start.
func (w *worker) takePending(cfg *guestConfig) (*guestConfig, error) {
	if len(cfg.pending) == 0 {
		return cfg, nil
	}
	p := configPath(w.spec.Node, w.spec.Kind, w.spec.VMID)
	data, err := w.fs.read(p)
	if err != nil {
		return nil, fmt.Errorf("unable to open file '/etc/pve/%s' - %w", p, err)
	}
	if err := w.fs.write(p, applyPending(data)); err != nil {
		return nil, fmt.Errorf("unable to open file '/etc/pve/%s.tmp.%d' - %w", p, os.Getpid(), err)
	}
	return w.config(w.spec.Node)
}

// checkLock refuses a locked guest, but for locks that this action may ignore.
func (w *worker) checkLock(cfg *guestConfig, ignored ...string) error {
	lock := cfg.lock()
	if lock == "" || w.spec.Params["skiplock"] == "1" {
		return nil
	}
	for _, i := range ignored {
		if lock == i {
			return nil
		}
	}
	return errors.New(lockedMessage(w.spec.Kind, lock))
}

// checkVolumes activates the storages and looks for every disk, as a start does. On a cut storage network it hangs
// until its timeout.
func (w *worker) checkVolumes(cfg *guestConfig) error {
	data, err := w.fs.read("storage.cfg")
	if err != nil {
		return fmt.Errorf("unable to open file '/etc/pve/storage.cfg' - %w", err)
	}
	stores := parseStorages(data)
	for _, v := range cfg.volumes() {
		s, ok := findStorage(stores, v.storage)
		switch {
		case !ok:
			return fmt.Errorf("storage '%s' does not exist", v.storage)
		case s.disabled:
			return fmt.Errorf("storage '%s' is disabled", v.storage)
		case !s.on(w.spec.Node):
			return fmt.Errorf("storage '%s' is not available on node '%s'", v.storage, w.spec.Node)
		}
		problem := storageProblem(w.spec.Lab, w.spec.Node, s)
		for end := time.Now().Add(w.spec.Timing.StorageTimeout); problem != "" && s.shared && exists(cutPath(w.spec.Lab, w.spec.Node)) && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
			problem = storageProblem(w.spec.Lab, w.spec.Node, s)
		}
		if problem != "" {
			return errors.New(problem)
		}
		if !v.cdrom && !exists(volumePath(w.spec.Lab, w.spec.Dir, s, v)) {
			return fmt.Errorf("volume '%s' does not exist", v.id())
		}
	}
	return nil
}
