package proxmox

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"bascule/ha"
)

// GuestConfig is a guest's config file: description comments, the main section, then [snapshots], [PENDING] and
// special sections. Only the main section says what the guest is now; only it is read and edited. The bytes are kept
// as they are.
type GuestConfig struct {
	kind  ha.GuestKind
	data  []byte
	lines []configLine // of the main section
	end   int          // where the main section ends: offset of the first section header, else len(data)
}

// configLine is a line of the main section. Key is empty for comments, blank lines and what PVE would not parse.
type configLine struct {
	start, end int // offsets; end is behind the newline
	key, value string
}

var (
	sectionLine = regexp.MustCompile(`^\[[^\]]+\]\s*$`)
	// PVE reads no value that is empty, and keys only from the first column on. LXC's raw keys may use "=".
	keyLine = regexp.MustCompile(`^([a-z][a-z0-9_-]*):\s*(.*\S)\s*$`)
	rawLine = regexp.MustCompile(`^(lxc\.[a-z0-9_.-]+)\s*[:=]\s*(.*?)\s*$`)
)

// ParseGuestConfig reads a config. It never fails: like PVE it skips lines that it does not understand.
func ParseGuestConfig(kind ha.GuestKind, data []byte) *GuestConfig {
	c := &GuestConfig{kind: kind, data: data, end: len(data)}
	for at := 0; at < len(data); {
		end := len(data)
		if n := bytes.IndexByte(data[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		text := strings.TrimSuffix(string(data[at:end]), "\n")
		if sectionLine.MatchString(text) {
			c.end = at
			break
		}
		line := configLine{start: at, end: end}
		if m := keyLine.FindStringSubmatch(text); m != nil {
			line.key, line.value = m[1], m[2]
		} else if m := rawLine.FindStringSubmatch(text); m != nil && kind == ha.LXC {
			line.key, line.value = m[1], m[2]
		}
		c.lines = append(c.lines, line)
		at = end
	}
	return c
}

// Get returns a key's value in the main section; of several the last, as PVE does.
func (c *GuestConfig) Get(key string) (string, bool) {
	value, found := "", false
	for _, l := range c.lines {
		if l.key == key {
			value, found = l.value, true
		}
	}
	return value, found
}

// Set returns the config with a key of the main section set, every other byte kept. An existing line keeps its place;
// a new one goes behind the main section's last line that is not blank.
func (c *GuestConfig) Set(key, value string) []byte {
	entry := key + ": " + value
	for i := len(c.lines) - 1; i >= 0; i-- {
		if l := c.lines[i]; l.key == key {
			ending := c.data[l.start:l.end]
			ending = ending[len(bytes.TrimRight(ending, "\r\n")):]
			return c.splice(l.start, l.end, entry+string(ending))
		}
	}
	at := 0
	for _, l := range c.lines {
		if len(bytes.TrimSpace(c.data[l.start:l.end])) > 0 {
			at = l.end
		}
	}
	if at > 0 && c.data[at-1] != '\n' {
		entry = "\n" + entry
	} else {
		entry += "\n"
	}
	return c.splice(at, at, entry)
}

// Remove returns the config without a key of the main section, every other byte kept.
func (c *GuestConfig) Remove(key string) []byte {
	out := make([]byte, 0, len(c.data))
	kept := 0
	for _, l := range c.lines {
		if l.key == key {
			out = append(out, c.data[kept:l.start]...)
			kept = l.end
		}
	}
	return append(out, c.data[kept:]...)
}

func (c *GuestConfig) splice(from, to int, text string) []byte {
	out := make([]byte, 0, len(c.data)+len(text))
	out = append(out, c.data[:from]...)
	out = append(out, text...)
	return append(out, c.data[to:]...)
}

// Name is the guest's own name; may be empty.
func (c *GuestConfig) Name() string {
	key := "name"
	if c.kind == ha.LXC {
		key = "hostname"
	}
	name, _ := c.Get(key)
	return name
}

// Memory is the configured RAM in bytes; PVE's default of 512 MiB where none is given. A VM's may read
// "current=2048" (in MiB, as everywhere in configs).
func (c *GuestConfig) Memory() int64 {
	value, _ := c.Get("memory")
	for _, part := range strings.Split(value, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "current=")
		if mib, err := strconv.ParseInt(part, 10, 44); err == nil && mib > 0 {
			return mib << 20
		}
	}
	return 512 << 20
}

// Tags returns the guest's tags; PVE separates them with ";", "," or white space.
func (c *GuestConfig) Tags() []string {
	value, _ := c.Get("tags")
	return splitList(value)
}

// Onboot says whether the node would start the guest at boot.
func (c *GuestConfig) Onboot() bool { return c.truth("onboot") }

// Template says whether the guest is a template, which cannot run.
func (c *GuestConfig) Template() bool { return c.truth("template") }

// Lock is PVE's lock on the guest ("backup", "migrate" …); empty: none.
func (c *GuestConfig) Lock() string {
	lock, _ := c.Get("lock")
	return lock
}

func (c *GuestConfig) truth(key string) bool {
	value, _ := c.Get(key)
	switch strings.ToLower(value) {
	case "1", "on", "yes", "true":
		return true
	}
	return false
}

// splitList splits PVE's lists.
func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(";, \t\r\n\x00", r) })
}
