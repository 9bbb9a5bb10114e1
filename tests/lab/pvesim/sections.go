package pvesim

import (
	"slices"
	"strconv"
	"strings"
)

// section is one entry of a Proxmox section file ("type: id" and indented properties).
type section struct {
	kind, id string
	props    map[string]string
}

func parseSections(data []byte) []section {
	var out []section
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(out) > 0 {
				key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
				out[len(out)-1].props[key] = strings.TrimSpace(value)
			}
			continue
		}
		if kind, id, ok := strings.Cut(line, ":"); ok {
			out = append(out, section{kind: kind, id: strings.TrimSpace(id), props: map[string]string{}})
		}
	}
	return out
}

// storageConf is one storage as storage.cfg defines it.
type storageConf struct {
	section
	shared, disabled bool
	nodes            []string
}

func parseStorages(data []byte) []storageConf {
	var out []storageConf
	for _, s := range parseSections(data) {
		st := storageConf{section: s, shared: s.props["shared"] == "1" || alwaysShared(s.kind)}
		if v, ok := s.props["disable"]; ok && v != "0" {
			st.disabled = true
		}
		if v := s.props["nodes"]; v != "" {
			st.nodes = strings.Split(v, ",")
		}
		out = append(out, st)
	}
	return out
}

func findStorage(list []storageConf, name string) (storageConf, bool) {
	i := slices.IndexFunc(list, func(s storageConf) bool { return s.id == name })
	if i < 0 {
		return storageConf{}, false
	}
	return list[i], true
}

// on says whether the storage is configured for a node.
func (s storageConf) on(node string) bool {
	return !s.disabled && (len(s.nodes) == 0 || slices.Contains(s.nodes, node))
}

// path is where a file-based storage is mounted, for messages.
func (s storageConf) path() string { return s.props["path"] }

// pools reads the pools of user.cfg: pool → guests.
func pools(userCfg []byte) map[string][]int {
	out := map[string][]int{}
	for line := range strings.Lines(string(userCfg)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || f[0] != "pool" {
			continue
		}
		out[f[1]] = []int{}
		for _, id := range strings.Split(f[3], ",") {
			if vmid, err := strconv.Atoi(id); err == nil {
				out[f[1]] = append(out[f[1]], vmid)
			}
		}
	}
	return out
}

// haManaged says whether Proxmox's own HA manages a guest, and the state asked of it.
func haManaged(resources []byte, kind string, vmid int) (state string, managed bool) {
	want := "vm"
	if kind == "lxc" {
		want = "ct"
	}
	for _, s := range parseSections(resources) {
		if s.kind == want && s.id == strconv.Itoa(vmid) {
			state = s.props["state"]
			if state == "" {
				state = "started"
			}
			return state, state != "ignored"
		}
	}
	return "", false
}
