package proxmox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"bascule/ha"
)

// ClaimResult is how a take-over ended.
type ClaimResult string

// The ways a take-over can succeed.
const (
	Claimed       ClaimResult = "claimed"        // renamed now
	ClaimedBefore ClaimResult = "claimed before" // the config already lies in this node's directory
)

// busyPause is the time between attempts while pmxcfs answers EBUSY, as it does in passing on a node that returns.
const busyPause = 100 * time.Millisecond

// Claim takes a guest over from a PROVEN dead node (the caller's duty, R3 and R5): its config is renamed from that
// node's directory into this one's. The rename blocks while corosync re-forms; Claim waits as long as ctx lets.
//
// ErrConfigGone: the source does not exist (any more). ErrConfigElsewhere: a third node has the VMID. ErrNoQuorum:
// this node is in a minority. ErrStillRunning: ctx ended first and the rename may yet happen; call Claim again before
// anything else is decided about the guest.
func (d *Driver) Claim(ctx context.Context, id ha.VMID, kind ha.GuestKind, from ha.NodeName) (ClaimResult, error) {
	if err := checkIDs(id, kind); err != nil {
		return "", err
	}
	op := fmt.Sprintf("taking it over from %s", from)
	if !plainName(string(from)) {
		return "", d.guestErr(kind, id, op, errors.New("not a node's name"), "")
	}
	var result ClaimResult
	err := d.patiently(ctx, func() (err error) {
		result, err = d.claimOnce(ctx, id, kind, from)
		return err
	})
	if err != nil {
		return "", d.claimErr(ctx, id, kind, op, err)
	}
	return result, nil
}

// patiently repeats a call on the tree while pmxcfs answers EBUSY, for as long as ctx lets.
func (d *Driver) patiently(ctx context.Context, call func() error) error {
	for {
		err := call()
		if !errors.Is(err, syscall.EBUSY) || d.sleep(ctx, busyPause) != nil {
			return err
		}
	}
}

// claimOnce renames unless the config is here already. Nobody but this node creates names in its directory, so that
// the look before the rename cannot be overtaken by another VMID's file.
func (d *Driver) claimOnce(ctx context.Context, id ha.VMID, kind ha.GuestKind, from ha.NodeName) (ClaimResult, error) {
	source, target := configName(from, kind, id), configName(d.node, kind, id)
	here, err := d.tree.Exists(ctx, target)
	switch {
	case err != nil:
		return "", err
	case here:
		return ClaimedBefore, nil
	case from == d.node:
		return "", pathError("stat", target, syscall.ENOENT)
	}
	if err := d.tree.Rename(ctx, source, target); err != nil {
		if here, statErr := d.tree.Exists(ctx, target); isGone(err) && statErr == nil && here {
			return ClaimedBefore, nil // an earlier attempt, left behind blocked, has come through
		}
		return "", err
	}
	here, err = d.tree.Exists(ctx, target)
	if err == nil && !here {
		err = pathError("stat", target, errors.New("the rename was reported done, but the config is not there"))
	}
	return Claimed, err
}

// claimErr gives a failed rename its sentinel and its next step.
func (d *Driver) claimErr(ctx context.Context, id ha.VMID, kind ha.GuestKind, op string, err error) error {
	switch {
	case errors.Is(err, syscall.EBUSY):
		return d.guestErr(kind, id, op, fmt.Errorf("%w: %w", ha.ErrTryAgain, err), "pmxcfs is busy; it is tried again")
	case errors.Is(err, ErrStillRunning):
		return d.guestErr(kind, id, op, err, "corosync may be re-forming; look at `pvecm status`")
	case isGone(err):
		if _, own := d.readDir(ctx, "nodes/"+string(d.node)+"/"+kind.ConfigDir()); isGone(own) {
			return d.guestErr(kind, id, op, fmt.Errorf("%w: %w", ErrNotMounted, own),
				"this node has no directory in /etc/pve/nodes; `systemctl status pve-cluster`")
		}
		return d.guestErr(kind, id, op, fmt.Errorf("%w: %w", ErrConfigGone, err), "")
	case errors.Is(err, syscall.EEXIST):
		return d.guestErr(kind, id, op, fmt.Errorf("%w: %w", ErrConfigElsewhere, err),
			fmt.Sprintf("find it with `ls /etc/pve/nodes/*/*/%d.conf`", id))
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return d.guestErr(kind, id, op, fmt.Errorf("%w: %w", ErrNoQuorum, err), "look at `pvecm status`")
	}
	return d.guestErr(kind, id, op, err, "look at `systemctl status pve-cluster`")
}

// isGone says whether an error means that a file or directory does not exist.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
