package pvesim

// What the API shows of a guest's config.

func apiGuestConfig(q *call) (any, error) {
	g, err := q.c.guestAt(q.n, q.kind(), q.vmid())
	if err != nil {
		return nil, err
	}
	name, ok := q.params["snapshot"]
	if !ok {
		return g.cfg.api(q.flag("current")), nil
	}
	for _, s := range g.cfg.snapshots {
		if s.name == name {
			old := &guestConfig{kind: g.kind, values: s.values, description: s.description, digest: g.cfg.digest}
			return old.api(true), nil
		}
	}
	return nil, die("snapshot '%s' does not exist", name)
}

// apiPending lists every key with its value, and what it will be after the next start.
func apiPending(q *call) (any, error) {
	g, err := q.c.guestAt(q.n, q.kind(), q.vmid())
	if err != nil {
		return nil, err
	}
	rows := map[string]object{"digest": {"value": g.cfg.digest}}
	for key, value := range g.cfg.values {
		if key != "parent" {
			rows[key] = object{"value": g.cfg.apiValue(key, value)}
		}
	}
	if g.cfg.description != "" {
		rows["description"] = object{"value": g.cfg.description}
	}
	set := func(key, word string, value any) {
		if rows[key] == nil {
			rows[key] = object{}
		}
		rows[key][word] = value
	}
	for key, value := range g.cfg.pending {
		if key != "delete" {
			set(key, "pending", g.cfg.apiValue(key, value))
		}
	}
	for _, key := range splitList(g.cfg.pending["delete"]) {
		set(key, "delete", 1)
	}
	list := []object{}
	for key, row := range rows {
		row["key"] = key
		list = append(list, row)
	}
	return shuffled(list), nil
}

// apiSnapshots lists the snapshots and, as "current", the guest itself.
func apiSnapshots(q *call) (any, error) {
	g, err := q.c.guestAt(q.n, q.kind(), q.vmid())
	if err != nil {
		return nil, err
	}
	rows := []object{}
	for _, s := range g.cfg.snapshots {
		row := object{"name": s.name, "description": s.description, "snaptime": atoiDefault(s.values["snaptime"], 0), "vmstate": flag(s.values["vmstate"] != "")}
		if parent := s.values["parent"]; parent != "" {
			row["parent"] = parent
		}
		rows = append(rows, row)
	}
	now := object{"name": "current", "description": "You are here!", "digest": g.cfg.digest, "running": flag(g.running)}
	if parent := g.cfg.values["parent"]; parent != "" {
		now["parent"] = parent
	}
	return append(shuffled(rows), now), nil
}
