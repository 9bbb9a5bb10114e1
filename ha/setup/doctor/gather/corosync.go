package gather

import (
	"context"
	"errors"
	"io/fs"

	"bascule/ha/pve"
	"bascule/ha/setup/doctor"
)

// corosync reads corosync.conf; a node that is in no Proxmox cluster has none.
func (g *Gatherer) corosync(ctx context.Context) (func(*doctor.Facts), error) {
	text, err := g.src.ReadPVE(ctx, "corosync.conf")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := pve.ParseCorosync(text)
	if err != nil {
		return nil, err
	}
	out := corosyncFacts(c)
	return func(f *doctor.Facts) { f.Corosync = &out }, nil
}

func corosyncFacts(c pve.Corosync) doctor.Corosync {
	out := doctor.Corosync{Token: c.Token, Coefficient: c.Coefficient, Block: c.Block(), TwoNode: c.TwoNode}
	for _, n := range c.Nodes {
		out.Nodes = append(out.Nodes, n.Name)
		out.Votes += n.Votes
	}
	for _, link := range c.Links {
		var addresses []string
		for _, n := range c.Nodes {
			if a := n.Addresses[link]; a != "" {
				addresses = append(addresses, a)
			}
		}
		out.Links = append(out.Links, addresses)
	}
	if d := c.Device; d != nil {
		if out.QDevice = d.Host; d.Host == "" {
			out.QDevice = "model " + d.Model
		}
	}
	return out
}
