package scsipr

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bascule/fencing"
	"bascule/fencing/scsipr/iscsi"
)

// initiatorBase begins the name under which the initiator in user space logs in. It is not the kernel's name, so what this port may
// write has nothing to do with what guests may.
const initiatorBase = "iqn.2026-01.internal.bascule:"

// steadyISID is the second half of the port that registrations belong to. Ports that only look draw theirs.
var steadyISID = [6]byte{0x80, 0xb5, 0xca, 0x5c, 0x00, 0x01}

// dialTime bounds the opening of a connection where the caller's context says nothing.
const dialTime = 10 * time.Second

// portal is a session of the initiator in user space.
type portal struct {
	session *iscsi.Session
	unit    uint16
	lock    *os.File
}

// InitiatorName is the name under which a node logs in where a LUN is written as iscsi://.
func InitiatorName(node string) string { return initiatorBase + strings.ToLower(node) }

func dialPortal(ctx context.Context, p path, as port) (transport, error) {
	t := &portal{unit: p.unit}
	isid := steadyISID
	if as.steady {
		f, err := lockPort(ctx, p, as)
		if err != nil {
			return nil, err
		}
		t.lock = f
	} else {
		rand.Read(isid[1:]) // never fails
		isid[5] |= 0x80     // never the steady one
	}
	timeout := dialTime
	if d, ok := ctx.Deadline(); ok {
		timeout = time.Until(d)
	}
	s, err := iscsi.Login(ctx, iscsi.Config{
		Address: p.address, Target: p.target, Initiator: InitiatorName(as.name), ISID: isid,
		Dial: fencing.Dialer(timeout).DialContext,
	})
	if err != nil {
		t.close()
		return nil, portalError(err)
	}
	t.session = s
	return t, nil
}

// lockPort waits until no other process of this node uses the port: a second session would throw the first one out.
func lockPort(ctx context.Context, p path, as port) (*os.File, error) {
	sum := sha256.Sum256([]byte(p.address + "\x00" + p.target + "\x00" + as.name))
	return lockFile(ctx, filepath.Join(as.dir, fmt.Sprintf("scsi-pr-%x.lock", sum[:6])))
}

// lockFile takes a lock that the kernel drops with the process.
func lockFile(ctx context.Context, name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: the lock beside the setting state: %w", fencing.ErrSettings, err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("%w: lock %s: %w", fencing.ErrHelper, name, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("%w: another command of this node still uses it (%s)", fencing.ErrTimeout, name)
		case <-time.After(retryPause / 4):
		}
	}
}

func (t *portal) execute(ctx context.Context, cdb, out []byte, in int) (reply, error) {
	r, err := t.session.Execute(ctx, t.unit, cdb, out, in)
	return reply{status: r.Status, data: r.Data, sense: r.Sense}, portalError(err)
}

func (t *portal) close() {
	if t.session != nil {
		t.session.Close()
	}
	if t.lock != nil {
		t.lock.Close()
	}
}

// portalError sorts what the initiator says under the errors of package fencing.
func portalError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, iscsi.ErrLogin):
		return fmt.Errorf("%w: %w", fencing.ErrAuth, err)
	case errors.Is(err, iscsi.ErrProtocol):
		return fmt.Errorf("%w: %w", fencing.ErrRubbish, err)
	case errors.Is(err, iscsi.ErrClosed):
		return fmt.Errorf("%w: %w", fencing.ErrUnreachable, err)
	}
	return fmt.Errorf("%w: %w", fencing.Classify(err), err)
}
