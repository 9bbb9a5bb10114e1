package discover

import (
	"strings"
)

// Ceph is what ceph.conf says.
type Ceph struct {
	Present  bool
	FSID     string
	Monitors []string // addresses of mon_host, without protocols and ports
	Public   string   // public_network
	Cluster  string   // cluster_network
	Local    bool     // the file is Proxmox's own (/etc/pve/ceph.conf): the nodes run Ceph themselves
}

// ParseCeph reads a ceph.conf. It never fails: what it does not understand is left out.
func ParseCeph(data []byte) Ceph {
	c := Ceph{Present: true}
	section := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section != "global" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ReplaceAll(strings.TrimSpace(key), " ", "_") { // Ceph takes both
		case "fsid":
			c.FSID = value
		case "mon_host":
			c.Monitors = monitors(value)
		case "public_network":
			c.Public = value
		case "cluster_network":
			c.Cluster = value
		}
	}
	return c
}

// monitors reads "10.0.0.1 10.0.0.2" and "[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0] …".
func monitors(s string) (out []string) {
	for _, entry := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,;\t", r) }) {
		entry = strings.Trim(entry, "[]")
		entry = strings.TrimPrefix(strings.TrimPrefix(entry, "v2:"), "v1:")
		entry, _, _ = strings.Cut(entry, "/")
		if host, _, ok := strings.Cut(entry, ":"); ok && strings.Count(entry, ":") == 1 {
			entry = host
		}
		if len(out) == 0 || out[len(out)-1] != entry {
			out = append(out, entry)
		}
	}
	return out
}
