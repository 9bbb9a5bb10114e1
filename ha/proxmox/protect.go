package proxmox

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bascule/ha"
)

// chooser says which guests are protected.
type chooser struct {
	protect  Protect
	pooled   map[ha.VMID]bool  // members of a protected pool
	managed  map[string]string // guests of PVE's own HA, with their state there
	problems []string
}

// chooser reads what the choice depends on: pools (from user.cfg; no privilege of the token covers them) and
// ha/resources.cfg.
func (d *Driver) chooser(ctx context.Context) (*chooser, error) {
	c := &chooser{protect: d.protect, pooled: make(map[ha.VMID]bool)}
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
	pools := parsePools(string(data))
	for _, name := range d.protect.Pools {
		members, ok := pools[name]
		if !ok {
			c.problems = append(c.problems, fmt.Sprintf("pool %q, whose guests are to be protected, does not exist: "+
				"make it with `pveum pool add %s` or correct the configuration", name, name))
		}
		for _, id := range members {
			c.pooled[id] = true
		}
	}
	return c, nil
}

// parsePools reads the lines "pool:NAME:COMMENT:VMIDS:STORAGES:" of user.cfg.
func parsePools(text string) map[string][]ha.VMID {
	pools := make(map[string][]ha.VMID)
	for _, line := range strings.Split(text, "\n") {
		f := strings.Split(strings.TrimSpace(line), ":")
		if f[0] != "pool" || len(f) < 2 {
			continue
		}
		pools[f[1]] = nil
		if len(f) < 4 {
			continue
		}
		for _, id := range splitList(f[3]) {
			if vmid, err := strconv.Atoi(id); err == nil {
				pools[f[1]] = append(pools[f[1]], ha.VMID(vmid))
			}
		}
	}
	return pools
}

// see describes a guest by its config. Running is left to status/current.
func (c *chooser) see(id ha.VMID, config *GuestConfig, local func(string) bool) ha.GuestSeen {
	g := ha.GuestSeen{
		ID: id, Kind: config.kind, Name: config.Name(), Memory: config.Memory(), Storages: config.WritableStorages(),
		Pinned: strings.Join(config.Pins(local), "; "), Lock: config.Lock(), Onboot: config.Onboot(),
	}
	if !c.chosen(id, config.Tags()) {
		return g
	}
	g.Refused = c.refusal(id, config)
	g.Protected = g.Refused == ""
	return g
}

// chosen says whether the operator wants the guest protected.
func (c *chooser) chosen(id ha.VMID, tags []string) bool {
	if c.protect.All || c.pooled[id] || slices.Contains(c.protect.VMIDs, id) {
		return true
	}
	for _, wanted := range c.protect.Tags {
		if slices.ContainsFunc(tags, func(t string) bool { return strings.EqualFold(t, wanted) }) {
			return true
		}
	}
	return false
}

// refusal says why a chosen guest cannot be protected; empty: it can.
func (c *chooser) refusal(id ha.VMID, config *GuestConfig) string {
	if config.Template() {
		return "a template cannot run"
	}
	if state, ok := c.managed[haKey(config.kind, id)]; ok {
		return fmt.Sprintf("Proxmox's own HA manages it (state %s); %s", state, haAdvice(config.kind, id))
	}
	return ""
}
