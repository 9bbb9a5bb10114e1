package pve

import (
	"regexp"
	"strings"
)

// section is a part of Proxmox's section files (storage.cfg, ha/resources.cfg): a header "type: id" in the first column, then indented lines
// "key value" up to a blank line or the next header.
type section struct {
	kind, id string            // kind in small letters
	options  map[string]string // of a key that is repeated the first counts; empty values are there too
}

var (
	sectionHeader = regexp.MustCompile(`^([^\s:]+):\s*(\S+)\s*$`)
	sectionOption = regexp.MustCompile(`^\s+(\S+)(?:\s+(.*\S))?\s*$`)
)

// parseSections reads such a file, in its order. It never fails: like Proxmox it skips lines that it does not understand.
func parseSections(text string) (out []section) {
	open := false
	for line := range strings.Lines(text) {
		first := strings.TrimSpace(line)
		switch {
		case first == "":
			open = false
		case first[0] == '#':
		case line[0] != ' ' && line[0] != '\t':
			m := sectionHeader.FindStringSubmatch(line)
			if open = m != nil; open {
				out = append(out, section{kind: strings.ToLower(m[1]), id: m[2], options: map[string]string{}})
			}
		case open:
			if m := sectionOption.FindStringSubmatch(line); m != nil {
				if _, told := out[len(out)-1].options[m[1]]; !told {
					out[len(out)-1].options[m[1]] = m[2]
				}
			}
		}
	}
	return out
}

// truth reads a boolean; a key without a value is a switch that is on.
func (s section) truth(key string) bool {
	value, told := s.options[key]
	return told && (value == "" || isOn(value))
}
