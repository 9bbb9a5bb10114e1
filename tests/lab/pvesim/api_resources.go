package pvesim

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// oldest is the time before which broadcasts are expired.
func (c *Cluster) oldest() time.Time { return c.now().Add(-c.opt.StatExpiry) }

func apiResources(q *call) (any, error) {
	rows := []object{}
	kind := q.params["type"]
	want := func(k string) bool { return kind == "" || kind == k }
	guests := q.guestRows()
	if kind == "" && q.who.has("Pool.Audit") {
		rows = append(rows, q.poolRows(guests)...)
	}
	if want("vm") && q.who.has("VM.Audit") {
		for _, vmid := range slices.Sorted(maps.Keys(guests)) {
			rows = append(rows, guests[vmid])
		}
	}
	if want("node") {
		for _, row := range q.nodeRows() {
			if q.n.stats.heardOf(row["node"].(string)) {
				row["cgroup-mode"] = 2 // told once; it does not expire
			}
			rows = append(rows, row)
		}
	}
	if want("storage") && q.who.has("Datastore.Audit") {
		rows = append(rows, q.storageRows()...)
	}
	if kind == "" && q.who.has("SDN.Audit") {
		for _, name := range q.c.order {
			rows = append(rows, object{"type": "network", "network-type": "zone", "network": "localnetwork", "node": name,
				"id": "network/" + name + "/zone/localnetwork", "status": "ok"})
		}
	}
	return rows, nil
}

// guestRows builds the rows of all guests from the tree (where the config lies) and from broadcasts (everything
// else), which need not agree.
func (q *call) guestRows() map[int]object {
	view, oldest := q.view(), q.c.oldest()
	poolOf := map[int]string{}
	for pool, members := range pools(view.entries["user.cfg"].data) {
		for _, vmid := range members {
			poolOf[vmid] = pool
		}
	}
	rows := map[int]object{}
	for vmid, at := range view.vms {
		row, ok := q.n.stats.guest(vmid, oldest)
		if !ok {
			row = object{"status": "unknown"}
		}
		row["id"], row["vmid"], row["type"], row["node"] = at.kind+"/"+strconv.Itoa(vmid), vmid, at.kind, at.node
		cfg := parseConfig(at.kind, view.entries[configPath(at.node, at.kind, vmid)].data)
		for _, key := range []string{"tags", "lock"} {
			if v := cfg.values[key]; v != "" {
				row[key] = v
			}
		}
		if pool := poolOf[vmid]; pool != "" && q.who.has("Pool.Audit") {
			row["pool"] = pool
		}
		if state, managed := haManaged(view.entries["ha/resources.cfg"].data, at.kind, vmid); managed {
			row["hastate"] = state
		}
		rows[vmid] = row
	}
	return rows
}

func (q *call) view() *tree {
	q.c.mu.Lock()
	defer q.c.mu.Unlock()
	q.c.settleLocked()
	return q.n.view
}

func (q *call) poolRows(guests map[int]object) []object {
	var rows []object
	for pool, members := range pools(q.view().entries["user.cfg"].data) {
		row := object{"id": "/pool/" + pool, "type": "pool", "pool": pool}
		var mem, maxmem, maxcpu, uptime int64
		for _, vmid := range members {
			if g := guests[vmid]; g["status"] == "running" {
				mem += asInt(g["mem"])
				maxmem += asInt(g["maxmem"])
				maxcpu += asInt(g["maxcpu"])
				uptime = max(uptime, asInt(g["uptime"]))
			}
		}
		row["mem"], row["maxmem"], row["maxcpu"], row["uptime"], row["cpu"] = mem, maxmem, maxcpu, uptime, 0.05
		rows = append(rows, row)
	}
	return rows
}

func asInt(v any) int64 {
	switch v := v.(type) {
	case float64: // the CPUs of a limited container
		return int64(v)
	case int:
		return int64(v)
	case int64:
		return v
	}
	return 0
}

