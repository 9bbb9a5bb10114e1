package pvesim

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Proxmox's own HA, as far as its files in the tree go: no manager of it runs in the lab, so what is asked of it is
// queued and stays so.

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
	sid := q.sid(q.path["sid"])
	for _, row := range q.haRows() {
		if row["sid"] == sid {
			return row, nil
		}
	}
	return nil, die("no such resource '%s'", sid)
}

// sid makes a full resource id of a VMID alone.
func (q *call) sid(id string) string {
	if strings.Contains(id, ":") {
		return id
	}
	if q.view().vms[atoiDefault(id, 0)].kind == "lxc" {
		return "ct:" + id
	}
	return "vm:" + id
}

func (q *call) haRows() []object {
	data := q.file("ha/resources.cfg")
	var rows []object
	for _, s := range parseSections(data) {
		row := object{"sid": s.kind + ":" + s.id, "type": s.kind, "digest": digest(data)}
		for k, v := range s.props {
			row[k] = v
			if n, err := strconv.Atoi(v); err == nil && k != "comment" {
				row[k] = n
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func digest(data []byte) string {
	sum := sha1.Sum(data)
	return hex.EncodeToString(sum[:])
}

// apiHAAdd puts a guest under Proxmox's HA: from then on its starts and stops are diverted.
func apiHAAdd(q *call) (any, error) {
	if err := q.quorate(); err != nil {
		return nil, err
	}
	sid := q.sid(q.params["sid"])
	kind, id, _ := strings.Cut(sid, ":")
	if at, ok := q.view().vms[atoiDefault(id, 0)]; !ok || (at.kind == "lxc") != (kind == "ct") {
		return nil, die("resource '%s' does not exist in cluster", sid)
	}
	data := q.file("ha/resources.cfg")
	for _, s := range parseSections(data) {
		if s.kind == kind && s.id == id {
			return nil, die("create resource failed: resource ID '%s' already defined", sid)
		}
	}
	props := maps.Clone(q.params)
	delete(props, "sid")
	delete(props, "type")
	entry := kind + ": " + id + "\n"
	for _, key := range slices.Sorted(maps.Keys(props)) {
		entry += "\t" + key + " " + props[key] + "\n"
	}
	return nil, q.writeFile("ha/resources.cfg", append(slices.Clone(data), []byte(entry+"\n")...))
}

func apiHADelete(q *call) (any, error) {
	if err := q.quorate(); err != nil {
		return nil, err
	}
	sid := q.sid(q.path["sid"])
	kept, found := "", false
	for _, entry := range strings.SplitAfter(string(q.file("ha/resources.cfg")), "\n\n") {
		if head, _, _ := strings.Cut(entry, "\n"); strings.ReplaceAll(head, " ", "") == sid {
			found = true
			continue
		}
		kept += entry
	}
	if !found {
		return nil, die("cannot delete service '%s', not HA managed!", sid)
	}
	return nil, q.writeFile("ha/resources.cfg", []byte(kept))
}

// writeFile writes a file of /etc/pve in one operation; without quorum it fails as a real one does.
func (q *call) writeFile(p string, data []byte) error {
	if e := q.c.fsWrite(context.Background(), q.n, p, data); e != success {
		return die("unable to open file '/etc/pve/%s.tmp.202' - %s", p, e.text())
	}
	return nil
}

func apiHAGroups(*call) (any, error) {
	return nil, die("cannot index groups: ha groups have been migrated to rules")
}

func apiHARules(q *call) (any, error) {
	data := q.file("ha/rules.cfg")
	rows := []object{}
	for i, s := range parseSections(data) {
		row := object{"rule": s.id, "type": s.kind, "order": i + 1, "digest": digest(data)}
		for k, v := range s.props {
			row[k] = v
			if k == "strict" || k == "disable" {
				row[k] = atoiDefault(v, 0)
			}
		}
		wanted := q.params["resource"] == "" || overlaps(q.params["resource"], s.props["resources"])
		if wanted && (q.params["type"] == "" || q.params["type"] == s.kind) {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// apiHAStatus is the state of the HA stack while no manager has ever been active.
func apiHAStatus(q *call) (any, error) {
	quorum := object{"id": "quorum", "type": "quorum", "node": q.n.Name, "quorate": 1, "status": "OK"}
	if !q.c.Quorate(q.n.Name) {
		quorum["quorate"], quorum["status"] = 0, "No quorum on node '"+q.n.Name+"'!"
	}
	rows := []object{quorum, {"id": "fencing", "type": "fencing", "node": q.n.Name, "armed-state": "standby", "status": "standby (CRM watchdog standby)"}}
	vms := q.view().vms
	for _, res := range q.haRows() {
		sid := res["sid"].(string)
		_, id, _ := strings.Cut(sid, ":")
		node := vms[atoiDefault(id, 0)].node
		row := object{"id": "service:" + sid, "type": "service", "sid": sid, "node": node, "state": "queued", "status": sid + " (" + node + ", queued)",
			"request_state": "started", "failback": 1, "max_relocate": 1, "max_restart": 1}
		for key, as := range map[string]string{"state": "request_state", "failback": "failback", "max_relocate": "max_relocate", "max_restart": "max_restart", "comment": "comment"} {
			if v, ok := res[key]; ok {
				row[as] = v
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func apiHAManagerStatus(q *call) (any, error) {
	return object{"quorum": object{"node": q.n.Name, "quorate": bit(q.c.Quorate(q.n.Name))}, "manager_status": object{"node_status": object{}}}, nil
}
