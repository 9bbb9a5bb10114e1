package proxmox

import (
	"context"
	"fmt"
	"io/fs"

	"bascule/ha"
)

// Tree is the pmxcfs tree. Names are relative to its root and slash-separated. Errors are *fs.PathError carrying the
// errno (ENOENT, EACCES …), or wrapping ErrStillRunning when the context ended before the system call did.
type Tree interface {
	ReadFile(ctx context.Context, name string) ([]byte, error)
	// ReadDir returns the names in a directory, sorted.
	ReadDir(ctx context.Context, name string) ([]string, error)
	Exists(ctx context.Context, name string) (bool, error)
	// Rename is rename(2) without flags: pmxcfs knows none and overwrites what is there.
	Rename(ctx context.Context, oldName, newName string) error
	// WriteFile replaces a file: a temporary file in the same directory, renamed over it.
	WriteFile(ctx context.Context, name string, data []byte) error
}

// PendingError is a call on a tree that had not returned when the context ended: it may yet take effect. It lies
// inside the *fs.PathError of the call.
type PendingError struct {
	Begun bool            // false: an earlier call on the same path still runs and this one was not begun
	Done  <-chan struct{} // closed when the call that still runs has returned; nil: not known
	Err   error           // the context's error
}

func (e *PendingError) Error() string {
	if e.Begun {
		return fmt.Sprintf("the file system has not answered yet (%v); it may still happen", e.Err)
	}
	return fmt.Sprintf("not begun, an earlier call on the same path still runs (%v)", e.Err)
}

// Unwrap makes errors.Is find ErrStillRunning and the context's error.
func (e *PendingError) Unwrap() []error { return []error{ErrStillRunning, e.Err} }

// configName is the one place that builds the name of a guest's config. Source and target of a take-over differ in
// the node only.
func configName(node ha.NodeName, kind ha.GuestKind, id ha.VMID) string {
	return fmt.Sprintf("nodes/%s/%s/%d.conf", node, kind.ConfigDir(), id)
}

// pathError is a *fs.PathError.
func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}