// nodeRows are shared by /nodes and /cluster/resources. Only online comes from corosync; without a broadcast an
// online node is "unknown", and an offline one keeps its sizes until they expire.
func (q *call) nodeRows() []object {
	c, oldest := q.c, q.c.oldest()
	online := map[string]bool{}
	c.mu.Lock()
	c.settleLocked()
	for _, name := range c.order {
		online[name] = c.onlineLocked(q.n, name)
	}
	c.mu.Unlock()
	var rows []object
	for _, name := range c.order {
		st, known := q.n.stats.node(name, oldest)
		row := object{}
		if known && q.who.has("Sys.Audit") {
			row = st
			if !online[name] {
				for _, k := range []string{"cpu", "mem", "disk", "uptime"} {
					delete(row, k)
				}
			}
		} else if known {
			row["level"] = ""
		}
		row["id"], row["node"], row["type"] = "node/"+name, name, "node"
		switch {
		case !online[name]:
			row["status"] = "offline"
		case known:
			row["status"] = "online"
		default:
			row["status"] = "unknown"
		}
		rows = append(rows, row)
	}
	return shuffled(rows)
}

func (q *call) storageRows() []object {
	var rows []object
	for _, s := range parseStorages(q.view().entries["storage.cfg"].data) {
		for _, name := range q.c.order {
			if !s.on(name) {
				continue
			}
			row, known := q.n.stats.store(name, s.id, q.c.oldest())
			if known {
				row["status"] = "available"
			} else {
				row = object{"status": "unknown"}
			}
			row["id"], row["node"], row["storage"], row["type"] = "storage/"+name+"/"+s.id, name, s.id, "storage"
			row["plugintype"], row["shared"], row["content"] = s.kind, flag(s.shared), words(s.props["content"])
			rows = append(rows, row)
		}
	}
	return shuffled(rows)
}

func apiNodes(q *call) (any, error) {
	rows := q.nodeRows()
	for _, row := range rows {
		row["ssl_fingerprint"] = q.c.nodes[row["node"].(string)].fingerprint
	}
	return rows, nil
}

func apiNodeStatus(q *call) (any, error) {
	c, n := q.c, q.n
	var used int64 = 1 << 30
	for _, g := range c.guestsOn(n) {
		used += g.statRow()["mem"].(int64)
	}
	kernel := "6.17.4-1-pve"
	build := "#1 SMP PREEMPT_DYNAMIC PMX 6.17.4-1"
	return object{
		"uptime": int64(c.uptime(n).Seconds()), "cpu": 0.05, "idle": 0, "wait": 0, "loadavg": []string{"0.71", "0.43", "0.31"},
		"memory":   object{"total": n.Memory, "used": used, "free": n.Memory - used, "available": n.Memory - used},
		"swap":     object{"total": 0, "used": 0, "free": 0},
		"ksm":      object{"shared": 0},
		"rootfs":   object{"total": rootTotal, "used": rootUsed, "avail": rootTotal - rootUsed, "free": rootTotal - rootUsed},
		"cpuinfo":  object{"cpus": n.Cores, "cores": n.Cores, "sockets": 1, "model": "Lab CPU", "vendor": "GenuineIntel", "family": "6", "mhz": "2600.000", "hvm": "1", "user_hz": 100, "flags": "fpu vme de pse tsc msr"},
		"kversion": "Linux " + kernel + " " + build, "pveversion": "pve-manager/9.2.11/deadbeef",
		"current-kernel": object{"sysname": "Linux", "release": kernel, "version": build, "machine": "x86_64"},
		"boot-info":      object{"mode": "legacy-bios"},
	}, nil
}

func apiPools(q *call) (any, error) {
	all := pools(q.view().entries["user.cfg"].data)
	if pool, ok := q.params["poolid"]; ok {
		if !q.who.has("Pool.Audit") {
			return nil, forbidden("/pool/"+pool, "Pool.Audit")
		}
		if _, ok := all[pool]; !ok {
			return nil, die("pool '%s' does not exist", pool)
		}
		return []object{{"poolid": pool, "members": q.poolMembers(all[pool])}}, nil
	}
	rows := []object{}
	for pool := range all {
		if q.who.has("Pool.Audit") {
			rows = append(rows, object{"poolid": pool})
		}
	}
	return shuffled(rows), nil
}

func apiPool(q *call) (any, error) {
	pool := q.path["poolid"]
	members, ok := pools(q.view().entries["user.cfg"].data)[pool]
	if !ok {
		return nil, die("pool '%s' does not exist", pool)
	}
	return object{"poolid": pool, "members": q.poolMembers(members)}, nil
}

func (q *call) poolMembers(vmids []int) []object {
	guests := q.guestRows()
	rows := []object{}
	for _, vmid := range vmids {
		row, ok := guests[vmid]
		if !ok || q.params["type"] != "" && row["type"] != q.params["type"] {
			continue
		}
		for _, k := range []string{"pool", "tags", "hastate"} {
			delete(row, k)
		}
		rows = append(rows, row)
	}
	return rows
}
