package pvesim

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// editConfig sets (or with value "" removes) keys of the main section and writes that section as Proxmox does:
// comments first, then the keys sorted. Other sections stay as they are.
func editConfig(data []byte, edits map[string]string) []byte {
	head, rest := splitSections(data)
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

// splitSections cuts a config into its main section and the rest, which begins with the line break before the first
// section's head.
func splitSections(data []byte) (head, rest string) {
	head = string(data)
	if i := strings.Index("\n"+head, "\n["); i >= 0 {
		head, rest = head[:i], head[i:]
	}
	return head, rest
}

// cutPending takes the pending section out of the sections of a config. It is the first one if there is one.
func cutPending(rest string) (pending, others string) {
	head, body, _ := strings.Cut(rest, "\n")
	if !strings.EqualFold(strings.TrimSpace(head), "[pending]") {
		return "", rest
	}
	if i := strings.Index("\n"+body, "\n["); i >= 0 {
		return body[:i], body[i:]
	}
	return body, ""
}

// applied at once to a running VM; every other key becomes pending until it has been stopped.
var fastKeys = strings.Fields("description hookscript lock migrate_downtime migrate_speed name onboot protection shares startup tags vmstatestorage")

// changeConfig carries out a change of a guest's config as the API does. edits has "" for keys that are to go.
func changeConfig(kind string, data []byte, running bool, edits map[string]string) []byte {
	now, later := map[string]string{}, map[string]string{}
	for key, value := range edits {
		if kind == "qemu" && running && !slices.Contains(fastKeys, key) {
			later[key] = value
		} else {
			now[key] = value
		}
	}
	return addPending(editConfig(data, now), later)
}

// addPending writes changes into the pending section.
func addPending(data []byte, later map[string]string) []byte {
	if len(later) == 0 {
		return data
	}
	head, rest := splitSections(data)
	old, others := cutPending(rest)
	values := parseConfig("qemu", []byte(old)).values
	gone := splitList(values["delete"])
	for key, value := range later {
		delete(values, key)
		gone = slices.DeleteFunc(gone, func(k string) bool { return k == key })
		if value == "" {
			gone = append(gone, key)
		} else {
			values[key] = value
		}
	}
	delete(values, "delete")
	if len(gone) > 0 {
		slices.Sort(gone)
		values["delete"] = strings.Join(gone, ",")
	}
	section := "[PENDING]\n" + string(editConfig(nil, values))
	if others != "" {
		section += "\n"
	}
	return []byte(strings.TrimRight(head, "\n") + "\n\n" + section + others)
}

// applyPending makes pending changes real, which a start does before anything else: it rewrites the config.
func applyPending(data []byte) []byte {
	head, rest := splitSections(data)
	old, others := cutPending(rest)
	if old == "" {
		return data
	}
	edits := parseConfig("qemu", []byte(old)).values
	for _, key := range splitList(edits["delete"]) {
		edits[strings.TrimPrefix(key, "!")] = ""
	}
	delete(edits, "delete")
	return editConfig([]byte(strings.TrimRight(head, "\n")+"\n"+others), maps.Clone(edits))
}
