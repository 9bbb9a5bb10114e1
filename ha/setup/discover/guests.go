package discover

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bascule/ha"
)

// Guest is a guest as its configuration has it. It is enough to choose what to protect; the daemon reads configurations itself.
type Guest struct {
	VMID     ha.VMID
	Kind     ha.GuestKind
	Node     ha.NodeName // where its configuration lies
	Name     string
	Tags     []string
	Pools    []string
	Onboot   bool
	Template bool
	Storages []string // of its disks, sorted; cdrom images are left out
}

var diskKey = regexp.MustCompile(`^(ide|sata|scsi|virtio|efidisk|tpmstate|rootfs|mp|unused)\d*$`)

// ParseGuest reads a guest's configuration: the main section, not its snapshots.
func ParseGuest(kind ha.GuestKind, data []byte) Guest {
	g := Guest{Kind: kind}
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "[") {
			break
		}
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch {
		case !ok || strings.HasPrefix(key, "#"):
		case key == "name" || key == "hostname":
			g.Name = value
		case key == "tags":
			g.Tags = split(value)
		case key == "onboot":
			g.Onboot = value == "1"
		case key == "template":
			g.Template = value == "1"
		case diskKey.MatchString(key) && !strings.HasPrefix(key, "unused") && !strings.Contains(value, "media=cdrom"):
			if storage, _, ok := strings.Cut(value, ":"); ok && !strings.HasPrefix(value, "/") && !slices.Contains(g.Storages, storage) {
				g.Storages = append(g.Storages, storage)
			}
		}
	}
	slices.Sort(g.Storages)
	return g
}

// readGuests reads all configurations, by VMID.
func readGuests(tree fs.FS) (out []Guest) {
	pools := map[int][]string{}
	if data, err := fs.ReadFile(tree, "etc/pve/user.cfg"); err == nil {
		pools = parsePools(string(data))
	}
	for dir, kind := range map[string]ha.GuestKind{"qemu-server": ha.QEMU, "lxc": ha.LXC} {
		files, _ := fs.Glob(tree, "etc/pve/nodes/*/"+dir+"/*.conf")
		for _, f := range files {
			id, err := strconv.Atoi(strings.TrimSuffix(path.Base(f), ".conf"))
			data, rerr := fs.ReadFile(tree, f)
			if err != nil || rerr != nil {
				continue // not a guest's, or gone since
			}
			g := ParseGuest(kind, data)
			g.VMID, g.Node, g.Pools = ha.VMID(id), ha.NodeName(path.Base(path.Dir(path.Dir(f)))), pools[id]
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(a, b Guest) int { return int(a.VMID) - int(b.VMID) })
	return out
}

// parsePools reads the pools of user.cfg: "pool:NAME:comment:VMIDS:storages:".
func parsePools(text string) map[int][]string {
	out := map[int][]string{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || f[0] != "pool" {
			continue
		}
		for _, id := range split(f[3]) {
			if n, err := strconv.Atoi(id); err == nil {
				out[n] = append(out[n], f[1])
			}
		}
	}
	return out
}

// parseHAResources reads /etc/pve/ha/resources.cfg: the guests that Proxmox's own HA manages. "ignored" ones it leaves alone.
func parseHAResources(text string) (out []ha.VMID) {
	for _, s := range parseConfigSections(text) {
		id, err := strconv.Atoi(s.id)
		if err == nil && (s.kind == "vm" || s.kind == "ct") && s.options["state"] != "ignored" {
			out = append(out, ha.VMID(id))
		}
	}
	slices.Sort(out)
	return out
}
