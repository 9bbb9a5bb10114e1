//go:build fencingreal

package realvm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mark in the environment says that this process runs in the machine.
const mark = "BASCULE_TEST_GUEST"

// Machine is what is booted.
type Machine struct {
	Modules  []string          // of the kernel, without what they need themselves
	Programs map[string]string // name → where it lies in the machine; one that is missing here skips the test
	Files    []string          // patterns of files (libraries, plug-ins) that programs open by themselves
	Tests    string            // the beginning of the names of the tests to run in it, after "TestGuest"
	Want     int               // how many of them have to pass
	Limit    time.Duration     // for boot and tests together; it only guards against hanging
}

// Inside skips a test that belongs into the machine and is not there.
func Inside(t *testing.T) {
	t.Helper()
	if os.Getenv(mark) == "" {
		t.Skip("runs in a virtual machine of this package's TestReal… tests")
	}
}

// initScript is the machine's first process. It ends the machine with the tests.
const initScript = `#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /mnt /etc/target/pr /var/target/pr /var/lib /etc/multipath
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs run /run
/bin/busybox mount -t tmpfs tmp /tmp
/bin/busybox --install -s /bin
for m in $(cat /modules); do insmod /mod/$m.ko || echo "GUEST: no $m"; done
[ ! -d /sys/kernel/config ] || mount -t configfs config /sys/kernel/config || echo "GUEST: no configfs"
ip link set lo up
` + mark + `=1 /tests -test.v -test.count=1 -test.timeout ${LIMIT}s -test.run TestGuest$TESTS </dev/null
echo "GUEST: ended with $?"
poweroff -f
`

// Run boots the machine, runs its tests and fails this one where they fail.
func (m Machine) Run(t *testing.T) {
	t.Helper()
	for tool := range m.Programs {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	for _, tool := range []string{"qemu-system-x86_64", "busybox"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (packages qemu-system-x86, busybox-static)", tool)
		}
	}
	kernel, modules := findKernel(t)
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(initrd, m.pack(t, modules), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.Limit)
	defer cancel()
	out := boot(ctx, t, "-kernel", kernel, "-initrd", initrd, "-append",
		fmt.Sprintf("console=ttyS0 quiet panic=-1 random.trust_cpu=on TESTS=%s LIMIT=%d", m.Tests, int((m.Limit-m.Limit/8).Seconds())))
	passed := strings.Count(out, "--- PASS: TestGuest"+m.Tests)
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "_test.go:") || strings.Contains(line, "--- ") || strings.Contains(line, "GUEST:") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if !strings.Contains(out, "GUEST: ended with 0") || passed != m.Want {
		t.Fatalf("%d tests passed in the guest; the end of what it said:\n%s", passed, out[max(0, len(out)-6000):])
	}
}

// boot runs the machine to its end and returns what it said.
func boot(ctx context.Context, t *testing.T, args ...string) string {
	args = append([]string{"-accel", "tcg", "-cpu", "max", "-m", "768", "-smp", "2", "-no-reboot", "-display", "none", "-monitor", "none",
		"-nodefaults", "-serial", "stdio"}, args...)
	var out bytes.Buffer
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		cmd.WaitDelay = time.Second
		done <- cmd.Run()
	}()
	if err := <-done; err != nil {
		t.Errorf("qemu: %v", err)
	}
	return out.String()
}
