package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path"

	"bascule/ha/pve"
)

// QDevice is corosync's third vote on the witness, made by Proxmox's own command.
type QDevice struct {
	Layout  Layout
	Witness Witness
}

// What corosync-qdevice has on a node: its unit, and the store of its certificates, which a run of pvecm that was broken off leaves behind.
const (
	unitQDevice  = "corosync-qdevice.service"
	qdeviceStore = "/etc/corosync/qdevice/net/nssdb"
)

// Title implements Step.
func (q QDevice) Title() string { return "pvecm qdevice setup " + q.Witness.Address }

// device is the quorum device of corosync.conf; nil: there is none.
func (q QDevice) device(sys System) (*pve.QDevice, error) {
	data, err := sys.ReadFile(path.Join(q.Layout.PVE, "corosync.conf"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := pve.ParseCorosync(data)
	if err != nil || c.Device == nil || c.Device.Host == "" {
		return nil, err
	}
	return c.Device, nil
}

// Done implements Step: it is configured, and its daemon runs here. A run that was broken off has done the first and not the second.
func (q QDevice) Done(ctx context.Context, sys System) (bool, error) {
	d, err := q.device(sys)
	if err != nil || d == nil {
		return false, err
	}
	return Unit{unitQDevice}.Done(ctx, sys)
}

// Do implements Step. What is missing is said before Proxmox's command begins, and what a run of it that was broken off has left is taken back.
func (q QDevice) Do(ctx context.Context, sys System) error {
	if err := q.ready(ctx, sys); err != nil {
		return err
	}
	d, err := q.device(sys)
	if err != nil {
		return err
	}
	if d != nil {
		if _, err := sys.Run(ctx, nil, "pvecm", "qdevice", "remove"); err != nil {
			return err
		}
	}
	command := []string{"pvecm", "qdevice", "setup", q.Witness.Address}
	if left, err := sys.List(qdeviceStore); err != nil {
		return err
	} else if len(left) > 0 {
		command = append(command, "--force") // else it refuses a store of certificates that is there
	}
	_, err = sys.Run(ctx, nil, command...)
	return err
}

// ready says what Proxmox's command would stumble over. It calls the witness by its address.
func (q QDevice) ready(ctx context.Context, sys System) error {
	at := q.Witness.Address
	if _, err := ssh(ctx, sys, nil, at, "true"); err != nil {
		return fmt.Errorf("pvecm calls the witness by its address, and there ssh does not work yet: ssh root@%s once and confirm its key, then run this again: %w", at, err)
	}
	if _, err := ssh(ctx, sys, nil, at, "command -v corosync-qnetd-certutil >/dev/null"); err != nil {
		return fmt.Errorf("on %s corosync-qnetd is missing: ssh root@%s apt install corosync-qnetd; and on every node: apt install corosync-qdevice; then run this again: %w", q.Witness.Host, at, err)
	}
	if _, err := sys.Run(ctx, nil, "corosync-qdevice-net-certutil", "-h"); errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("corosync-qdevice is missing here: on every node: apt install corosync-qdevice; then run this again: %w", err)
	}
	return nil
}
