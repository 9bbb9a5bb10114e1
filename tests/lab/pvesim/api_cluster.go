package pvesim

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
)

func apiVersion(*call) (any, error) {
	return object{"release": "9.2", "repoid": "deadbeef", "version": "9.2.11"}, nil
}

func apiClusterStatus(q *call) (any, error) {
	c := q.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleLocked()
	st := c.ring.nodes[q.n.Name]
	var rows []object
	for i, name := range c.order {
		rows = append(rows, object{"type": "node", "id": "node/" + name, "name": name, "nodeid": i + 1, "ip": c.nodes[name].Address,
			"level": "", "local": flag(name == q.n.Name), "online": flag(c.onlineLocked(q.n, name))})
	}
	head := object{"type": "cluster", "id": "cluster", "name": c.opt.Name, "nodes": len(c.order), "quorate": flag(st.quorate), "version": len(c.order)}
	return append([]object{head}, shuffled(rows)...), nil
}

// flag is how the API writes a boolean.
func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func apiHAResources(q *call) (any, error) {
	rows := []object{}
	for _, row := range q.haRows() {
		if kind := q.params["type"]; kind == "" || row["type"] == kind {
			rows = append(rows, row)
		}
	}
	return shuffled(rows), nil
}

func apiHAResource(q *call) (any, error) {
	for _, row := range q.haRows() {
		if row["sid"] == q.path["sid"] {
			return row, nil
		}
	}
	return nil, die("no such resource '%s'", q.path["sid"])
}

func (q *call) haRows() []object {
	data := q.file("ha/resources.cfg")
	sum := sha1.Sum(data)
	var rows []object
	for _, s := range parseSections(data) {
		row := object{"sid": s.kind + ":" + s.id, "type": s.kind, "digest": hex.EncodeToString(sum[:])}
		for k, v := range s.props {
			if n, err := strconv.Atoi(v); err == nil && k != "comment" {
				row[k] = n
			} else {
				row[k] = v
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// quorate is check_cfs_quorum: what starts, moves and creates guests asks it first.
func (q *call) quorate() *apiError {
	if !q.c.Quorate(q.n.Name) {
		return die("cluster not ready - no quorum?")
	}
	return nil
}
