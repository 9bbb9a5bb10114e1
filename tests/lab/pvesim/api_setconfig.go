package pvesim

import (
	"context"
	"maps"
	"strings"
)

// PUT …/config, as far as a daemon would use it: plain keys, no disks and no hot-plugging.

var configPrivs = map[string]string{
	"qemu": "VM.Config.Disk|VM.Config.CDROM|VM.Config.CPU|VM.Config.Memory|VM.Config.Network|VM.Config.HWType|VM.Config.Options|VM.Config.Cloudinit",
	"lxc":  "VM.Config.Disk|VM.Config.CPU|VM.Config.Memory|VM.Config.Network|VM.Config.Options",
}

var configSchemas = map[string]schema{
	"qemu": {"delete": "string", "skiplock": "bool", "digest": "string", "tags": "string", "description": "string", "onboot": "bool", "lock": "string",
		"name": "string", "cores": "int", "sockets": "int", "memory": "string", "kvm": "bool", "protection": "bool", "startup": "string", "revert": "string", "force": "bool"},
	"lxc": {"delete": "string", "digest": "string", "tags": "string", "description": "string", "onboot": "bool", "lock": "string", "hostname": "string",
		"cores": "int", "memory": "int", "swap": "int", "protection": "bool", "startup": "string", "revert": "string"},
}

func apiSetConfig(q *call) (any, error) {
	if q.flag("skiplock") && !q.who.root() {
		return nil, badParam("skiplock", "Only root may use this option.")
	}
	edits := maps.Clone(q.params)
	delete(edits, "skiplock")
	delete(edits, "digest")
	delete(edits, "force")
	for _, key := range strings.FieldsFunc(edits["delete"], func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
		edits[key] = ""
	}
	delete(edits, "delete")
	if _, touches := edits["lock"]; touches && q.kind() == "qemu" && !q.who.root() {
		return nil, die("only root can set 'lock' config")
	}
	g, err := q.c.guestAt(q.n, q.kind(), q.vmid())
	if err != nil {
		return nil, err
	}
	if want := q.params["digest"]; want != "" && want != g.cfg.digest {
		return nil, die("detected modified configuration - file changed by other user? Try again.")
	}
	if lock := g.cfg.lock(); lock != "" && !q.flag("skiplock") {
		return nil, die("%s", lockedMessage(g.kind, lock))
	}
	p := configPath(q.n.Name, g.kind, g.vmid)
	if e := q.c.fsWrite(context.Background(), q.n, p, editConfig(q.file(p), edits)); e != success {
		return nil, die("unable to open file '/etc/pve/%s.tmp.202' - %s", p, e.text())
	}
	return nil, nil
}

func lockedMessage(kind, lock string) string {
	if kind == "lxc" {
		return "CT is locked (" + lock + ")"
	}
	return "VM is locked (" + lock + ")"
}
