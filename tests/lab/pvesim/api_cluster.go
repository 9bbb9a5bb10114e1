package pvesim

import (
	"fmt"
	"strconv"
	"strings"
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

// quorate is check_cfs_quorum: what starts, moves and creates guests asks it first.
func (q *call) quorate() *apiError {
	if !q.c.Quorate(q.n.Name) {
		return die("cluster not ready - no quorum?")
	}
	return nil
}

// apiNextID is the lowest VMID that nobody has, as a string.
func apiNextID(q *call) (any, error) {
	taken := q.view().vms
	if v, ok := q.params["vmid"]; ok {
		if _, used := taken[atoiDefault(v, 0)]; used {
			return nil, badParam("vmid", fmt.Sprintf("VM %s already exists", v))
		}
		return v, nil
	}
	for id := 100; ; id++ {
		if _, used := taken[id]; !used {
			return strconv.Itoa(id), nil
		}
	}
}

// apiConfigNodes shows the nodes of corosync.conf; all its values are strings.
func apiConfigNodes(q *call) (any, error) {
	rows := []object{}
	for _, block := range strings.Split(string(q.file("corosync.conf")), "node {")[1:] {
		body, _, _ := strings.Cut(block, "}")
		row := object{}
		for line := range strings.Lines(body) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
				row[key] = value
			}
		}
		row["node"] = row["name"]
		rows = append(rows, row)
	}
	return shuffled(rows), nil
}

// apiClusterTasks shows what the nodes told each other about their newest tasks. The last words of a node that is
// gone stay.
func apiClusterTasks(q *call) (any, error) {
	rows := []object{}
	for _, name := range q.c.order {
		for _, row := range q.n.stats.taskList(name) {
			u, _ := parseUPID(row["upid"].(string))
			if q.who.has("Sys.Audit") || u.ownedBy(q.who) {
				rows = append(rows, row)
			}
		}
	}
	return rows, nil
}
