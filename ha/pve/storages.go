package pve

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"bascule/ha"
)

// Storage is one entry of /etc/pve/storage.cfg.
type Storage struct {
	Name     string
	Type     string // "dir", "nfs", "lvm", "lvmthin", "zfspool", "rbd", "iscsi" …
	Shared   bool   // as Proxmox takes it: written, or by its type
	Disabled bool
	Content  []string      // "images", "rootdir" …; empty: the type's default
	Nodes    []ha.NodeName // only there; empty: everywhere
	Options  map[string]string
}

var storageName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// sharedTypes are shared whatever the file says (PVE::Storage: the plugins' "shared" feature).
var sharedTypes = []string{"nfs", "cifs", "cephfs", "glusterfs", "rbd", "iscsi", "iscsidirect", "zfs", "pbs", "esxi"}

// mountedTypes are mounted by Proxmox, under /mnt/pve when storage.cfg names no other path.
var mountedTypes = []string{"nfs", "cifs", "cephfs", "glusterfs"}

// ParseStorages reads a storage.cfg, in file order. It never fails: like Proxmox it skips what it does not understand. Of a storage that appears
// twice the first counts.
func ParseStorages(data []byte) []Storage {
	var out []Storage
	for _, s := range parseSections(string(data)) {
		known := slices.ContainsFunc(out, func(o Storage) bool { return o.Name == s.id })
		if known || !storageName.MatchString(s.id) {
			continue
		}
		st := Storage{Name: s.id, Type: s.kind, Options: s.options, Content: List(s.options["content"]), Disabled: s.truth("disable"),
			Shared: slices.Contains(sharedTypes, s.kind) || s.truth("shared")}
		for _, n := range List(s.options["nodes"]) {
			st.Nodes = append(st.Nodes, ha.NodeName(n))
		}
		out = append(out, st)
	}
	return out
}

// HoldsGuests says whether guests' disks may lie on it.
func (s Storage) HoldsGuests() bool {
	return !s.Disabled && (len(s.Content) == 0 || slices.Contains(s.Content, "images") || slices.Contains(s.Content, "rootdir"))
}

// On says whether a node has the storage: it is enabled and not kept to other nodes.
func (s Storage) On(node ha.NodeName) bool {
	return !s.Disabled && (len(s.Nodes) == 0 || slices.Contains(s.Nodes, node))
}

// Path is where the storage's files are on the nodes, without a slash at its end; empty for those without files.
func (s Storage) Path() string {
	at := s.Options["path"]
	switch {
	case at != "":
		return path.Clean(at)
	case slices.Contains(mountedTypes, s.Type):
		return "/mnt/pve/" + s.Name
	}
	return ""
}

// mount is the directory that must be a mount point; empty: none must.
func (s Storage) mount() string {
	if slices.Contains(mountedTypes, s.Type) {
		return s.Path()
	}
	at := s.Options["is_mountpoint"] // yes, no, or another path
	switch yes, understood := boolean(at); {
	case at == "" || understood && !yes:
		return ""
	case strings.HasPrefix(at, "/"):
		return path.Clean(at)
	}
	return s.Path()
}

// Place is where the storage lies, for looking at it.
func (s Storage) Place() ha.StoragePlace {
	o := s.Options
	return ha.StoragePlace{Name: s.Name, Type: s.Type, Path: s.Path(), Mount: s.mount(), VG: o["vgname"], Portal: o["portal"], Target: o["target"], Pool: o["pool"],
		Namespace: o["namespace"], Monitors: o["monhost"], User: o["username"], ReadOnly: slices.Contains(strings.Split(o["options"], ","), "ro")}
}
