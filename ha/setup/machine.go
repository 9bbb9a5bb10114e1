package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Machine is the System of the machine itself.
type Machine struct {
	PVE string // Proxmox's tree, where modes are Proxmox's own and nothing is synced
}

// ReadFile implements System.
func (Machine) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

// WriteFile implements System: a new file beside it, then a rename, so that nobody sees half of it.
func (m Machine) WriteFile(name string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	next := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".new")
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // of a run that was broken off, with whatever mode it had
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if !m.replicated(name) {
		err = errors.Join(err, f.Chmod(mode), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return os.Rename(next, name)
}

func (m Machine) replicated(name string) bool {
	return m.PVE != "" && strings.HasPrefix(name, strings.TrimSuffix(m.PVE, "/")+"/")
}

// Remove implements System.
func (Machine) Remove(name string) error { return os.RemoveAll(name) }

// List implements System.
func (Machine) List(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") { // a file that is being written
			names = append(names, e.Name())
		}
	}
	return names, err
}

// runLimit bounds one program: pvecm qdevice setup installs keys on every node.
const runLimit = 3 * time.Minute

// complaintLimit is how much of a program's complaint an error quotes, in bytes.
const complaintLimit = 500

// Run implements System.
func (Machine) Run(ctx context.Context, input []byte, argv ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdin = bytes.NewReader(input)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		said := strings.Join(strings.Fields(complaint.String()), " ")
		if len(said) > complaintLimit { // what it ended for stands last
			said = "… " + strings.ToValidUTF8(said[len(said)-complaintLimit:], "")
		}
		if said != "" {
			return nil, fmt.Errorf("%s: %w: %s", argv[0], err, said)
		}
		return nil, fmt.Errorf("%s: %w", argv[0], err)
	}
	return out.Bytes(), nil
}

// Output implements discover.Runner.
func (m Machine) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // a BMC that hangs holds nobody up
	defer cancel()
	return m.Run(ctx, nil, append([]string{name}, args...)...)
}

// ErrBusy is wrapped where another node changes the site.
var ErrBusy = errors.New("another hactl init, join, remove or reset is at work on the site")

// Lock keeps others from changing the site at once, on whatever node: a directory that Proxmox's tree makes for one only. One that was left
// behind frees itself after two minutes (pmxcfs takes a time of 0 as the request to).
func Lock(ctx context.Context, l Layout, wait time.Duration) (unlock func(), err error) {
	dir := filepath.Join(l.PVE, "priv/lock/bascule-setup")
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		err := os.Mkdir(dir, 0o700)
		if err == nil {
			return func() { _ = os.Remove(dir) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("the site's lock %s: %w", dir, err)
		}
		_ = os.Chtimes(dir, time.Unix(0, 0), time.Unix(0, 0)) // frees it if it is too old
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (%s): wait for its end; one that was broken off frees the lock after two minutes", ErrBusy, dir)
		case <-time.After(500 * time.Millisecond):
		}
	}
}
