package pvesim

import (
	"maps"
	"slices"
	"strconv"
)

// guestState is a guest as its node finds it now: its config and its real processes, nothing cached.
type guestState struct {
	node    *node
	kind    string
	vmid    int
	cfg     *guestConfig
	pids    guestPIDs
	running bool
	ha      object
}

// guestAt reads one guest in the node's own directory.
func (c *Cluster) guestAt(n *node, kind string, vmid int) (*guestState, *apiError) {
	p := configPath(n.Name, kind, vmid)
	data, e := c.fsRead(n, p)
	if e != success {
		return nil, die("Configuration file '%s' does not exist", p)
	}
	g := &guestState{node: n, kind: kind, vmid: vmid, cfg: parseConfig(kind, data), ha: object{"managed": 0}}
	g.pids, g.running = findGuest(n.dir, kind, vmid)
	resources, _ := c.fsRead(n, "ha/resources.cfg")
	if state, managed := haManaged(resources, kind, vmid); managed {
		g.ha = object{"managed": 1, "state": state}
	}
	return g, nil
}

// guestsOn lists the guests whose configs lie in a node's directory.
func (c *Cluster) guestsOn(n *node) []*guestState {
	c.mu.Lock()
	c.settleLocked()
	vms := maps.Clone(n.view.vms)
	c.mu.Unlock()
	var out []*guestState
	for _, vmid := range slices.Sorted(maps.Keys(vms)) {
		if vms[vmid].node != n.Name {
			continue
		}
		if g, err := c.guestAt(n, vms[vmid].kind, vmid); err == nil {
			out = append(out, g)
		}
	}
	return out
}

func (g *guestState) name() string {
	if name := g.cfg.name(); name != "" {
		return name
	}
	if g.kind == "lxc" {
		return "CT" + strconv.Itoa(g.vmid)
	}
	return "VM " + strconv.Itoa(g.vmid)
}

// cpus is a number with a fraction for a container that is limited and not given whole cores; one that is neither may
// use all of its node's.
func (g *guestState) cpus() any {
	if g.kind == "qemu" || g.cfg.values["cores"] != "" {
		return g.cfg.cores()
	}
	if limit, err := strconv.ParseFloat(g.cfg.values["cpulimit"], 64); err == nil && limit > 0 {
		return limit
	}
	return g.node.Cores
}

func (g *guestState) status() string {
	if g.running {
		return "running"
	}
	return "stopped"
}

// qmpStatus tells a paused VM (the source of a migration that is being completed) from a running one.
func (g *guestState) qmpStatus() string {
	if g.running && stopped(g.pids.outer) {
		return "paused"
	}
	return g.status()
}

// statRow is what pvestatd broadcasts about the guest.
func (g *guestState) statRow() object {
	row := object{"name": g.name(), "status": g.status(), "maxmem": g.cfg.memory(), "maxcpu": g.cpus(), "maxdisk": g.cfg.maxDisk(),
		"template": flag(g.cfg.template()), "cpu": 0.0, "mem": int64(0), "memhost": int64(0), "disk": int64(0), "uptime": int64(0),
		"netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0}
	if g.running {
		row["cpu"], row["mem"], row["uptime"] = 0.05, g.cfg.memory()*2/5, g.uptime()
	}
	return row
}

func (g *guestState) uptime() int64 { return int64(processUptime(g.pids.outer).Seconds()) }

// listRow is the guest in GET /nodes/{n}/qemu or lxc.
func (g *guestState) listRow() object {
	row := object{"vmid": g.vmid, "name": g.name(), "status": g.status(), "cpus": g.cpus(), "maxmem": g.cfg.memory(),
		"maxdisk": g.cfg.maxDisk(), "cpu": 0, "mem": int64(0), "disk": 0, "netin": 0, "netout": 0, "uptime": int64(0)}
	for _, key := range []string{"tags", "lock"} {
		if v := g.cfg.values[key]; v != "" {
			row[key] = v
		}
	}
	pressure := any(0)
	if g.kind == "lxc" {
		row["type"], row["swap"], row["diskread"], row["diskwrite"] = "lxc", 0, 0, 0
		row["maxswap"] = int64(atoiDefault(g.cfg.values["swap"], 0)) << 20
		pressure = nil
	} else {
		row["memhost"] = 0
		if g.cfg.values["serial0"] != "" {
			row["serial"] = 1
		}
		if g.cfg.template() {
			row["template"] = 1
		}
	}
	if g.running {
		row["pid"], row["uptime"], row["mem"] = g.pids.inner, g.uptime(), g.cfg.memory()*2/5
		for _, what := range []string{"cpufull", "cpusome", "iofull", "iosome", "memoryfull", "memorysome"} {
			row["pressure"+what] = pressure
		}
	}
	return row
}

func apiGuestList(q *call) (any, error) {
	rows := []object{}
	for _, g := range q.c.guestsOn(q.n) {
		if g.kind != q.kind() || !q.who.has("VM.Audit") {
			continue
		}
		row := g.listRow()
		if q.flag("full") && g.kind == "qemu" {
			row["qmpstatus"] = g.qmpStatus()
		}
		rows = append(rows, row)
	}
	return shuffled(rows), nil
}

func apiGuestStatus(q *call) (any, error) {
	g, err := q.c.guestAt(q.n, q.kind(), q.vmid())
	if err != nil {
		return nil, err
	}
	row := g.listRow()
	row["ha"] = g.ha
	if g.kind == "qemu" {
		row["qmpstatus"], row["clipboard"] = g.qmpStatus(), nil
	}
	return row, nil
}
