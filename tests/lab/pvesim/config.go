package pvesim

import (
	"crypto/sha1"
	"encoding/hex"
	"maps"
	"net/url"
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
	raw         [][2]string // lxc.* lines, in order
	digest      string
}

func parseConfig(kind string, data []byte) *guestConfig {
	sum := sha1.Sum(data)
	c := &guestConfig{kind: kind, values: map[string]string{}, pending: map[string]string{}, digest: hex.EncodeToString(sum[:])}
	into, main := c.values, true
	var descr strings.Builder
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "["):
			main = false
			into = map[string]string{} // a snapshot: not ours to show
			if strings.EqualFold(line, "[PENDING]") {
				into = c.pending
			}
			continue
		case strings.HasPrefix(line, "#"):
			if main {
				text, err := url.PathUnescape(line[1:])
				if err != nil {
					text = line[1:]
				}
				descr.WriteString(text + "\n")
			}
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || key == "" {
			continue
		}
		value = strings.TrimSpace(value)
		if kind == "lxc" && strings.HasPrefix(key, "lxc.") {
			if main {
				c.raw = append(c.raw, [2]string{key, value})
			}
			continue
		}
		into[key] = value
	}
	c.description = descr.String()
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
				for _, gone := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
					delete(values, gone)
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

// editConfig sets (or with value "" removes) keys of the main section and writes that section as Proxmox does:
// comments first, then the keys sorted. Other sections stay as they are.
func editConfig(data []byte, edits map[string]string) []byte {
	head, rest := string(data), ""
	if i := strings.Index("\n"+head, "\n["); i >= 0 {
		head, rest = head[:i], head[i:]
	}
	var comments, raw []string
	values := map[string]string{}
	for line := range strings.Lines(head) {
		line = strings.TrimRight(line, "\n")
		key, value, ok := strings.Cut(line, ":")
		switch {
		case strings.HasPrefix(line, "#"):
			comments = append(comments, line)
		case strings.HasPrefix(line, "lxc."):
			raw = append(raw, line)
		case ok:
			values[key] = strings.TrimSpace(value)
		}
	}
	for key, value := range edits {
		switch {
		case key == "description":
			comments = describe(value)
		case value == "":
			delete(values, key)
		default:
			values[key] = value
		}
	}
	var b strings.Builder
	for _, line := range comments {
		b.WriteString(line + "\n")
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		b.WriteString(key + ": " + values[key] + "\n")
	}
	for _, line := range raw {
		b.WriteString(line + "\n")
	}
	if rest != "" {
		b.WriteString("\n")
	}
	return []byte(b.String() + rest)
}

// describe writes a description as comment lines; bytes outside of plain text are percent-coded.
func describe(text string) []string {
	if text == "" {
		return nil
	}
	var out []string
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		var b strings.Builder
		b.WriteString("#")
		for _, ch := range []byte(line) {
			if ch < 0x20 || ch == '%' || ch == ':' || ch > 0x7e {
				b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{ch})))
			} else {
				b.WriteByte(ch)
			}
		}
		out = append(out, b.String())
	}
	return out
}
