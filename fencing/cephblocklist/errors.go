package cephblocklist

import (
	"errors"
	"fmt"
	"syscall"

	"bascule/fencing"
)

// callError is Ceph's own error for one call.
type callError struct {
	errno syscall.Errno
	text  string
}

func (e *callError) Error() string { return e.text }

// blocklisted is Ceph's number for "you are on the blocklist" (EBLOCKLISTED is ESHUTDOWN).
const blocklisted = syscall.ESHUTDOWN

// explain turns an error of a call into one of package fencing, with what was tried and what to do.
func (d *device) explain(doing string, err error) error {
	var e *callError
	if !errors.As(err, &e) {
		return err
	}
	switch e.errno {
	case syscall.EACCES, syscall.EPERM:
		return fmt.Errorf("%w: client.%s may not %s (%s): give it the rights that the documentation of ceph-blocklist lists, with ceph auth caps", fencing.ErrRights, d.s.client, doing, e.text)
	case blocklisted:
		return fmt.Errorf("%w: this member is itself on the blocklist (%s): take it off with ceph osd blocklist rm, once its guests are known to run nowhere else", fencing.ErrRefused, e.text)
	case syscall.ETIMEDOUT, syscall.EINTR:
		return fmt.Errorf("%w: to %s: %s", fencing.ErrTimeout, doing, e.text)
	case syscall.ENOENT:
		return fmt.Errorf("%w: to %s: %s", fencing.ErrSettings, doing, e.text)
	}
	return fmt.Errorf("%w: to %s: %s", fencing.ErrRefused, doing, e.text)
}

// explainConnect is explain for the first call, when nothing is known to be right.
func (d *device) explainConnect(err error) error {
	var e *callError
	if errors.Is(err, fencing.ErrTimeout) {
		return fmt.Errorf("%w: no monitor let client.%s in: %w: monitors dead, without quorum or cut off from here", fencing.ErrUnreachable, d.s.client, err)
	}
	if !errors.As(err, &e) {
		return err
	}
	switch e.errno {
	case syscall.EACCES, syscall.EPERM:
		return fmt.Errorf("%w: client.%s with the key in %s: %s", fencing.ErrAuth, d.s.client, d.s.keyring, e.text)
	case syscall.ENOENT, syscall.EINVAL:
		return fmt.Errorf("%w: conf, monitors or keyring: %s", fencing.ErrSettings, e.text)
	}
	return fmt.Errorf("%w: no monitor let client.%s in: %s", fencing.ErrUnreachable, d.s.client, e.text)
}
