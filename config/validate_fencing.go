package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"bascule/ha"
)

var (
	deviceName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$`)
	methodName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
)

func (c *Config) validateFencing(s *source) {
	seen := map[string]int{}
	for i, d := range c.Fencing.Devices {
		at := func(key string) string { return devicePath(i, key) }
		switch line, dup := seen[d.Name]; {
		case d.Name == "":
		case d.Name == Manual:
			s.fail(at("name"), "is manual, which is built in and needs no entry; remove the device, or give it another name")
		case !deviceName.MatchString(d.Name):
			s.fail(at("name"), "is %q; write letters, digits, - and _, for example node1-bmc", cut(d.Name))
		case dup:
			s.fail(at("name"), "is %s, as the device in line %d; give each device its own name", d.Name, line)
		default:
			seen[d.Name] = s.line(at("name"))
		}
		if d.Method != "" && !methodName.MatchString(d.Method) {
			s.fail(at("method"), "is %q; write a method's name, for example redfish", cut(d.Method))
		}
		c.validateFenced(s, at("node"), d.Node)
	}
	for _, node := range slices.Sorted(maps.Keys(c.Fencing.NodeAfter)) {
		c.validateFenced(s, join("fencing.node_after", string(node)), node)
	}
	for _, node := range c.leveledNodes() {
		c.validateFenced(s, join("fencing.levels", string(node)), node)
		c.validateLevels(s, node)
	}
	c.warnUnfenced(s)
	c.warnUnreachable(s)
}

// leveledNodes lists the nodes that have levels of their own, in one order.
func (c *Config) leveledNodes() []ha.NodeName {
	var out []ha.NodeName
	for node := range c.Fencing.Levels {
		out = append(out, node)
	}
	slices.Sort(out)
	return out
}

// validateFenced wants a member that can be fenced.
func (c *Config) validateFenced(s *source, path string, node ha.NodeName) {
	if s.broken("members") || node == "" {
		return
	}
	m, ok := c.Member(node)
	if ok {
		if m.Witness {
			s.fail(path, "is witness %s, which runs no guests and is never fenced; remove it", node)
		}
		return
	}
	var names []string
	for _, m := range c.Members {
		if !m.Witness {
			names = append(names, string(m.Name))
		}
	}
	if near := nearest(string(node), names); near != "" {
		s.fail(path, "names %q, which is not among the members; write %s", cut(string(node)), near)
		return
	}
	s.fail(path, "names %q, which is not among the members; write one of %s", cut(string(node)), strings.Join(names, ", "))
}

func (c *Config) validateLevels(s *source, node ha.NodeName) {
	base := join("fencing.levels", string(node))
	levels := c.Fencing.Levels[node]
	if len(levels) == 0 && !s.broken(base) {
		s.fail(base, "has no level, so %s could never be proven off; write [[%s]], or remove the line for the default", node, Manual)
	}
	for i, level := range levels {
		at := itemPath(base, i)
		if len(level) == 0 && !s.broken(at) {
			s.fail(at, "is an empty level; name a device, or remove it")
		}
		for j, name := range level {
			c.validateLevelDevice(s, itemPath(at, j), node, name)
			if slices.Index(level, name) < j {
				s.fail(itemPath(at, j), "names %s twice in one level; remove one", name)
			}
		}
	}
}

func (c *Config) validateLevelDevice(s *source, path string, node ha.NodeName, name string) {
	if name == Manual || name == "" || s.broken("fencing.devices") {
		return
	}
	d, ok := c.Device(name)
	if ok {
		if d.Node != node {
			s.fail(path, "is %s, which switches %s, not %s; name a device of %s", name, d.Node, node, node)
		}
		return
	}
	hint := "add it under fencing.devices, or write " + Manual
	names := []string{Manual}
	for _, d := range c.Fencing.Devices {
		names = append(names, d.Name)
	}
	if near := nearest(name, names); near != "" {
		hint = "write " + near
	}
	s.fail(path, "is %q, which no device is named; %s", cut(name), hint)
}

// warnUnreachable says when the death of a single voter already leaves fewer healthy ones than min_healthy wants.
func (c *Config) warnUnreachable(s *source) {
	if n := len(c.voters); n > 1 && s.has("fencing.min_healthy") && !s.broken("fencing") && !s.broken("members") && (n-1)*100 < c.Fencing.MinHealthy*n {
		c.warn(s, "fencing.min_healthy", "is %d: with %d voters nothing is ever switched off by the leader itself once one of them is dead; its guests wait for its self-fencing or an operator; write at most %d", c.Fencing.MinHealthy, n, (n-1)*100/n)
	}
}

// warnUnfenced names nodes whose death no device can prove, and devices that no level uses.
func (c *Config) warnUnfenced(s *source) {
	if s.broken("fencing") || s.broken("members") {
		return
	}
	for i, m := range c.Members {
		if m.Witness {
			continue
		}
		if !slices.ContainsFunc(c.Levels(m.Name), func(l []string) bool { return !slices.Contains(l, Manual) }) {
			c.warn(s, itemPath("members", i), "%s has no fencing device: after its death its guests wait for its self-fencing or for hactl confirm-off; add a device under fencing.devices", m.Name)
		}
	}
	for i, d := range c.Fencing.Devices {
		if !slices.ContainsFunc(c.Levels(d.Node), func(l []string) bool { return slices.Contains(l, d.Name) }) {
			c.warn(s, devicePath(i, ""), "%s stands in no level of %s and is never used; add it to fencing.levels or remove it", d.Name, d.Node)
		}
	}
}
