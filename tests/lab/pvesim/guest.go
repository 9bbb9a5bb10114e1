package pvesim

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// GuestSpec describes a guest to be made. VMID, Kind, Name and Node are needed.
type GuestSpec struct {
	VMID    int
	Kind    string // "qemu" or "lxc"
	Name    string
	Node    string
	Memory  int      // MiB; default 512
	Cores   int      // default 1
	Tags    []string // written as "a;b"
	Storage string   // of the disk; default "local"
	Disk    string   // size as in a config; default "8G"
	OnBoot  bool
	Pool    string
	// IgnoreShutdown makes the guest ignore requests to shut down, as one without ACPI does.
	IgnoreShutdown bool
	Template       bool
	Description    string
	Extra          map[string]string // further lines of the config
	// Sections follows the main section as it is: pending changes, snapshots, "[special:cloudinit]".
	Sections string
}

// CreateGuest writes a guest's config and its disk. It works with nodes on or off and needs no quorum: it makes the
// lab's world, it is no operation of it. Fails if the spec is incomplete, the VMID is taken or the storage unknown.
func (c *Cluster) CreateGuest(g GuestSpec) error {
	if g.VMID < 100 || (g.Kind != "qemu" && g.Kind != "lxc") || g.Name == "" || c.nodes[g.Node] == nil {
		return fmt.Errorf("pvesim: create guest: need a VMID from 100, kind qemu or lxc, a name and a known node, got %d, %q, %q, %q",
			g.VMID, g.Kind, g.Name, g.Node)
	}
	if g.Storage == "" {
		g.Storage = "local"
	}
	if g.Disk == "" {
		g.Disk = "8G"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.mirrored
	if at, held := t.vms[g.VMID]; held {
		return fmt.Errorf("pvesim: create guest %d: the VMID is taken on %s: choose another", g.VMID, at.node)
	}
	st, ok := findStorage(parseStorages(t.entries["storage.cfg"].data), g.Storage)
	if !ok {
		return fmt.Errorf("pvesim: create guest %d: no storage %q in storage.cfg", g.VMID, g.Storage)
	}
	vol := volume{storage: g.Storage, name: diskName(st, g)}
	file := volumePath(c.opt.Dir, c.nodes[g.Node].dir, st, vol)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("pvesim: create guest %d: %w", g.VMID, err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return fmt.Errorf("pvesim: create guest %d: making its disk failed: %w", g.VMID, err)
	}
	if g.IgnoreShutdown {
		if err := os.WriteFile(ignoreShutdownPath(c.opt.Dir, g.VMID), nil, 0o644); err != nil {
			return fmt.Errorf("pvesim: create guest %d: %w", g.VMID, err)
		}
	}
	next, e := t.write(configPath(g.Node, g.Kind, g.VMID), g.config(vol), c.now())
	if e != success {
		return fmt.Errorf("pvesim: create guest %d: writing its config: %s", g.VMID, e.text())
	}
	if g.Pool != "" {
		if next, e = next.write("user.cfg", addToPool(next.entries["user.cfg"].data, g.Pool, g.VMID), c.now()); e != success {
			return fmt.Errorf("pvesim: create guest %d: adding it to pool %s: %s", g.VMID, g.Pool, e.text())
		}
	}
	c.adoptLocked(next)
	return nil
}

// adoptLocked makes next the tree of every node that had the newest one.
func (c *Cluster) adoptLocked(next *tree) {
	for _, n := range c.nodes {
		if n.view == c.mirrored {
			n.view = next
		}
	}
	c.mirrorLocked(next)
}

func ignoreShutdownPath(lab string, vmid int) string {
	return filepath.Join(lab, "storage", "ignore-shutdown-"+strconv.Itoa(vmid))
}

// diskName is what the storage type calls a guest's first disk.
func diskName(st storageConf, g GuestSpec) string {
	id := strconv.Itoa(g.VMID)
	format := ".raw"
	if g.Kind == "qemu" && fileBased(st.kind) {
		format = ".qcow2"
	}
	if !fileBased(st.kind) {
		return "vm-" + id + "-disk-0"
	}
	return id + "/vm-" + id + "-disk-0" + format
}

// volumePath is the file that stands for a volume: on shared storage one for the lab, else one per node.
func volumePath(lab, nodeDir string, st storageConf, v volume) string {
	if st.shared {
		return filepath.Join(lab, "storage/volumes", st.id, v.name)
	}
	return filepath.Join(nodeDir, "volumes", st.id, v.name)
}

// config renders the file as Proxmox writes it.
func (g GuestSpec) config(v volume) []byte {
	if g.Memory == 0 {
		g.Memory = 512
	}
	if g.Cores == 0 {
		g.Cores = 1
	}
	mac := fmt.Sprintf("BC:24:11:%02X:%02X:%02X", byte(g.VMID>>16), byte(g.VMID>>8), byte(g.VMID))
	values := map[string]string{"memory": strconv.Itoa(g.Memory), "cores": strconv.Itoa(g.Cores)}
	disk := v.id() + ",size=" + g.Disk
	if g.Kind == "qemu" {
		maps.Copy(values, map[string]string{
			"name": g.Name, "boot": "order=scsi0", "ostype": "l26", "scsihw": "virtio-scsi-pci", "scsi0": disk,
			"net0": "virtio=" + mac + ",bridge=vmbr0", "smbios1": fmt.Sprintf("uuid=00000000-0000-4000-8000-%012d", g.VMID),
		})
	} else {
		maps.Copy(values, map[string]string{
			"hostname": g.Name, "arch": "amd64", "ostype": "debian", "rootfs": disk, "swap": "0", "unprivileged": "1",
			"net0": "name=eth0,bridge=vmbr0,hwaddr=" + mac + ",ip=dhcp,type=veth",
		})
	}
	if len(g.Tags) > 0 {
		values["tags"] = strings.Join(g.Tags, ";")
	}
	if g.OnBoot {
		values["onboot"] = "1"
	}
	if g.Template {
		values["template"] = "1"
	}
	maps.Copy(values, g.Extra)
	if g.Description != "" {
		values["description"] = g.Description
	}
	main := editConfig(nil, values)
	if g.Sections != "" {
		main = append(main, "\n"+g.Sections...)
	}
	return main
}

// addToPool puts a guest into a pool of user.cfg, which is made if needed.
func addToPool(userCfg []byte, pool string, vmid int) []byte {
	members := append(pools(userCfg)[pool], vmid)
	slices.Sort(members)
	ids := make([]string, len(members))
	for i, id := range members {
		ids[i] = strconv.Itoa(id)
	}
	line := "pool:" + pool + "::" + strings.Join(ids, ",") + "::\n"
	var b strings.Builder
	for l := range strings.Lines(string(userCfg)) {
		if !strings.HasPrefix(l, "pool:"+pool+":") {
			b.WriteString(l)
		}
	}
	return []byte(b.String() + line)
}

// edit changes a guest's config from outside the cluster's rules.
func (c *Cluster) edit(vmid int, change func([]byte) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.mirrored.vms[vmid]
	if !ok {
		return errors.New("no such guest")
	}
	p := configPath(at.node, at.kind, vmid)
	next, e := c.mirrored.write(p, change(c.mirrored.entries[p].data), c.now())
	if e != success {
		return errors.New(e.text())
	}
	c.adoptLocked(next)
	return nil
}

// SetLock sets a guest's lock ("backup", "migrate" …), or removes it with "".
func (c *Cluster) SetLock(vmid int, lock string) error {
	return c.SetConfig(vmid, "lock", lock)
}

// SetConfig sets one key of a guest's config, or removes it with "". It needs no quorum and minds no lock.
func (c *Cluster) SetConfig(vmid int, key, value string) error {
	err := c.edit(vmid, func(data []byte) []byte { return editConfig(data, map[string]string{key: value}) })
	if err != nil {
		return fmt.Errorf("pvesim: set %s of guest %d: %w", key, vmid, err)
	}
	return nil
}

// WriteFile writes a file of the tree from outside the cluster's rules (ha/resources.cfg, storage.cfg …). Its
// directory must exist.
func (c *Cluster) WriteFile(p string, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, e := c.mirrored.write(p, data, c.now())
	if e != success {
		return fmt.Errorf("pvesim: writing %s: %s", p, e.text())
	}
	c.adoptLocked(next)
	return nil
}

// GuestNode is the node whose directory holds a guest's config in the newest tree; "" if there is none.
func (c *Cluster) GuestNode(vmid int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mirrored.vms[vmid].node
}

// SetMounted mounts or unmounts a shared directory storage on one node.
func (c *Cluster) SetMounted(storage, node string, mounted bool) error {
	return c.marker("unmounted-"+storage+"-"+node, !mounted)
}

// CutStorage cuts a node's storage network, or heals it: writes of its guests hang until then. Others may do the
// same by making or removing the file storage/cut-<node>.
func (c *Cluster) CutStorage(node string, cut bool) error {
	return c.marker("cut-"+node, cut)
}

func (c *Cluster) marker(name string, present bool) error {
	p := filepath.Join(c.opt.Dir, "storage", name)
	err := error(nil)
	if present {
		err = os.WriteFile(p, nil, 0o644)
	} else if err = os.Remove(p); errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("pvesim: storage marker %s: %w", name, err)
	}
	return nil
}
