//go:build lab

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"

	"bascule/ha/proxmox"
)

// labTree is the lab's pmxcfs over its socket: one request per system call, with the errno that pmxcfs would give.
type labTree struct{ socket string }

type treeRequest struct {
	Op   string `json:"op"`
	Path string `json:"path"`
	To   string `json:"to,omitempty"`
	Data []byte `json:"data,omitempty"`
}

type treeAnswer struct {
	Errno string   `json:"errno"`
	Data  []byte   `json:"data"`
	Names []string `json:"names"`
}

// errnos are those that the recordings of a real pmxcfs show.
var errnos = map[string]syscall.Errno{"EACCES": syscall.EACCES, "EPERM": syscall.EPERM, "ENOENT": syscall.ENOENT, "EEXIST": syscall.EEXIST,
	"EBUSY": syscall.EBUSY, "EIO": syscall.EIO, "EFBIG": syscall.EFBIG, "ENOTEMPTY": syscall.ENOTEMPTY, "EISDIR": syscall.EISDIR,
	"ENOTDIR": syscall.ENOTDIR, "EINVAL": syscall.EINVAL, "ENOTCONN": syscall.ENOTCONN, "ENOSYS": syscall.ENOSYS}

func (t labTree) call(ctx context.Context, q treeRequest) (treeAnswer, error) {
	var a treeAnswer
	fail := func(err error) (treeAnswer, error) {
		return a, &fs.PathError{Op: q.Op, Path: q.Path, Err: err}
	}
	body, err := json.Marshal(q)
	if err != nil {
		return fail(err)
	}
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", t.socket)
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://pmxcfs/", bytes.NewReader(body))
	if err != nil {
		return fail(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil && q.Op != "read" && q.Op != "readdir" && q.Op != "stat" {
			return fail(fmt.Errorf("%w: %w", proxmox.ErrStillRunning, ctx.Err()))
		}
		return fail(fmt.Errorf("%w: %w", syscall.ENOTCONN, err))
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return fail(err)
	}
	if a.Errno != "" {
		e, ok := errnos[a.Errno]
		if !ok {
			return fail(errors.New("unknown errno " + a.Errno))
		}
		return fail(e)
	}
	return a, nil
}

// ReadFile implements proxmox.Tree.
func (t labTree) ReadFile(ctx context.Context, name string) ([]byte, error) {
	a, err := t.call(ctx, treeRequest{Op: "read", Path: name})
	return a.Data, err
}

// ReadDir implements proxmox.Tree.
func (t labTree) ReadDir(ctx context.Context, name string) ([]string, error) {
	a, err := t.call(ctx, treeRequest{Op: "readdir", Path: name})
	return a.Names, err
}

// Exists implements proxmox.Tree.
func (t labTree) Exists(ctx context.Context, name string) (bool, error) {
	_, err := t.call(ctx, treeRequest{Op: "stat", Path: name})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Rename implements proxmox.Tree.
func (t labTree) Rename(ctx context.Context, from, to string) error {
	_, err := t.call(ctx, treeRequest{Op: "rename", Path: from, To: to})
	return err
}

// WriteFile implements proxmox.Tree: a temporary file in the same directory, then a rename, as PVE itself writes.
func (t labTree) WriteFile(ctx context.Context, name string, data []byte) error {
	tmp := strings.TrimSuffix(name, "/") + ".tmp.bascule"
	if _, err := t.call(ctx, treeRequest{Op: "write", Path: tmp, Data: data}); err != nil {
		return err
	}
	return t.Rename(ctx, tmp, name)
}
