package pvesim

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// guestConfig is a parsed guest configuration file.
type guestConfig struct {
	kind        string
	description string
	values      map[string]string // the main section
	pending     map[string]string
	snapshots   []snapshot
	raw         [][2]string // lxc.* lines, in order
	digest      string
}

// snapshot is one snapshot's section. Its name is case-sensitive.
type snapshot struct {
	name, description string
	values            map[string]string
}

// sectionHead is a section's first line. "[PENDING]" and "[special:cloudinit]" are no snapshots.
var sectionHead = regexp.MustCompile(`^\[([a-zA-Z0-9_:-]+)\]\s*$`)

func parseConfig(kind string, data []byte) *guestConfig {
	c := &guestConfig{kind: kind, values: map[string]string{}, pending: map[string]string{}, digest: digest(data)}
	into, descr := c.values, &c.description
	special := map[string]string{}
	var ignored string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		if m := sectionHead.FindStringSubmatch(line); m != nil {
			switch {
			case strings.EqualFold(m[1], "pending"):
				into, descr = c.pending, &ignored
			case strings.HasPrefix(strings.ToLower(m[1]), "special:"):
				into, descr = special, &ignored
			default:
				c.snapshots = append(c.snapshots, snapshot{name: m[1], values: map[string]string{}})
				into, descr = c.snapshots[len(c.snapshots)-1].values, &c.snapshots[len(c.snapshots)-1].description
			}
			continue
		}
		if comment, ok := strings.CutPrefix(line, "#"); ok {
			text, err := url.PathUnescape(comment)
			if err != nil {
				text = comment
			}
			*descr += text + "\n"
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || key == "" {
			continue
		}
		value = strings.TrimSpace(value)
		if kind == "lxc" && strings.HasPrefix(key, "lxc.") {
			if descr == &c.description {
				c.raw = append(c.raw, [2]string{key, value})
			}
			continue
		}
		into[key] = value
	}
	if kind == "qemu" {
		c.description = strings.TrimRight(c.description, " \n\t")
	}
	return c
}

// Keys whose values the API returns as numbers; everything else is a string, memory of a VM included.
var numericKeys = map[string]bool{"cores": true, "sockets": true, "onboot": true, "kvm": true, "numa": true, "acpi": true,
	"balloon": true, "shares": true, "protection": true, "template": true, "tablet": true, "vcpus": true, "swap": true,
	"unprivileged": true, "cpuunits": true, "tty": true, "console": true, "freeze": true, "reboot": true, "autostart": true}

func (c *guestConfig) apiValue(key, value string) any {
	if numericKeys[key] || key == "memory" && c.kind == "lxc" {
		if v, err := strconv.ParseInt(value, 10, 64); err == nil {
			return v
		}
	}
	return value
}

// api is what GET …/config shows. current leaves the pending changes out.
func (c *guestConfig) api(current bool) object {
	values := maps.Clone(c.values)
	if !current {
		for k, v := range c.pending {
			if k == "delete" {
				for _, gone := range splitList(v) {
					delete(values, strings.TrimPrefix(gone, "!"))
				}
				continue
			}
			values[k] = v
		}
	}
	out := object{"digest": c.digest}
	for k, v := range values {
		if k != "parent" {
			out[k] = c.apiValue(k, v)
		}
	}
	if c.description != "" {
		out["description"] = c.description
	}
	if len(c.raw) > 0 {
		out["lxc"] = c.raw
	}
	return out
}

func (c *guestConfig) lock() string   { return c.values["lock"] }
func (c *guestConfig) template() bool { return c.values["template"] == "1" }
func (c *guestConfig) onboot() bool   { return c.values["onboot"] == "1" }

func (c *guestConfig) name() string {
	if c.kind == "lxc" {
		return c.values["hostname"]
	}
	return c.values["name"]
}

func (c *guestConfig) cores() int {
	cores := atoiDefault(c.values["cores"], 1)
	if c.kind == "qemu" {
		cores *= atoiDefault(c.values["sockets"], 1)
	}
	return cores
}

// memory in bytes. A VM may write "current=2048".
func (c *guestConfig) memory() int64 {
	v := strings.TrimPrefix(c.values["memory"], "current=")
	return int64(atoiDefault(v, 512)) << 20
}

func atoiDefault(s string, def int) int {
	if v, err := strconv.Atoi(s); err == nil {
		return v
	}
	return def
}

// volume is a disk that a config names on a storage.
type volume struct {
	key, storage, name string
	size               int64
	cdrom              bool
}

func (v volume) id() string { return v.storage + ":" + v.name }

var diskPrefixes = []string{"scsi", "virtio", "sata", "ide", "efidisk", "tpmstate", "rootfs", "mp"}

func diskKey(key string) bool {
	for _, p := range diskPrefixes {
		rest, ok := strings.CutPrefix(key, p)
		if ok && strings.Trim(rest, "0123456789") == "" && (rest != "" || p == "rootfs") {
			return true
		}
	}
	return false
}

// volumes lists the disks in the order of their keys.
func (c *guestConfig) volumes() []volume {
	var out []volume
	for _, key := range slices.Sorted(maps.Keys(c.values)) {
		if !diskKey(key) {
			continue
		}
		parts := strings.Split(c.values[key], ",")
		storage, name, ok := strings.Cut(parts[0], ":")
		if !ok || strings.HasPrefix(parts[0], "/") {
			continue
		}
		v := volume{key: key, storage: storage, name: name}
		for _, p := range parts[1:] {
			if s, ok := strings.CutPrefix(p, "size="); ok {
				v.size = parseSize(s)
			}
			v.cdrom = v.cdrom || p == "media=cdrom"
		}
		out = append(out, v)
	}
	return out
}

// bindMounts are container mount points of the host's own file system, which pin it to its node.
func (c *guestConfig) bindMounts() []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(c.values)) {
		if c.kind == "lxc" && strings.HasPrefix(key, "mp") && strings.HasPrefix(c.values[key], "/") {
			out = append(out, key)
		}
	}
	return out
}

// maxDisk is the size of the first disk, as the lists show it.
func (c *guestConfig) maxDisk() int64 {
	for _, v := range c.volumes() {
		if !v.cdrom && (c.kind == "qemu" || v.key == "rootfs") {
			return v.size
		}
	}
	return 0
}

func parseSize(s string) int64 {
	shift := 0
	switch {
	case strings.HasSuffix(s, "K"):
		shift = 10
	case strings.HasSuffix(s, "M"):
		shift = 20
	case strings.HasSuffix(s, "G"):
		shift = 30
	case strings.HasSuffix(s, "T"):
		shift = 40
	}
	n, err := strconv.ParseInt(strings.TrimRight(s, "KMGT"), 10, 64)
	if err != nil {
		return 0
	}
	return n << shift
}
