package proxmox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"bascule/ha"
	"bascule/ha/pve"
)

// corosyncConf is the cluster's configuration of corosync. It is readable without quorum.
const corosyncConf = "corosync.conf"

// votes reads corosync's votes. Nil without an error: this node is in no cluster.
func (d *Driver) votes(ctx context.Context) (*ha.CorosyncVotes, error) {
	data, err := d.read(ctx, corosyncConf)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		var c pve.Corosync
		if c, err = pve.ParseCorosync(data); err == nil {
			return c.Votes(), nil
		}
	}
	return nil, fmt.Errorf("/etc/pve/%s on %s cannot be read: %w; whether corosync's quorum outlasts a node is not known here", corosyncConf, d.node, err)
}
