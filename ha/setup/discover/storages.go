package discover

import (
	"slices"
	"strings"

	"bascule/ha"
)

// Storage is one entry of /etc/pve/storage.cfg.
type Storage struct {
	Name    string
	Type    string // "dir", "nfs", "lvm", "lvmthin", "zfspool", "rbd", "iscsi" …
	Shared  bool   // as Proxmox takes it: written, or by its type
	Disable bool
	Content []string      // "images", "rootdir" …; empty: the type's default
	Nodes   []ha.NodeName // only there; empty: everywhere
	Options map[string]string
}

// sharedTypes are shared whatever the file says (PVE::Storage: the plugins' "shared" feature).
var sharedTypes = []string{"nfs", "cifs", "cephfs", "glusterfs", "rbd", "iscsi", "iscsidirect", "zfs", "pbs", "esxi"}

// HoldsGuests says whether guests' disks may lie on it.
func (s Storage) HoldsGuests() bool {
	return !s.Disable && (len(s.Content) == 0 || slices.Contains(s.Content, "images") || slices.Contains(s.Content, "rootdir"))
}

// On says whether a node has the storage.
func (s Storage) On(node ha.NodeName) bool {
	return len(s.Nodes) == 0 || slices.Contains(s.Nodes, node)
}

// ParseStorages reads a storage.cfg, in file order. It never fails: like Proxmox it skips lines that it does not understand. An empty
// file means the one storage that Proxmox then has, "local".
func ParseStorages(data []byte) []Storage {
	var out []Storage
	for _, s := range parseConfigSections(string(data)) {
		st := Storage{Name: s.id, Type: s.kind, Options: s.options, Content: split(s.options["content"])}
		for _, n := range split(s.options["nodes"]) {
			st.Nodes = append(st.Nodes, ha.NodeName(n))
		}
		_, st.Disable = s.options["disable"]
		st.Disable = st.Disable && s.options["disable"] != "0"
		st.Shared = slices.Contains(sharedTypes, s.kind) || s.options["shared"] == "1" || s.options["shared"] == "yes"
		out = append(out, st)
	}
	return out
}

// configSection is a section of Proxmox's section files: "type: id", then indented "key value".
type configSection struct {
	kind, id string
	options  map[string]string
}

func parseConfigSections(text string) (out []configSection) {
	open := false
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
			open = false
		case strings.HasPrefix(f[0], "#"):
		case line[0] != ' ' && line[0] != '\t':
			kind, id, ok := strings.Cut(strings.TrimSpace(line), ":")
			if open = ok && strings.TrimSpace(id) != ""; open {
				out = append(out, configSection{kind: kind, id: strings.TrimSpace(id), options: map[string]string{}})
			}
		case open:
			out[len(out)-1].options[f[0]] = strings.Join(f[1:], " ")
		}
	}
	return out
}

// split splits Proxmox's lists.
func split(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(",; \t", r) })
}
