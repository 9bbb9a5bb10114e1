package pve

import (
	"regexp"
	"slices"
	"strings"

	"bascule/ha"
)

// GuestConfig is a guest's config file: description comments, the main section, then snapshots, what is pending and special sections.
// Only the main section says what the guest is now; only it is read and edited. Every byte is kept: Render gives back what was parsed.
type GuestConfig struct {
	kind  ha.GuestKind
	parts []part // never empty: the first is the main one
}

// part is a section of the file. All but the main one begin with their header.
type part struct {
	name  string // "" of the main one, "PENDING", "special:cloudinit", or a snapshot's
	lines []configLine
}

// configLine is a line with its ending. Key is empty for headers, comments, blank lines and what PVE would not parse.
type configLine struct {
	text       string
	key, value string
}

// As PVE parses them (parse_vm_config, parse_pct_config): snapshots have names of two letters and more, and keys begin in the first column.
// Any "[word:name]" counts as a header, so that a newer PVE's special section is none of the main one. \v is white space to Perl.
var (
	headerLine = regexp.MustCompile(`^\[((?:[A-Za-z]+:)?[A-Za-z][A-Za-z0-9_-]+)\][\s\v]*$`)
	vmLine     = regexp.MustCompile(`^([a-z][a-z_-]*[0-9]*):[\s\v]*(.*[^\s\v])[\s\v]*$`)
	ctLine     = regexp.MustCompile(`^([a-z][a-z_]*[0-9]*):[\s\v]*(.*[^\s\v])[\s\v]*$`)
	rawLine    = regexp.MustCompile(`^(lxc\.[a-z0-9_.-]+)(?::|[\s\v]*=)[\s\v]*(.*?)[\s\v]*$`) // LXC's own keys, which PVE hands on
)

// ParseGuestConfig reads a config. It never fails: like PVE it skips lines that it does not understand.
func ParseGuestConfig(kind ha.GuestKind, data []byte) *GuestConfig {
	c := &GuestConfig{kind: kind, parts: []part{{}}}
	for text := range strings.Lines(string(data)) {
		body := strings.TrimSuffix(text, "\n")
		if m := headerLine.FindStringSubmatch(body); m != nil {
			c.parts = append(c.parts, part{name: m[1]})
		}
		last := &c.parts[len(c.parts)-1]
		key, value := parseLine(kind, body)
		last.lines = append(last.lines, configLine{text: text, key: key, value: value})
	}
	return c
}

// parseLine reads "key: value"; empty where PVE would find none.
func parseLine(kind ha.GuestKind, body string) (key, value string) {
	line := vmLine
	if kind == ha.LXC {
		line = ctLine
		if m := rawLine.FindStringSubmatch(body); m != nil {
			return m[1], m[2]
		}
	}
	if m := line.FindStringSubmatch(body); m != nil {
		return m[1], m[2]
	}
	return "", ""
}

// Render gives the file's bytes; never nil.
func (c *GuestConfig) Render() []byte {
	out := []byte{}
	for _, s := range c.parts {
		for _, l := range s.lines {
			out = append(out, l.text...)
		}
	}
	return out
}

// main are the lines that say what the guest is now.
func (c *GuestConfig) main() []configLine { return c.parts[0].lines }

// withMain renders the file with another main section.
func (c *GuestConfig) withMain(lines []configLine) []byte {
	changed := GuestConfig{kind: c.kind, parts: slices.Clone(c.parts)}
	changed.parts[0].lines = lines
	return changed.Render()
}

// All returns the values of a key in the main section, in order; PVE takes the last that it understands.
func (c *GuestConfig) All(key string) []string {
	var values []string
	for _, l := range c.main() {
		if l.key == key {
			values = append(values, l.value)
		}
	}
	return values
}

// Get returns a key's value in the main section; of several the last, as PVE does.
func (c *GuestConfig) Get(key string) (string, bool) {
	all := c.All(key)
	if len(all) == 0 {
		return "", false
	}
	return all[len(all)-1], true
}

// Set returns the file with a key of the main section set, every other byte kept. An existing line keeps its place and
// ending; a new one goes behind the main section's last line that is not blank.
func (c *GuestConfig) Set(key, value string) []byte {
	lines, entry := slices.Clone(c.main()), key+": "+value
	for i := len(lines) - 1; i >= 0; i-- {
		if lines[i].key == key {
			lines[i].text = entry + ending(lines[i].text)
			return c.withMain(lines)
		}
	}
	at := 0
	for i, l := range lines {
		if strings.Trim(l.text, " \t\n\v\f\r") != "" {
			at = i + 1
		}
	}
	if at > 0 && !strings.HasSuffix(lines[at-1].text, "\n") {
		entry = "\n" + entry // the file ends without a newline, and goes on doing so
	} else {
		entry += "\n"
	}
	return c.withMain(slices.Insert(lines, at, configLine{text: entry}))
}

// ending is what stands behind a line's text: white space that PVE ignores, as in files with CR LF, and the newline.
func ending(text string) string { return text[len(strings.TrimRight(text, "\r\n")):] }

// Remove returns the file without a key of the main section, every other byte kept.
func (c *GuestConfig) Remove(key string) []byte {
	return c.withMain(slices.DeleteFunc(slices.Clone(c.main()), func(l configLine) bool { return l.key == key }))
}
