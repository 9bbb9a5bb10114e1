package proxmox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"

	"bascule/ha/pve"
)

// errSent marks a request that may have reached PVE though no usable answer came.
var errSent = errors.New("the request may have been taken")

// nodePath builds a path below this node's part of the API. There is no other: nothing is ever proxied.
func (d *Driver) nodePath(format string, args ...any) string {
	return "/nodes/" + url.PathEscape(string(d.node)) + fmt.Sprintf(format, args...)
}

// get reads a path of the API into out. PVE's null is an error: a list or an object was asked for.
func (d *Driver) get(ctx context.Context, path string, out any) error {
	call, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	var raw json.RawMessage
	if err := d.client.Get(call, path, &raw); err != nil {
		return d.requestErr(ctx, "GET", path, err)
	}
	if len(bytes.TrimSpace(raw)) == 0 || string(raw) == "null" {
		return fmt.Errorf("PVE answered GET %s with no data: %w", path, ErrNoAnswer)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("PVE's answer to GET %s is not understood: %w: %w", path, ErrNoAnswer, err)
	}
	return nil
}

// post sends a command once and returns the worker's UPID. An error that wraps errSent leaves open whether PVE took
// the command; any other error means that it did not.
func (d *Driver) post(ctx context.Context, path string, params any) (string, error) {
	call, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	var connected atomic.Bool
	call = httptrace.WithClientTrace(call, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	var upid pve.Word
	if err := d.client.Post(call, path, params, &upid); err != nil {
		named := d.requestErr(ctx, "POST", path, err)
		if connected.Load() && !refused(err) {
			return "", fmt.Errorf("%w: %w", errSent, named)
		}
		return "", named
	}
	if upid == "" {
		return "", fmt.Errorf("%w: PVE answered POST %s without a task: %w", errSent, path, ErrNoAnswer)
	}
	return string(upid), nil
}

// refused says whether PVE itself turned the command down. 595 is its proxy not reaching the daemon at all, 503 a server that takes nothing;
// 596 to 599, 502 and 504 are proxies that lost the daemon in mid-request.
func refused(err error) bool {
	var status *StatusError
	if !errors.As(err, &status) {
		return false
	}
	return status.Code <= http.StatusNotImplemented || status.Code == http.StatusServiceUnavailable || status.Code == 595
}

// requestErr names the request in an error of the client. The caller's own context ending stays recognisable.
func (d *Driver) requestErr(ctx context.Context, method, path string, err error) error {
	var status *StatusError
	var transport *url.Error
	switch {
	case errors.As(err, &status):
		return status
	case ctx.Err() != nil:
		return fmt.Errorf("%s %s: %w", method, path, ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s %s: %w within %s; is pveproxy running? `systemctl status pveproxy pvedaemon`",
			method, path, ErrNoAnswer, d.timeout)
	case errors.As(err, &transport):
		return fmt.Errorf("%s %s: %w: %w; is pveproxy running? `systemctl status pveproxy pvedaemon`",
			method, path, ErrNoAnswer, transport.Err)
	}
	return fmt.Errorf("PVE's answer to %s %s is cut off or not understood: %w: %w", method, path, ErrNoAnswer, err)
}
