//go:build fencingreal

package sbd

import (
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
	"bascule/ha/waittest"
)

// frozenLoop makes a disk whose writes and, after one write, reads hang in the kernel from freeze to thaw: a loop device on a file system
// that is frozen. Not even SIGKILL ends a process that waits for it.
func frozenLoop(t *testing.T) (dev string, freeze, thaw func()) {
	needReal(t, "mkfs.ext4", "fsfreeze")
	dir := t.TempDir()
	under := loop(t, t.TempDir(), "--sector-size", "512")
	run(t, "mkfs.ext4", "-q", under)
	run(t, "mount", under, dir)
	t.Cleanup(func() { run(t, "umount", dir) })
	dev = loopFile(t, dir)
	var net *exec.Cmd
	thawed := true
	thaw = func() {
		if !thawed {
			thawed = true
			run(t, "fsfreeze", "-u", dir)
			syscall.Kill(-net.Process.Pid, syscall.SIGKILL)
			net.Wait()
		}
	}
	freeze = func() {
		net = exec.Command("sh", "-c", `sleep 50; fsfreeze -u "$1"`, "-", dir) // whatever becomes of this test
		net.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := net.Start(); err != nil {
			t.Fatal(err)
		}
		thawed = false
		run(t, "fsfreeze", "-f", dir)
	}
	t.Cleanup(thaw)
	return dev, freeze, thaw
}

// loopFile is loop for a small file system.
func loopFile(t *testing.T, dir string) string {
	t.Helper()
	f := dir + "/disk"
	run(t, "dd", "if=/dev/zero", "of="+f, "bs=512", "count=600", "conv=fsync", "status=none")
	dev := strings.TrimSpace(run(t, "losetup", "-f", "--show", f))
	t.Cleanup(func() { run(t, "losetup", "-d", dev) })
	return dev
}

// A disk that hangs in the kernel costs neither the proof nor the daemon, and no more than maxHung processes, which end when it answers.
func TestRealDiskThatHangsInTheKernel(t *testing.T) {
	hung, freeze, thaw := frozenLoop(t)
	devs := quickDisks(t, append(loops(t, 2), hung))
	ctx := within(t, 55*time.Second)
	spec := fencing.Spec{Name: "d", Node: "n1", Method: "sbd", Settings: map[string]string{"disks": strings.Join(devs, ","), "slot": "n1", "msgwait": "4s"}}
	e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{Method}, fencingtest.Child().Switch, fencing.BootNow)
	if err != nil {
		t.Fatal(err)
	}
	do := func(a ha.DeviceAction) ha.DeviceReading {
		r := e.Do(ctx, ha.DeviceCommand{Device: "d", Node: "n1", Action: a, Timeout: 5 * time.Second, Deadline: fencing.BootNow().Add(time.Minute)})
		t.Logf("%s: %v, %d of %d %s", a, r.Answered.Sub(r.Asked).Round(time.Millisecond), r.Pills, r.Disks, r.Problem)
		return r
	}
	verdicts := make(chan Verdict, 1000)
	watchCtx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	freeze()
	go func() {
		done <- Watch(watchCtx, Config{Disks: devs, Slot: "n1", Fresh: true}, fencing.BootNow, func(v Verdict, _ []Notice) { verdicts <- v })
	}()
	for range 2 {
		if r := do(ha.DevicePoison); r.Problem != "" || r.Answered.Sub(r.Asked) > 3*time.Second {
			t.Fatalf("poison: %+v", r)
		}
		if r := do(ha.DeviceRead); r.Problem != "" || r.Pills != 2 || r.Disks != 3 {
			t.Fatalf("read: %+v", r)
		}
	}
	for i := 0; len(mine(t, hung, false)) < maxHung; i++ {
		if do(ha.DeviceRead); i > 2*maxHung {
			t.Fatalf("only %d servants hang", len(mine(t, hung, false)))
		}
	}
	if r := do(ha.DeviceRead); r.Pills != 2 || r.Answered.Sub(r.Asked) > straggle || len(mine(t, hung, false)) != maxHung {
		t.Errorf("the next one must not hang any more: %+v, %d servants", r, len(mine(t, hung, false)))
	}
	seen := 0
	for v := range verdicts {
		if v.Ready && v.Poisoned != nil && v.Seen == 2 {
			break
		}
		if seen++; seen > 900 {
			t.Fatal("our watch does not see the message on the other two disks")
		}
	}
	if n := len(mine(t, hung, true)); n != 1 {
		t.Errorf("%d watching servants hang on one disk, want one", n)
	}
	stop()
	<-done
	thaw()
	waittest.Until(t, waittest.Hang, "the end of all that hung", func() bool { return len(mine(t, hung, false))+len(mine(t, hung, true)) == 0 })
	reads(t, opened(t, devs, "n1"), 3, 3) // what hung in the kernel was written all the same, by a process that had long been killed
}
