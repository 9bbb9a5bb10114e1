//go:build fencingreal

package scsipr

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// guestMark in the environment says that this is the machine with the Linux kernel's own SCSI target.
const guestMark = "BASCULE_TEST_GUEST"

// kernelRoot is where boot/vmlinuz-* and lib/modules/* lie, if not at /: an unpacked linux-image package will do.
const kernelRoot = "BASCULE_TEST_KERNEL"

// guestModules are what the guest needs, without what they need themselves.
var guestModules = []string{"crc32c_generic", "target_core_mod", "target_core_file", "iscsi_target_mod", "iscsi_tcp", "sd_mod", "dm-multipath", "dm-service-time", "scsi_dh_alua"}

// guestInit is the guest's first process. It ends the machine with the tests.
const guestInit = `#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /etc/target/pr /var/target/pr /etc/multipath
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs run /run
/bin/busybox --install -s /bin
for m in $(cat /modules); do insmod /mod/$m.ko || echo "GUEST: no $m"; done
mount -t configfs config /sys/kernel/config || echo "GUEST: no configfs"
ip link set lo up
` + guestMark + `=1 /tests -test.v -test.count=1 -test.timeout 50s -test.run TestGuest$TESTS </dev/null
echo "GUEST: ended with $?"
poweroff -f
`

// The TestGuest… tests run in virtual machines: LIO, the target of the Linux kernel, with its disks attached by the kernel's own
// initiator, and so through SG_IO; with multipath; and over the initiator in user space.
func TestRealKernelDisks(t *testing.T)  { inVM(t, "Disk", 2) }
func TestRealMultipath(t *testing.T)    { inVM(t, "Multipath", 1) }
func TestRealKernelTarget(t *testing.T) { inVM(t, "Portal", 2) }

// inVM runs the guest's tests with this beginning; so many have to pass.
func inVM(t *testing.T, tests string, want int) {
	for _, tool := range []string{"qemu-system-x86_64", "busybox", "iscsistart", "mpathpersist", "multipathd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (packages qemu-system-x86, busybox-static, open-iscsi, multipath-tools)", tool)
		}
	}
	kernel, modules := findKernel(t)
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(initrd, pack(t, modules), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 58*time.Second)
	out := runVM(ctx, t, "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on TESTS="+tests)
	passed := strings.Count(out, "--- PASS: TestGuest"+tests)
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "_test.go:") || strings.Contains(line, "--- ") || strings.Contains(line, "GUEST:") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if !strings.Contains(out, "GUEST: ended with 0") || passed != want {
		t.Fatalf("%d tests passed in the guest; the end of what it said:\n%s", passed, out[max(0, len(out)-6000):])
	}
}

// runVM runs the machine to its end and returns what it said.
func runVM(ctx context.Context, t *testing.T, args ...string) string {
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

// findKernel returns a kernel and its directory of modules.
func findKernel(t *testing.T) (kernel, modules string) {
	root := os.Getenv(kernelRoot)
	if root == "" {
		root = "/"
	}
	dirs, _ := filepath.Glob(filepath.Join(root, "lib/modules/*"))
	slices.Reverse(dirs)
	for _, dir := range dirs {
		kernel := filepath.Join(root, "boot", "vmlinuz-"+filepath.Base(dir))
		if _, err := os.Stat(kernel); err == nil && len(moduleFiles(dir)) > 0 {
			return kernel, dir
		}
	}
	t.Skipf("needs a Linux kernel with modules (*.ko) below %s: unpack Debian's linux-image-amd64 somewhere and say so with %s=DIR", root, kernelRoot)
	return "", ""
}

// moduleFiles are the modules of a kernel by name.
func moduleFiles(dir string) map[string]string {
	files := map[string]string{}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok && err == nil {
			files[strings.ReplaceAll(name, "-", "_")] = path
		}
		return nil
	})
	return files
}

// needed lists modules after what they need. One that is not there is built in, or shows by its absence.
func needed(t *testing.T, files map[string]string, names []string, done []string) []string {
	for _, name := range names {
		name = strings.ReplaceAll(name, "-", "_")
		if files[name] == "" || slices.Contains(done, name) {
			continue
		}
		f, err := elf.Open(files[name])
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Section(".modinfo").Data()
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(info), "\x00") {
			if deps, ok := strings.CutPrefix(line, "depends="); ok && deps != "" {
				done = needed(t, files, strings.Split(deps, ","), done)
			}
		}
		done = append(done, name)
	}
	return done
}

// archive is a cpio archive in the format of an initial file system.
type archive struct {
	bytes.Buffer
	t    *testing.T
	seen map[string]bool
}

func (a *archive) entry(name string, mode int, data []byte) {
	name = strings.TrimPrefix(name, "/")
	if a.seen[name] {
		return
	}
	a.seen[name] = true
	if dir := filepath.Dir(name); dir != "." {
		a.entry(dir, 0o40755, nil)
	}
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", len(a.seen), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.WriteString(name + "\x00")
	a.Write(make([]byte, -a.Len()&3))
	a.Write(data)
	a.Write(make([]byte, -a.Len()&3))
}

func (a *archive) file(name, from string) {
	data, err := os.ReadFile(from)
	if err != nil {
		a.t.Fatal(err)
	}
	a.entry(name, 0o100755, data)
}

// program adds a program with its libraries.
func (a *archive) program(name, from string) {
	a.file(name, from)
	out, _ := exec.Command("ldd", from).Output() // fails for a static one
	scan := bufio.NewScanner(bytes.NewReader(out))
	for scan.Scan() {
		for _, f := range strings.Fields(scan.Text()) {
			if strings.HasPrefix(f, "/") {
				a.file(f, f)
			}
		}
	}
}

func pack(t *testing.T, modules string) []byte {
	a := &archive{t: t, seen: map[string]bool{}}
	files := moduleFiles(modules)
	list := needed(t, files, guestModules, nil)
	for _, m := range list {
		a.file("mod/"+m+".ko", files[m])
	}
	a.entry("modules", 0o100644, []byte(strings.Join(list, "\n")+"\n"))
	a.entry("init", 0o100755, []byte(guestInit))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a.program("tests", self)
	for name, at := range map[string]string{"busybox": "bin/busybox", "mpathpersist": "usr/sbin/mpathpersist", "multipathd": "usr/sbin/multipathd", "iscsistart": "usr/sbin/iscsistart", "sg_persist": "usr/bin/sg_persist"} {
		if from, err := exec.LookPath(name); err == nil {
			a.program(at, from)
		}
	}
	plugins, _ := filepath.Glob("/lib/multipath/*.so")
	opened, _ := filepath.Glob("/lib/*/libgcc_s.so.1") // by multipathd, when a thread of its ends
	for _, p := range append(plugins, opened...) {
		a.program(p, p)
	}
	a.entry("TRAILER!!!", 0, nil)
	return a.Bytes()
}
