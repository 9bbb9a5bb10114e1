package config

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// Self returns this machine's entry of the member list; the zero value where it has none, which no valid Config has.
func (c *Config) Self() ha.Member {
	m, _ := c.Member(c.Node)
	return m
}

// Member returns the entry of a node.
func (c *Config) Member(name ha.NodeName) (ha.Member, bool) {
	i := slices.IndexFunc(c.Members, func(m ha.Member) bool { return m.Name == name })
	if i < 0 {
		return ha.Member{}, false
	}
	return c.Members[i], true
}

// External says whether the store is an etcd that others run.
func (c *Config) External() bool { return len(c.Etcd.Endpoints) > 0 }

// Voters returns the members that keep the store, in file order; none when it is external.
func (c *Config) Voters() []ha.Member { return slices.Clone(c.voters) }

// Spares returns the members that do not keep the store and may come to, in the place of a voter that is gone: in file order, none when
// the store is external.
func (c *Config) Spares() []ha.Member { return slices.Clone(c.spares) }

// Device is one fencing device. Each method checks its own settings and reports with Problem.
type Device struct {
	Name     string
	Node     ha.NodeName // the member that it switches
	Method   string
	Settings map[string]string

	path string
	src  *source
}

// Devices returns the fencing devices in file order.
func (c *Config) Devices() []Device {
	out := make([]Device, len(c.Fencing.Devices))
	for i, d := range c.Fencing.Devices {
		out[i] = Device{Name: d.Name, Node: d.Node, Method: d.Method, Settings: d.Settings, path: devicePath(i, ""), src: c.src}
	}
	return out
}

// Device returns the fencing device of that name.
func (c *Config) Device(name string) (Device, bool) {
	all := c.Devices()
	i := slices.IndexFunc(all, func(d Device) bool { return d.Name == name })
	if i < 0 {
		return Device{}, false
	}
	return all[i], true
}

// Line returns where a setting of the device stands; for a setting that it has not, where the device itself stands. The key may
// also be "method" or "node".
func (d Device) Line(key string) int { return d.src.line(d.at(key)) }

func (d Device) at(key string) string {
	if key == "" {
		return d.path
	}
	if p := join(d.path, key); (key == "method" || key == "node") && d.src.has(p) {
		return p
	}
	return join(join(d.path, "settings"), key)
}

// Problem is what the device's method has against a setting, for the same list that other problems come in. The cause is
// wrapped and its text repeated: it must not hold a secret. It says what to write instead.
func (d Device) Problem(key string, cause error) Problem {
	p := d.src.at(d.at(key), "%v", cause)
	p.cause = cause
	return p
}

// Errors makes one error of problems that were found outside of this package; nil for none.
func Errors(problems []Problem) error { return asError(problems) }

// Levels returns a node's fencing levels in order: as written, else all its devices together and then Manual.
func (c *Config) Levels(node ha.NodeName) [][]string {
	if written, ok := c.Fencing.Levels[node]; ok {
		out := make([][]string, len(written))
		for i, level := range written {
			out[i] = slices.Clone(level)
		}
		return out
	}
	var own []string
	for _, d := range c.Fencing.Devices {
		if d.Node == node {
			own = append(own, d.Name)
		}
	}
	if len(own) == 0 {
		return [][]string{{Manual}}
	}
	return [][]string{own, {Manual}}
}

// After returns what becomes of a node's machine when its end is proven: AfterStayOff or AfterOn.
func (c *Config) After(node ha.NodeName) string {
	if own, ok := c.Fencing.NodeAfter[node]; ok {
		return own
	}
	return c.Fencing.After
}

// Warnings returns what is allowed and yet worth a line in the log, each with file, line and what to do.
func (c *Config) Warnings() []Problem { return slices.Clone(c.warnings) }

func memberPath(i int, key string) string { return join(fmt.Sprintf("members[%d]", i), key) }

func devicePath(i int, key string) string {
	p := fmt.Sprintf("fencing.devices[%d]", i)
	if key == "" {
		return p
	}
	return join(p, key)
}
