package peer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Rule is an affinity rule, or a group in its place.
type Rule struct {
	Name     string
	Kind     string         // node, together, apart
	Nodes    map[string]int // node rules: node to priority
	Guests   []string
	Strict   bool // a node rule's guests run nowhere else; otherwise the nodes are preferred
	Failback bool // guests return to a better node when it is there again
}

// section is one entry of a Proxmox section config.
type section struct {
	kind, name string
	keys       map[string]string
}

// parseSections reads "kind: name" and its indented "key value" lines.
func parseSections(text string) []section {
	var out []section
	for _, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		if line[0] != ' ' && line[0] != '\t' {
			kind, name, _ := strings.Cut(trimmed, ":")
			out = append(out, section{kind: kind, name: strings.TrimSpace(name), keys: map[string]string{}})
			continue
		}
		if len(out) > 0 {
			key, value := trimmed, ""
			if i := strings.IndexAny(trimmed, " \t"); i > 0 {
				key, value = trimmed[:i], strings.TrimSpace(trimmed[i:])
			}
			out[len(out)-1].keys[key] = value
		}
	}
	return out
}

// on says whether a flag of a section is set; a flag may stand without a value.
func (s section) on(key string) bool {
	v, ok := s.keys[key]
	return ok && v != "0"
}

// rulesOf are the rules of a rules_config that are not disabled.
func rulesOf(sections []section) ([]Rule, error) {
	var out []Rule
	for _, s := range sections {
		if s.on("disable") {
			continue
		}
		r := Rule{Name: s.name, Guests: list(s.keys["resources"]), Strict: s.on("strict"), Failback: true}
		switch {
		case s.kind == "node-affinity":
			r.Kind, r.Nodes = "node", priorities(s.keys["nodes"])
		case s.kind == "resource-affinity" && s.keys["affinity"] == "positive":
			r.Kind, r.Strict = "together", true
		case s.kind == "resource-affinity" && s.keys["affinity"] == "negative":
			r.Kind, r.Strict = "apart", true
		default:
			return nil, fmt.Errorf("rule %s: %s %s is not known", s.name, s.kind, s.keys["affinity"])
		}
		out = append(out, r)
	}
	return out, nil
}

// groupRules are node rules made from the groups that guests are in.
func groupRules(sections []section, members map[string][]string) []Rule {
	var out []Rule
	for _, s := range sections {
		if ids := members[s.name]; s.kind == "group" && len(ids) > 0 {
			slices.Sort(ids)
			out = append(out, Rule{Name: s.name, Kind: "node", Nodes: priorities(s.keys["nodes"]), Guests: ids, Strict: s.on("restricted"), Failback: !s.on("nofailback")})
		}
	}
	return out
}

// list splits "a,b c" at commas and blanks.
func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// priorities reads "node1:2,node3"; without a number it is 0.
func priorities(s string) map[string]int {
	out := map[string]int{}
	for _, n := range list(s) {
		name, p, _ := strings.Cut(n, ":")
		out[name], _ = strconv.Atoi(p)
	}
	return out
}
