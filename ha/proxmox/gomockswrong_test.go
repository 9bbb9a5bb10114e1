package proxmox

import (
	"encoding/json"
	"strings"
	"testing"
)

// madeByHand are answers in go-proxmox's test data that no real Proxmox VE gives (docs/lies.md lists them for people). wrong recognises the
// mistake: when the library corrects it, the test says so, and the row can go.
var madeByHand = []struct {
	versions string
	method   string
	path     string
	wrong    func(t *testing.T, m mock) bool
}{
	{"pve8x pve9x", "GET", "/cluster/ha/status/current", func(t *testing.T, m mock) bool {
		last := m.rows(t)[1]
		return last["type"] == "service" && last["id"] == "vm:100" && last["sid"] == nil && last["crm_state"] == nil
	}},
	{"pve8x pve9x", "GET", "/cluster/ha/status/manager_status", func(t *testing.T, m mock) bool {
		o := m.object(t)
		return o["lrm_status"] == nil && o["service_status"] != nil && o["node_status"] != nil
	}},
	{"pve9x", "GET", "/cluster/ha/groups", func(_ *testing.T, m mock) bool { return m.code == 200 }},
	{"pve9x", "GET", "/nodes/node1/qemu/101/migrate", func(t *testing.T, m mock) bool { return m.object(t)["running"] == true }},
	{"pve8x pve9x", "GET", "/nodes/node1/qemu/100/config", func(t *testing.T, m mock) bool {
		o := m.object(t)
		_, isNumber := o["memory"].(json.Number)
		return isNumber && o["vmid"] != nil
	}},
	{"pve7x pve8x pve9x", "GET", "/nodes/doesntexist/status", func(_ *testing.T, m mock) bool { return m.code == 500 && !strings.Contains(m.body, "message") }},
	{"pve7x pve8x pve9x", "GET", "/access/permissions", func(t *testing.T, m mock) bool { return m.object(t)["path"] != nil && len(m.params) > 0 }},
	{"pve7x pve8x pve9x", "GET", "/cluster/resources", func(t *testing.T, m mock) bool {
		row := m.rows(t)[0]
		return m.params["type"] == "node" && row["id"] == "node1" && row["node"] == nil && row["status"] == nil
	}},
	{"pve7x", "PUT", "/nodes/node1/lxc/101/config", func(t *testing.T, m mock) bool { return m.data(t) == "null" }},
	{"pve9x", "GET", "/nodes/cinode/status", func(t *testing.T, m mock) bool { return m.object(t)["memory"] == nil }},
}

// checkMadeByHand: what is wrong in the library's test data is still wrong, so that nobody takes it for Proxmox's word.
func checkMadeByHand(t *testing.T, version string, all []mock) {
	for _, c := range madeByHand {
		found := false
		for _, m := range all {
			found = found || m.method == c.method && m.path == c.path && c.wrong(t, m)
		}
		if listed := strings.Contains(c.versions, version); listed && !found {
			t.Errorf("%s %s is not as wrong as it was: correct docs/lies.md and this table", c.method, c.path)
		}
	}
}
