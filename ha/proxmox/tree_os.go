package proxmox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// OSTree returns the tree mounted at root. Every system call runs in a goroutine of its own, because pmxcfs blocks
// (uninterruptibly) while corosync re-forms; when ctx ends first, the call goes on alone and ErrStillRunning is
// reported. Calls on a path wait for the one that still runs there, so that calls never pile up on a hung mount.
func OSTree(root string) Tree {
	return &osTree{root: root, busy: make(map[string]chan struct{})}
}

type osTree struct {
	root string
	mu   sync.Mutex
	busy map[string]chan struct{} // path → closed when the call on it has returned
}

func (t *osTree) ReadFile(ctx context.Context, name string) ([]byte, error) {
	return run(ctx, t, "read", []string{name}, func() ([]byte, error) {
		return os.ReadFile(t.abs(name))
	})
}

func (t *osTree) ReadDir(ctx context.Context, name string) ([]string, error) {
	return run(ctx, t, "readdir", []string{name}, func() ([]string, error) {
		entries, err := os.ReadDir(t.abs(name))
		names := make([]string, 0, len(entries))
		for _, e := range entries {
			names = append(names, e.Name())
		}
		slices.Sort(names)
		return names, err
	})
}

func (t *osTree) Exists(ctx context.Context, name string) (bool, error) {
	return run(ctx, t, "stat", []string{name}, func() (bool, error) {
		_, err := os.Lstat(t.abs(name))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	})
}

func (t *osTree) Rename(ctx context.Context, oldName, newName string) error {
	_, err := run(ctx, t, "rename", []string{oldName, newName}, func() (struct{}, error) {
		return struct{}{}, os.Rename(t.abs(oldName), t.abs(newName))
	})
	return err
}

func (t *osTree) WriteFile(ctx context.Context, name string, data []byte) error {
	_, err := run(ctx, t, "write", []string{name}, func() (struct{}, error) {
		return struct{}{}, t.replace(ctx, name, data)
	})
	return err
}

// replace writes the temporary file and renames it. Once the context has ended nothing further is begun: a late
// replacement would undo what somebody else wrote meanwhile.
func (t *osTree) replace(ctx context.Context, name string, data []byte) error {
	target := t.abs(name)
	temp := fmt.Sprintf("%s.tmp.%d", target, os.Getpid())
	err := writeAll(temp, data)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = os.Rename(temp, target)
	}
	if err != nil {
		_ = os.Remove(temp) // leaving it behind would only be untidy
	}
	return err
}

// writeAll creates a file as PVE does (pmxcfs gives it its own mode) and makes sure that all of it is there.
func writeAll(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// run carries out a system call in a goroutine, alone on its paths, and waits for it as long as ctx lets.
func run[T any](ctx context.Context, t *osTree, op string, names []string, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	for _, name := range names {
		if !fs.ValidPath(name) {
			return none, pathError(op, name, syscall.EINVAL)
		}
	}
	done, err := t.reserve(ctx, op, names)
	if err != nil {
		return none, err
	}
	results := make(chan result, 1)
	go func() {
		value, err := call()
		results <- result{value, err}
		t.release(names, done)
	}()
	select {
	case r := <-results:
		return r.value, asPathError(op, names[0], r.err)
	case <-ctx.Done():
	}
	select {
	case r := <-results: // both at once: the result is worth more
		return r.value, asPathError(op, names[0], r.err)
	default:
		return none, pathError(op, names[0], &PendingError{Begun: true, Done: done, Err: ctx.Err()})
	}
}

// reserve waits until no call runs on any of the paths and marks them.
func (t *osTree) reserve(ctx context.Context, op string, names []string) (chan struct{}, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, pathError(op, names[0], err)
		}
		t.mu.Lock()
		var earlier chan struct{}
		for _, name := range names {
			if ch, ok := t.busy[name]; ok {
				earlier = ch
			}
		}
		if earlier == nil {
			done := make(chan struct{})
			for _, name := range names {
				t.busy[name] = done
			}
			t.mu.Unlock()
			return done, nil
		}
		t.mu.Unlock()
		select {
		case <-earlier:
		case <-ctx.Done():
			return nil, pathError(op, names[0], &PendingError{Done: earlier, Err: ctx.Err()})
		}
	}
}

// release frees the paths of a call that has returned.
func (t *osTree) release(names []string, done chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		delete(t.busy, name)
	}
	close(done)
}

// abs is the name's place in the host's file system.
func (t *osTree) abs(name string) string {
	return filepath.Join(t.root, filepath.FromSlash(path.Clean(name)))
}

// asPathError gives every failure the form that Tree promises; os.Rename has another one.
func asPathError(op, name string, err error) error {
	var link *os.LinkError
	var already *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &link):
		return pathError(op, link.Old+" -> "+link.New, link.Err)
	case errors.As(err, &already):
		return already
	}
	return pathError(op, name, err)
}
