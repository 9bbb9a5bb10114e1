package proxmox

import (
	"context"
	"fmt"
	"strings"

	"bascule/ha"
	"bascule/ha/pve"
)

// chooser says which guests are protected.
type chooser struct {
	protect  ha.Protect
	pools    pve.Pools              // read only if the choice names pools
	managed  map[ha.GuestRef]string // guests of PVE's own HA, with their state there
	problems []string
}

// chooser reads what the choice depends on: pools (from user.cfg; no privilege of the token covers them) and
// ha/resources.cfg.
func (d *Driver) chooser(ctx context.Context) (*chooser, error) {
	c := &chooser{protect: d.protect}
	var err error
	if c.managed, err = d.haResources(ctx); err != nil {
		return nil, fmt.Errorf("reading ha/resources.cfg on %s: %w; `systemctl status pve-cluster`", d.node, err)
	}
	if len(d.protect.Pools) == 0 {
		return c, nil
	}
	data, err := d.read(ctx, "user.cfg")
	if err != nil && !isGone(err) {
		return nil, fmt.Errorf("reading the pools from user.cfg on %s: %w; `systemctl status pve-cluster`", d.node, err)
	}
	c.pools = pve.ParsePools(data)
	for _, name := range d.protect.Pools {
		if _, ok := c.pools[name]; !ok {
			c.problems = append(c.problems, fmt.Sprintf("pool %q, whose guests are to be protected, does not exist: "+
				"make it with `pveum pool add %s` or correct the configuration", name, name))
		}
	}
	return c, nil
}

// see describes a guest by its config. Running is left to status/current.
func (c *chooser) see(id ha.VMID, config *pve.GuestConfig, local func(string) bool) ha.GuestSeen {
	g := ha.GuestSeen{
		ID: id, Kind: config.Kind(), Name: config.Name(), Memory: config.Memory(), Storages: config.WritableStorages(),
		Pinned: strings.Join(config.Pins(local), "; "), Lock: config.Lock(), Onboot: config.Onboot(),
	}
	if !c.protect.Chooses(id, config.Tags(), c.pools.Of(id)) {
		return g
	}
	g.Refused = c.refusal(id, config)
	g.Protected = g.Refused == ""
	return g
}

// refusal says why a chosen guest cannot be protected; empty: it can.
func (c *chooser) refusal(id ha.VMID, config *pve.GuestConfig) string {
	if config.Template() {
		return "a template cannot run"
	}
	if state, ok := c.managed[ha.GuestRef{ID: id, Kind: config.Kind()}]; ok {
		return fmt.Sprintf("Proxmox's own HA manages it (state %s); %s", state, haAdvice(config.Kind(), id))
	}
	return ""
}
