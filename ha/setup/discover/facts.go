package discover

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"bascule/ha"
	"bascule/ha/pve"
)

// Facts is what one node shows of its site.
type Facts struct {
	Node      ha.NodeName // this node: as .members has it, else its host name up to the first dot
	MachineID string      // /etc/machine-id: another one means that the node was installed anew
	UUID      string      // the machine's system UUID, which its BMC shows too; "" where the firmware has none
	PVE       bool        // /etc/pve is Proxmox's (there is a .members)
	Members   pve.Members
	Corosync  *pve.Corosync // nil: no cluster, a single node
	Storages  []pve.Storage
	Ceph      Ceph
	Watchdogs Watchdogs
	BMC       BMC // Address is filled in by ReadBMC
	Guests    []Guest
	HAManaged []ha.VMID // by Proxmox's own HA
	Firewall  bool      // the datacenter's firewall is switched on (firewall/cluster.fw)
	Unread    []string  // what could not be read or understood, and why
}

// Site is one node of the site: what corosync and .members say of it together.
type Site struct {
	Name    ha.NodeName
	Address string // on corosync's first link; else the address that its name resolves to
	Online  bool
}

// Read reads what the tree shows; normally os.DirFS("/"). It asks nobody (see ReadBMC).
func Read(tree fs.FS) Facts {
	var f Facts
	f.Node = ha.NodeOf(readWord(tree, "etc/hostname"))
	f.MachineID = readWord(tree, "etc/machine-id")
	if uuid := strings.ToLower(readWord(tree, "sys/class/dmi/id/product_uuid")); ha.ValidUUID(uuid) {
		f.UUID = uuid
	}
	f.readCluster(tree)
	f.Storages = pve.ParseStorages(f.optional(tree, "etc/pve/storage.cfg"))
	if data := f.optional(tree, "etc/pve/ceph.conf"); data != nil {
		f.Ceph = ParseCeph(data)
		f.Ceph.Local = true
	} else if data := f.optional(tree, "etc/ceph/ceph.conf"); data != nil {
		f.Ceph = ParseCeph(data)
	}
	f.Watchdogs = ReadWatchdogs(tree)
	for _, name := range []string{"dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0"} {
		if _, err := fs.Stat(tree, name); err == nil {
			f.BMC.Present = true
		}
	}
	f.Guests = readGuests(tree)
	f.HAManaged = managed(f.optional(tree, "etc/pve/ha/resources.cfg"))
	f.Firewall = firewallOn(string(f.optional(tree, "etc/pve/firewall/cluster.fw")))
	return f
}

// readCluster reads .members and corosync.conf.
func (f *Facts) readCluster(tree fs.FS) {
	data, err := fs.ReadFile(tree, "etc/pve/.members")
	if err != nil {
		f.Unread = append(f.Unread, fmt.Sprintf("/etc/pve/.members: %v; is pve-cluster running? (systemctl status pve-cluster)", reason(err)))
	} else if f.Members, err = pve.ParseMembers(data); err != nil {
		f.Unread = append(f.Unread, "/etc/pve/"+err.Error())
	} else {
		f.PVE = true
		if f.Members.Node != "" {
			f.Node = f.Members.Node
		}
	}
	if data := f.optional(tree, "etc/pve/corosync.conf"); data != nil {
		c, err := pve.ParseCorosync(data)
		if err != nil {
			f.Unread = append(f.Unread, "/etc/pve/"+err.Error())
			return
		}
		f.Corosync = &c
	}
}

// optional reads a file that need not be there.
func (f *Facts) optional(tree fs.FS, name string) []byte {
	data, err := fs.ReadFile(tree, name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.Unread = append(f.Unread, fmt.Sprintf("/%s: %v", name, reason(err)))
		}
		return nil
	}
	return data
}

// Nodes returns the site's nodes, by corosync's node ids; of a node without a cluster itself alone, without an address.
func (f Facts) Nodes() (out []Site) {
	online := map[ha.NodeName]pve.Member{}
	for _, m := range f.Members.Nodes {
		online[m.Name] = m
	}
	if f.Corosync == nil {
		return []Site{{Name: f.Node, Online: true}}
	}
	for _, n := range f.Corosync.Nodes {
		s := Site{Name: n.Name, Address: n.Addresses[0], Online: online[n.Name].Online}
		if s.Address == "" {
			s.Address = online[n.Name].IP
		}
		out = append(out, s)
	}
	return out
}

// Chosen lists the guests that are chosen for protection and can run; Proxmox's own HA may hold some of them (HAManaged).
func (f Facts) Chosen(p ha.Protect) (out []Guest) {
	for _, g := range f.Guests {
		if !g.Template && p.Chooses(g.VMID, g.Tags, g.Pools) {
			out = append(out, g)
		}
	}
	return out
}

// Storage returns a storage by name.
func (f Facts) Storage(name string) (pve.Storage, bool) {
	i := slices.IndexFunc(f.Storages, func(s pve.Storage) bool { return s.Name == name })
	if i < 0 {
		return pve.Storage{}, false
	}
	return f.Storages[i], true
}

// firewallOn looks for "enable: 1" among the options of cluster.fw.
func firewallOn(text string) bool {
	section, on := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = strings.ToLower(strings.Trim(line, "[]"))
		} else if key, value, ok := strings.Cut(line, ":"); ok && section == "options" && strings.TrimSpace(key) == "enable" {
			on = number(strings.TrimSpace(value)) != 0
		}
	}
	return on
}

// number reads an integer, 0 where there is none.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// reason is an error without the path, which stands in front of it already.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
