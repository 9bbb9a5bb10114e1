//go:build fencingreal

package storagereal

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/setup/doctor/gather"
)

// inNamespace says that this process has a mount namespace of its own: what it mounts is gone when it ends, however that is.
const inNamespace = "BASCULE_TEST_OWN_MOUNTS"

// ownMounts runs the test again in a mount namespace of its own; false: this is the process outside, and it is done.
func ownMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("only root may mount")
	}
	for _, tool := range []string{"unshare", "losetup", "mkfs.ext4", "fsfreeze"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", self, "-test.v", "-test.count=1", "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, "_test.go:") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in its own mount namespace: %v\n%s", err, out)
	}
	return false
}

// loopDisk is a loop device on a file.
func loopDisk(t *testing.T, file, size string) string {
	t.Helper()
	run(t, "truncate", "-s", size, file)
	dev := run(t, "losetup", "-f", "--show", file)
	t.Cleanup(func() { _, _ = try(t, "losetup", "-d", dev) })
	return dev
}

// mounted is an ext4 file system on a loop device.
func mounted(t *testing.T, size string) (dir, dev string) {
	t.Helper()
	dev = loopDisk(t, filepath.Join(t.TempDir(), "disk"), size)
	dir = t.TempDir()
	run(t, "mkfs.ext4", "-q", "-m", "0", dev)
	run(t, "mount", dev, dir)
	t.Cleanup(func() { _, _ = try(t, "umount", dir) })
	return dir, dev
}

// TestRealFileSystem: a file storage on an ext4 of this kernel that works, is full, is read-only, freezes and thaws, and is not mounted.
func TestRealFileSystem(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	dir, dev := mounted(t, "64M")
	l := newLooker(t, "/nonexistent")
	p := ha.StoragePlace{Name: "files", Type: "dir", Path: dir, Mount: dir}
	mark := filepath.Join(dir, ".bascule", "look-n1")
	if got := look(t, l, p); !good(got) || len(got.Notes) != 0 {
		t.Fatal("a file system that works")
	}
	if _, err := os.Stat(mark); err != nil {
		t.Error(err)
	}

	// Full to the last byte: told, and no loss. A looker that has not looked yet writes with its first look.
	_, _ = try(t, "dd", "if=/dev/zero", "of="+filepath.Join(dir, "fill"), "bs=1M", "status=none")
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	_, _ = try(t, "dd", "if=/dev/zero", "of="+filepath.Join(dir, "rest"), "bs=1k", "status=none")
	if got := look(t, newLooker(t, ""), p); !good(got) || !noted(got, "no space left") || !noted(got, "less than 5 %") {
		t.Error("a full file system")
	}
	run(t, "rm", filepath.Join(dir, "fill"), filepath.Join(dir, "rest"))
	if got := look(t, newLooker(t, ""), p); !good(got) || len(got.Notes) != 0 {
		t.Error("room again")
	}

	run(t, "mount", "-o", "remount,ro", dir)
	if got := look(t, newLooker(t, ""), p); !good(got) || !noted(got, "read-only file system") {
		t.Error("a file system that is read-only")
	}
	run(t, "mount", "-o", "remount,rw", dir)

	// A write that waits in the kernel, out of reach of SIGKILL.
	thaw := exec.Command("sh", "-c", `sleep 120; fsfreeze -u "$1"`, "-", dir) // whatever becomes of this test
	thaw.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := thaw.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(-thaw.Process.Pid, syscall.SIGKILL); _ = thaw.Wait() }()
	frozen := newLooker(t, "")
	run(t, "fsfreeze", "-f", dir)
	first := look(t, frozen, p)
	second := look(t, frozen, p)
	run(t, "fsfreeze", "-u", dir)
	if !hung(first) || !hung(second) || !strings.Contains(second.Problem, "has not come back") {
		t.Errorf("frozen: %+v, then %+v", first, second)
	}
	lookUntil(t, frozen, p, "good after the thaw", good)

	run(t, "umount", dir)
	if got := look(t, l, p); !bad(got) || !strings.Contains(got.Problem, "not mounted") {
		t.Error("not mounted: the node's own disk would have answered")
	}
	run(t, "mount", dev, dir)
	if got := look(t, l, p); !good(got) {
		t.Error("mounted again")
	}
}

// TestRealDiskUnderAFileSystem: the disk below a mounted file system loses its end: reads past the cache and writes fail, which is a loss.
func TestRealDiskUnderAFileSystem(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	dir, dev := mounted(t, "64M")
	l := newLooker(t, "")
	p := ha.StoragePlace{Name: "files", Type: "dir", Path: dir, Mount: dir}
	if got := look(t, l, p); !good(got) {
		t.Fatal("a file system that works")
	}
	file := run(t, "losetup", "-n", "-O", "BACK-FILE", dev)
	run(t, "truncate", "-s", "1M", file)
	run(t, "losetup", "-c", dev) // the kernel takes note
	if got := look(t, l, p); !bad(got) || !strings.Contains(got.Problem, "input/output error") {
		t.Error("its disk is gone: a look that reads")
	}
	if got := look(t, newLooker(t, ""), p); !bad(got) || !strings.Contains(got.Problem, "input/output error") {
		t.Error("its disk is gone: a look that writes")
	}
}

// storages are the facts that the doctor gathers about storages.
func storages(t *testing.T, root, storageCfg string) map[string]string {
	t.Helper()
	return gathered(t, gather.Source{Root: root, ReadPVE: func(_ context.Context, name string) ([]byte, error) {
		if name == "storage.cfg" {
			return []byte(storageCfg), nil
		}
		return nil, os.ErrNotExist
	}})
}

// TestRealFactsOfFileStorages: what the doctor finds behind shared file storages: two of the same disk are the same, another one is another.
func TestRealFactsOfFileStorages(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	a, dev := mounted(t, "32M")
	b, _ := mounted(t, "32M")
	same := t.TempDir()
	run(t, "mount", dev, same)
	defer func() { _, _ = try(t, "umount", same) }()
	text := "dir: a\n\tpath " + a + "\n\tcontent images\n\tshared 1\n\ndir: same\n\tpath " + same + "\n\tcontent images\n\tshared 1\n\ndir: b\n\tpath " + b + "\n\tcontent images\n\tshared 1\n"
	got := storages(t, "", text)
	t.Logf("%q", got)
	if got["a"] == "" || got["a"] != got["same"] || got["a"] == got["b"] || !strings.HasPrefix(got["a"], "ext4 ") {
		t.Errorf("%q", got)
	}
}
