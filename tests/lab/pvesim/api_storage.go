package pvesim

import (
	"crypto/sha1"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// storageState is a storage as one node finds it now.
type storageState struct {
	conf        storageConf
	active      bool
	total, used int64
}

// storagesOn looks at every storage of storage.cfg that is configured for a node, disabled ones included.
func (c *Cluster) storagesOn(n *node) []storageState {
	data, _ := c.fsRead(n, "storage.cfg")
	var out []storageState
	for _, s := range parseStorages(data) {
		if len(s.nodes) > 0 && !slices.Contains(s.nodes, n.Name) {
			continue
		}
		st := storageState{conf: s, total: rootTotal, used: rootUsed}
		if s.shared {
			st.total, st.used = 250<<30, 16<<30
		}
		for _, o := range c.opt.Storages {
			if o.Name == s.id && o.Total > 0 {
				st.total, st.used = o.Total, o.Total/16
			}
		}
		st.active = !s.disabled && storageProblem(c.opt.Dir, n.Name, s) == ""
		out = append(out, st)
	}
	return out
}

// storageProblem says why a storage cannot be activated on a node; "" if it can.
func storageProblem(lab, node string, s storageConf) string {
	if exists(filepath.Join(lab, "storage", "unmounted-"+s.id+"-"+node)) {
		return "unable to activate storage '" + s.id + "' - directory is expected to be a mount point but is not mounted: '" + s.path() + "'"
	}
	if s.shared && exists(cutPath(lab, node)) {
		return "storage '" + s.id + "' is not online"
	}
	return ""
}

// cutPath is the marker of a cut storage network.
func cutPath(lab, node string) string { return filepath.Join(lab, "storage", "cut-"+node) }

func exists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

func (s storageState) row() object {
	row := object{"type": s.conf.kind, "content": words(s.conf.props["content"]), "shared": flag(s.conf.shared), "enabled": flag(!s.conf.disabled),
		"active": flag(s.active), "total": int64(0), "used": int64(0), "avail": int64(0)}
	if s.active {
		row["total"], row["used"], row["avail"] = s.total, s.used, s.total-s.used
	}
	return row
}

func apiNodeStorage(q *call) (any, error) {
	rows := []object{}
	for _, s := range q.c.storagesOn(q.n) {
		name := q.params["storage"]
		content := q.params["content"]
		if !q.who.has("Datastore.Audit|Datastore.AllocateSpace") || name != "" && name != s.conf.id ||
			content != "" && !overlaps(content, s.conf.props["content"]) || q.flag("enabled") && s.conf.disabled {
			continue
		}
		row := s.row()
		row["storage"] = s.conf.id
		if s.active {
			row["used_fraction"] = float64(s.used) / float64(s.total)
		}
		rows = append(rows, row)
	}
	return shuffled(rows), nil
}

func overlaps(a, b string) bool {
	for _, x := range strings.Split(a, ",") {
		if slices.Contains(strings.Split(b, ","), x) {
			return true
		}
	}
	return false
}

func apiStorageStatus(q *call) (any, error) {
	for _, s := range q.c.storagesOn(q.n) {
		if s.conf.id == q.path["storage"] {
			return s.row(), nil
		}
	}
	return nil, badParam("storage", "No such storage.")
}

func (q *call) storageConfRow(s storageConf) object {
	sum := sha1.Sum(q.file("storage.cfg"))
	row := object{"storage": s.id, "type": s.kind, "digest": hex.EncodeToString(sum[:])}
	for k, v := range s.props {
		row[k] = v
		switch k {
		case "shared", "krbd":
			row[k] = atoiDefault(v, 1)
		case "content":
			row[k] = words(v)
		case "disable":
			row[k] = 1
		}
	}
	return row
}

func apiStorages(q *call) (any, error) {
	rows := []object{}
	for _, s := range parseStorages(q.file("storage.cfg")) {
		if q.who.has("Datastore.Audit|Datastore.AllocateSpace") && (q.params["type"] == "" || q.params["type"] == s.kind) {
			rows = append(rows, q.storageConfRow(s))
		}
	}
	return shuffled(rows), nil
}

func apiStorage(q *call) (any, error) {
	s, ok := findStorage(parseStorages(q.file("storage.cfg")), q.path["storage"])
	if !ok {
		return nil, die("storage '%s' does not exist", q.path["storage"])
	}
	return q.storageConfRow(s), nil
}
