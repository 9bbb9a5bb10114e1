//go:build fencingreal

package sbd

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
)

func TestRealMessageIsSeenByOurWatch(t *testing.T) {
	needReal(t, "sbd")
	devs := loops(t, 3)
	run(t, "sbd", dashD(devs, "-1", "2", "-2", "1", "-3", "1", "-4", "4", "create")...)
	verdicts := make(chan Verdict, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Watch(ctx, Config{Disks: devs, Slot: "n1", Fresh: true}, fencing.BootNow, func(v Verdict, n []Notice) {
			for _, x := range n {
				t.Log(x.Disk, x.Text)
			}
			verdicts <- v
		})
	}()
	await := func(what string, ok func(Verdict) bool) {
		t.Helper()
		for end := time.After(20 * time.Second); ; {
			select {
			case v := <-verdicts:
				if ok(v) {
					return
				}
			case <-end:
				t.Fatal(what)
			}
		}
	}
	await("never ready", func(v Verdict) bool { return v.Ready && v.Seen == 3 })
	if list := run(t, "sbd", "-d", devs[0], "list"); list != "0\tn1\tclear\t\n" {
		t.Errorf("%q", list)
	}
	run(t, "sbd", "-d", devs[1], "message", "n1", "test")
	if list := run(t, "sbd", "-d", devs[1], "list"); list != "0\tn1\tclear\t\n" {
		t.Errorf("the test was not answered: %q", list)
	}
	began := time.Now()
	go exec.CommandContext(ctx, "sbd", dashD(devs, "message", "n1", "off")...).Run() // it stays for msgwait
	await("the message is not seen", func(v Verdict) bool { return v.Poisoned != nil && v.Poisoned.Command == Off })
	t.Logf("sbd message n1 off: seen after %v", time.Since(began).Round(time.Millisecond))
	cancel()
	<-done
}

// watchScript runs the real watcher as the host's own sbd would, in a PID namespace of its own, where reboot(2) ends only that. The
// magic key and its switch are covered: those would reach the machine.
const watchScript = `
[ $$ = 1 ] || { echo "not in a PID namespace of its own"; exit 3; }
mount --make-rprivate / && mount -t proc proc /proc || exit 3
[ ! -e /proc/sysrq-trigger ] || mount --bind /dev/null /proc/sysrq-trigger || exit 3
[ ! -e /proc/sys/kernel/sysrq ] || mount --bind "$1" /proc/sys/kernel/sysrq || exit 3
shift
sbd -n n1 -R -W -W -P -P -S 0 "$@" watch || exit 4
echo watching
while :; do sleep 1; done`

// realWatch starts a host in which sbd watches; ended gives its end.
func realWatch(t *testing.T, devs []string) (ended <-chan error) {
	t.Helper()
	cover := filepath.Join(t.TempDir(), "sysrq")
	if err := os.WriteFile(cover, []byte("0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", append([]string{"-p", "-m", "-i", "-u", "-f", "--kill-child", "bash", "-c", watchScript, "-", cover}, dashD(devs)...)...)
	cmd.Env = append(os.Environ(), "SBD_PACEMAKER=no", "SBD_SYNC_RESOURCE_STARTUP=no", "SBD_DEVICE=", "SBD_OPTS=")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	end := make(chan error, 1)
	go func() { end <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill(); r.Close() })
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	var said strings.Builder
	for lines := bufio.NewReader(r); !strings.Contains(said.String(), "watching\n"); {
		line, err := lines.ReadString('\n')
		if said.WriteString(line); err != nil {
			t.Fatalf("sbd watch: %v: %s", err, said.String())
		}
	}
	return end
}

func TestRealWatchObeysOurPoison(t *testing.T) {
	needReal(t, "sbd", "unshare")
	for _, n := range []int{1, 3} {
		devs := quickDisks(t, loops(t, n))
		d := opened(t, devs, "n1")
		if err := d.Poison(within(t, 10*time.Second)); err != nil { // for an earlier boot: sbd clears it
			t.Fatal(err)
		}
		ended := realWatch(t, devs)
		reads(t, d, 0, n)
		select {
		case err := <-ended:
			t.Fatalf("it ended without a message: %v", err)
		case <-time.After(2500 * time.Millisecond):
		}
		began := time.Now()
		if err := d.Poison(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
		reads(t, d, n, n)
		select {
		case err := <-ended:
			if fmt.Sprint(err) != "signal: interrupt" { // so the kernel ends a namespace that powers off; hangup would be a restart
				t.Errorf("it did not power off: %v", err)
			}
			t.Logf("%d disks: the host was gone %v after Poison was called; msgwait is %v", n, time.Since(began).Round(time.Millisecond), quick.MsgWait)
		case <-time.After(quick.MsgWait):
			t.Fatal("it lives after msgwait")
		}
		reads(t, d, n, n) // it lies there until the node boots again
		realWatch(t, devs)
		reads(t, d, 0, n)
	}
}
