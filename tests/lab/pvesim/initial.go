package pvesim

import (
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"
)

// freshTree is /etc/pve of a newly made cluster.
func (c *Cluster) freshTree() (*tree, error) {
	t := newTree()
	now := c.now()
	var failed error
	mkdir := func(p string) {
		next, e := t.mkdir(p, now)
		if e != success && failed == nil {
			failed = fmt.Errorf("pvesim: making %s in a fresh tree failed: %s", p, e.text())
			return
		}
		t = next
	}
	write := func(p string, data []byte) {
		next, e := t.write(p, data, now)
		if e != success && failed == nil {
			failed = fmt.Errorf("pvesim: writing %s in a fresh tree failed: %s", p, e.text())
			return
		}
		t = next
	}
	for _, d := range []string{"nodes", "ha", "priv", "priv/lock", "firewall", "mapping", "sdn", "virtual-guest"} {
		mkdir(d)
	}
	for _, name := range c.order {
		for _, d := range []string{"", "/qemu-server", "/lxc", "/openvz", "/priv"} {
			mkdir("nodes/" + name + d)
		}
		if der := c.nodes[name].cert.Certificate; len(der) > 0 {
			write("nodes/"+name+"/pve-ssl.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der[0]}))
		}
	}
	write("corosync.conf", []byte(c.corosyncConf()))
	write("storage.cfg", []byte(c.storageConf()))
	write("user.cfg", []byte(c.userConf()))
	if len(c.opt.RootCA) > 0 {
		write("pve-root-ca.pem", c.opt.RootCA)
	}
	return t, failed
}

func (c *Cluster) corosyncConf() string {
	var b strings.Builder
	b.WriteString("logging {\n  debug: off\n  to_syslog: yes\n}\n\nnodelist {\n")
	for i, name := range c.order {
		b.WriteString("  node {\n    name: " + name + "\n    nodeid: " + strconv.Itoa(i+1) +
			"\n    quorum_votes: 1\n    ring0_addr: " + c.nodes[name].Address + "\n  }\n")
	}
	b.WriteString("}\n\nquorum {\n")
	if c.opt.Corosync.QDevice > 0 {
		b.WriteString("  device {\n    model: net\n")
		if host := c.opt.Corosync.QDeviceHost; host != "" {
			b.WriteString("    net {\n      algorithm: ffsplit\n      host: " + host + "\n      tls: on\n    }\n")
		}
		b.WriteString("    votes: " + strconv.Itoa(c.opt.Corosync.QDevice) + "\n  }\n")
	}
	b.WriteString("  provider: corosync_votequorum\n}\n\ntotem {\n  cluster_name: " + c.opt.Name +
		"\n  config_version: " + strconv.Itoa(len(c.order)) +
		"\n  interface {\n    linknumber: 0\n  }\n  ip_version: ipv4-6\n  link_mode: passive\n  secauth: on\n  version: 2\n")
	if c.opt.Corosync.Reform == ReformTuned {
		b.WriteString("  token: 1000\n  token_coefficient: 0\n")
	}
	b.WriteString("}\n")
	return b.String()
}

func (c *Cluster) storageConf() string {
	b := strings.Builder{}
	b.WriteString("dir: local\n\tpath /var/lib/vz\n\tcontent snippets,rootdir,images,backup,vztmpl,iso\n\tprune-backups keep-all=1\n\n")
	for _, s := range c.opt.Storages {
		if s.Name == "local" {
			continue
		}
		b.WriteString(s.Type + ": " + s.Name + "\n")
		for _, line := range storageOptions(s) {
			b.WriteString("\t" + line + "\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func storageOptions(s Storage) []string {
	var out []string
	content := s.Content
	switch s.Type {
	case "dir":
		out = append(out, "path /mnt/"+s.Name)
		if s.Shared {
			out = append(out, "is_mountpoint yes")
		}
	case "nfs", "cifs", "cephfs":
		out = append(out, "path /mnt/pve/"+s.Name)
	case "rbd":
		out = append(out, "pool "+s.Name, "krbd 0")
	case "lvm", "lvmthin":
		out = append(out, "vgname "+s.Name)
	case "zfspool":
		out = append(out, "pool rpool/"+s.Name)
	}
	if content == "" {
		content = "images,rootdir"
		if fileBased(s.Type) {
			content = "images,iso,vztmpl,rootdir"
		}
	}
	out = append(out, "content "+content)
	if len(s.Nodes) > 0 {
		out = append(out, "nodes "+strings.Join(s.Nodes, ","))
	}
	if s.Disabled {
		out = append(out, "disable")
	}
	if s.Shared && !alwaysShared(s.Type) {
		out = append(out, "shared 1")
	}
	return out
}

// fileBased says whether volumes of a storage type are files, named "<vmid>/vm-<vmid>-disk-0.raw".
func fileBased(kind string) bool {
	return kind == "dir" || kind == "nfs" || kind == "cifs" || kind == "cephfs" || kind == "btrfs"
}

// alwaysShared are the types that are shared without saying so in storage.cfg.
func alwaysShared(kind string) bool {
	switch kind {
	case "rbd", "nfs", "cifs", "cephfs", "iscsi", "iscsidirect", "zfs", "pbs", "glusterfs":
		return true
	}
	return false
}

// userConf is user.cfg. Secrets are not in it on a real cluster either.
func (c *Cluster) userConf() string {
	var b strings.Builder
	b.WriteString("user:root@pam:1:0::::::\n")
	users := map[string]bool{"root@pam": true}
	for _, tok := range c.opt.Tokens {
		user, _, _ := strings.Cut(tok.ID, "!")
		if !users[user] {
			users[user] = true
			b.WriteString("user:" + user + ":1:0::::::\n")
		}
		b.WriteString("token:" + tok.ID + ":0:1::\n")
	}
	b.WriteString("\n\n\n")
	for i, tok := range c.opt.Tokens {
		role := "Lab" + strconv.Itoa(i)
		user, _, _ := strings.Cut(tok.ID, "!")
		b.WriteString("role:" + role + ":" + strings.Join(tok.Privileges, ",") + ":\n")
		b.WriteString("acl:1:/:" + user + "," + tok.ID + ":" + role + ":\n")
	}
	return b.String()
}
