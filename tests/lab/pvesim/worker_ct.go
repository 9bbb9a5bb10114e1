package pvesim

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"
)

// startCT starts the container's monitor, which starts its init.
func (w *worker) startCT() error {
	unlock, err := w.lockConfig()
	if err != nil {
		return err
	}
	defer unlock()
	cfg, err := w.config(w.spec.Node)
	if err != nil {
		return err
	}
	if err := w.checkLock(cfg, "mounted"); err != nil {
		return err
	}
	if cfg.template() {
		return errors.New("you can't start a CT if it's a template")
	}
	if _, running := findGuest(w.spec.Dir, "lxc", w.spec.VMID); running {
		return fmt.Errorf("CT %d already running", w.spec.VMID)
	}
	if cfg, err = w.takePending(cfg); err != nil {
		return err
	}
	if err := w.checkVolumes(cfg); err != nil {
		return err
	}
	w.until(w.spec.Timing.Start / 2)
	if err := w.failure(); err != nil {
		return err
	}
	failed := "startup for container '" + strconv.Itoa(w.spec.VMID) + "' failed"
	if err := w.launch([]string{monitorTitle(w.spec.VMID)}, roleMonitor, false, failed); err != nil {
		return err
	}
	w.until(w.spec.Timing.Start)
	return nil
}

// runningCT finds the container with the checks that stop and shutdown share.
func (w *worker) runningCT() (guestPIDs, error) {
	cfg, err := w.config(w.spec.Node)
	if err != nil {
		return guestPIDs{}, err
	}
	if err := w.checkLock(cfg); err != nil {
		return guestPIDs{}, err
	}
	pids, running := findGuest(w.spec.Dir, "lxc", w.spec.VMID)
	if !running {
		return guestPIDs{}, fmt.Errorf("CT %d not running", w.spec.VMID)
	}
	return pids, w.failure()
}

func (w *worker) stopCT() error {
	unlock, err := w.lockConfig()
	if err != nil {
		return err
	}
	defer unlock()
	pids, err := w.runningCT()
	if err != nil {
		return err
	}
	w.until(w.spec.Timing.Stop / 2)
	if err := w.killCT(pids); err != nil {
		return err
	}
	w.until(w.spec.Timing.Stop)
	return nil
}

// killCT kills init; its monitor follows.
func (w *worker) killCT(pids guestPIDs) error {
	if err := sendSignal(pids.inner, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %d failed: %w", pids.inner, err)
	}
	if !waitGone(pids.inner, 10*time.Second) || !waitGone(pids.outer, 10*time.Second) {
		return fmt.Errorf("command 'lxc-stop -n %d --kill' failed: exit code 1", w.spec.VMID)
	}
	return nil
}

func (w *worker) shutdownCT() error {
	unlock, err := w.lockConfig()
	if err != nil {
		return err
	}
	defer unlock()
	pids, err := w.runningCT()
	if err != nil {
		return err
	}
	return w.endCT(pids, w.shutdownTimeout(), w.spec.Params["forceStop"] == "1")
}

// endCT asks init to shut down and waits for it and its monitor.
func (w *worker) endCT(pids guestPIDs, limit time.Duration, force bool) error {
	if err := sendSignal(pids.inner, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %d failed: %w", pids.inner, err)
	}
	if waitGone(pids.inner, limit) && waitGone(pids.outer, 10*time.Second) {
		return nil
	}
	if force {
		return w.killCT(pids)
	}
	return fmt.Errorf("command 'lxc-stop -n %d --timeout %d' failed: exit code 1", w.spec.VMID, int(limit.Seconds()))
}
