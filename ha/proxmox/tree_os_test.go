package proxmox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"bascule/ha/waittest"
)

func TestOSTreeErrorsCarryTheErrno(t *testing.T) {
	root, ctx := t.TempDir(), context.Background()
	tree := OSTree(root)
	if err := os.MkdirAll(filepath.Join(root, "nodes/n1"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, read := tree.ReadFile(ctx, "nodes/n1/none")
	_, list := tree.ReadDir(ctx, "nodes/n2")
	_, climb := tree.ReadFile(ctx, "../secret")
	for name, c := range map[string]struct {
		err  error
		want syscall.Errno
	}{
		"read": {read, syscall.ENOENT}, "readdir": {list, syscall.ENOENT}, "climb": {climb, syscall.EINVAL},
		"rename":           {tree.Rename(ctx, "nodes/n1/none", "nodes/n1/x"), syscall.ENOENT},
		"write":            {tree.WriteFile(ctx, "nodes/n2/x", nil), syscall.ENOENT},
		"onto a directory": {tree.WriteFile(ctx, "nodes/n1", []byte("x")), syscall.EEXIST},
	} {
		var as *fs.PathError
		if !errors.As(c.err, &as) {
			t.Errorf("%s: %T %v is no *fs.PathError", name, c.err, c.err)
			continue
		}
		if !errors.Is(c.err, c.want) && name != "onto a directory" {
			t.Errorf("%s: got %v, want %v", name, c.err, c.want)
		}
	}
	if left, _ := tree.ReadDir(ctx, "nodes"); !slices.Equal(left, []string{"n1"}) {
		t.Errorf("a temporary file was left: %q", left)
	}
}

func TestOSTreeWritesWhole(t *testing.T) {
	root, ctx := t.TempDir(), context.Background()
	tree := OSTree(root)
	for _, data := range []string{"a longer first text\n", "short\n"} {
		if err := tree.WriteFile(ctx, "101.conf", []byte(data)); err != nil {
			t.Fatal(err)
		}
		if got, err := tree.ReadFile(ctx, "101.conf"); err != nil || string(got) != data {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if err := tree.Rename(ctx, "101.conf", "moved"); err != nil {
		t.Fatal(err)
	}
	before, err1 := tree.Exists(ctx, "101.conf")
	after, err2 := tree.Exists(ctx, "moved")
	if before || !after || err1 != nil || err2 != nil {
		t.Errorf("101.conf %t %v, moved %t %v", before, err1, after, err2)
	}
	if names, _ := tree.ReadDir(ctx, "."); !slices.Equal(names, []string{"moved"}) {
		t.Errorf("left %q", names)
	}
}

// Opening a FIFO for reading blocks like a call on pmxcfs does.
func TestBlockedCallDoesNotBlockItsCaller(t *testing.T) {
	root := t.TempDir()
	fifo := filepath.Join(root, "blocks")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	tree := OSTree(root)
	var err error
	var first *PendingError
	waittest.Until(t, waittest.Hang, "a begun PendingError", func() bool { // a machine that stalls does not begin it in time
		soon, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		_, err = tree.ReadFile(soon, "blocks")
		return errors.As(err, &first) && first.Begun && errors.Is(err, ErrStillRunning) && errors.Is(err, context.DeadlineExceeded)
	}, &err)

	// A second call on the path is not begun while the first runs, whichever operation it is; other paths are free.
	again, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err = tree.Rename(again, "other", "blocks")
	var second *PendingError
	if !errors.As(err, &second) || second.Begun || second.Done != first.Done {
		t.Fatalf("got %v, want a PendingError that was not begun", err)
	}
	if here, err := tree.Exists(context.Background(), "other"); here || err != nil {
		t.Fatalf("another path: %t, %v", here, err)
	}

	w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	<-first.Done
	if here, err := tree.Exists(context.Background(), "blocks"); !here || err != nil {
		t.Fatalf("after its end: %t, %v", here, err)
	}
}

// Writing waits; when it may go on after the caller has gone, it must not undo what others wrote meanwhile.
func TestLateWriteIsGivenUp(t *testing.T) {
	root := t.TempDir()
	tree := OSTree(root).(*osTree)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := os.WriteFile(filepath.Join(root, "101.conf"), []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tree.replace(ctx, "101.conf", []byte("ours")); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	data, _ := os.ReadFile(filepath.Join(root, "101.conf"))
	if names, _ := tree.ReadDir(context.Background(), "."); string(data) != "theirs" || len(names) != 1 {
		t.Errorf("file is %q, directory %q", data, names)
	}
}

func TestEndedContextBeginsNothing(t *testing.T) {
	root := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := OSTree(root).WriteFile(ctx, "x", nil)
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrStillRunning) {
		t.Errorf("got %v, want a plain end of the context", err)
	}
}

// pmxcfs answers EINVAL to every flag of renameat2, which a tmpfs takes: with one, this rename would be refused.
func TestRenameKnowsNoFlags(t *testing.T) {
	root, ctx := t.TempDir(), context.Background()
	tree := OSTree(root)
	for _, name := range []string{"a", "b"} {
		if err := tree.WriteFile(ctx, name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tree.Rename(ctx, "a", "b"); err != nil {
		t.Fatal(err)
	}
	if data, err := tree.ReadFile(ctx, "b"); string(data) != "a" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
}

// A write that is refused half-way (EFBIG on pmxcfs; here the device is full) leaves the file as it was, and nothing beside it.
func TestRefusedWriteLeavesTheFile(t *testing.T) {
	root, ctx := t.TempDir(), context.Background()
	tree := OSTree(root)
	name := filepath.Join(root, "101.conf")
	if err := os.WriteFile(name, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", fmt.Sprintf("%s.tmp.%d", name, os.Getpid())); err != nil {
		t.Fatal(err)
	}
	if err := tree.WriteFile(ctx, "101.conf", []byte("after")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want ENOSPC", err)
	}
	data, _ := os.ReadFile(name)
	if names, _ := tree.ReadDir(ctx, "."); string(data) != "before" || !slices.Equal(names, []string{"101.conf"}) {
		t.Errorf("file is %q, directory %q", data, names)
	}
}
