package pvesim

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

func (w *worker) guestSpec(paused bool) guestSpec {
	return guestSpec{Lab: w.spec.Lab, Dir: w.spec.Dir, Exe: w.spec.Exe, Node: w.spec.Node, VMID: w.spec.VMID, Paused: paused,
		Shutdown: w.spec.Timing.Shutdown, Tick: w.spec.Timing.GuestTick}
}

// startVM checks in the order in which Proxmox does and starts kvm.
func (w *worker) startVM() error {
	unlock, err := w.lockConfig()
	if err != nil {
		return err
	}
	defer unlock()
	from := w.spec.Node
	if w.spec.Incoming != "" {
		from = w.spec.Incoming // the config still lies on the source
	}
	cfg, err := w.config(from)
	if err != nil {
		return err
	}
	if cfg.template() {
		return errors.New("you can't start a vm if it's a template")
	}
	if w.spec.Incoming == "" {
		if err := w.checkLock(cfg, "suspended"); err != nil {
			return err
		}
	}
	if _, running := findGuest(w.spec.Dir, "qemu", w.spec.VMID); running {
		return fmt.Errorf("VM %d already running", w.spec.VMID)
	}
	if w.spec.Incoming == "" {
		if cfg, err = w.takePending(cfg); err != nil {
			return err
		}
	}
	if err := w.checkVolumes(cfg); err != nil {
		return err
	}
	w.until(w.spec.Timing.Start / 2)
	if err := w.failure(); err != nil {
		return err
	}
	if err := w.launchVM(cfg); err != nil {
		return err
	}
	w.until(w.spec.Timing.Start)
	return nil
}

func (w *worker) launchVM(cfg *guestConfig) error {
	argv := []string{kvmTitle, "-id", strconv.Itoa(w.spec.VMID), "-name", cfg.name() + ",debug-threads=on",
		"-pidfile", "/var/run/qemu-server/" + strconv.Itoa(w.spec.VMID) + ".pid", "-daemonize", "-m", strconv.FormatInt(cfg.memory()>>20, 10)}
	if w.spec.Incoming != "" {
		argv = append(argv, "-incoming", "unix:/run/qemu-server/"+strconv.Itoa(w.spec.VMID)+".migrate", "-S")
	}
	return w.launch(argv, roleVM, w.spec.Incoming != "", "start failed: QEMU exited with code 1")
}

// launch starts a guest's outer process and waits until it has written its pid file.
func (w *worker) launch(argv []string, role string, paused bool, failed string) error {
	stale := vmPidFile(w.spec.Dir, w.spec.VMID)
	if w.spec.Kind == "lxc" {
		stale = ctPidFile(w.spec.Dir, w.spec.VMID)
	}
	os.Remove(stale) // a running guest was ruled out
	cmd, err := childCommand(w.spec.Exe, argv, role, w.spec.Dir, w.guestSpec(paused))
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", failed, err)
	}
	gone := make(chan struct{})
	go func() { cmd.Wait(); close(gone) }() // reaps it if it ends before this worker
	for {
		if _, running := findGuest(w.spec.Dir, w.spec.Kind, w.spec.VMID); running {
			return nil
		}
		select {
		case <-gone:
			return errors.New(failed)
		case <-time.After(3 * time.Millisecond):
		}
	}
}

// runningVM is check_running: no config is an error, no process is none.
func (w *worker) runningVM() (guestPIDs, bool, *guestConfig, error) {
	cfg, err := w.config(w.spec.Node)
	if err != nil {
		return guestPIDs{}, false, nil, fmt.Errorf("unable to find configuration file for VM %d - no such machine", w.spec.VMID)
	}
	pids, running := findGuest(w.spec.Dir, "qemu", w.spec.VMID)
	return pids, running, cfg, nil
}

// stopVM ends kvm at once. Stopping what is stopped is a success.
func (w *worker) stopVM() error {
	unlock, err := w.lockConfig()
	if err != nil {
		return err
	}
	defer unlock()
	pids, running, cfg, err := w.runningVM()
	if err != nil || !running {
		return err
	}
	if err := w.checkLock(cfg); err != nil {
		return err
	}
	if err := w.failure(); err != nil {
		return err
	}
	w.until(w.spec.Timing.Stop / 2)
	if err := w.kill(pids.outer); err != nil {
		return err
	}
	w.until(w.spec.Timing.Stop)
	return nil
}

// kill sends SIGKILL and waits for the end.
func (w *worker) kill(pid int) error {
	if err := sendSignal(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %d failed: %w", pid, err)
	}
	if !waitGone(pid, 10*time.Second) {
		return errors.New("VM quit/powerdown failed - got timeout")
	}
	os.Remove(vmPidFile(w.spec.Dir, w.spec.VMID)) // kvm could not do it itself
	return nil
}

func (w *worker) shutdownTimeout() time.Duration {
	if s, err := strconv.Atoi(w.spec.Params["timeout"]); err == nil {
		return time.Duration(s) * time.Second
	}
	return w.spec.Timing.ShutdownTimeout
}

// shutdownVM asks the guest and waits; with forceStop it is stopped hard in the end.
func (w *worker) shutdownVM() error {
	unlock, err := w.lockConfig()
	if err != nil {
		return err
	}
	defer unlock()
	pids, running, cfg, err := w.runningVM()
	if err != nil || !running {
		return err
	}
	if err := w.checkLock(cfg); err != nil {
		return err
	}
	if err := w.failure(); err != nil {
		return err
	}
	if err := sendSignal(pids.outer, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("VM quit/powerdown failed - %w", err)
	}
	if waitGone(pids.outer, w.shutdownTimeout()) {
		return nil
	}
	if w.spec.Params["forceStop"] == "1" {
		w.say("VM quit/powerdown failed - terminating now with SIGTERM")
		return w.kill(pids.outer)
	}
	return errors.New("VM quit/powerdown failed - got timeout")
}
