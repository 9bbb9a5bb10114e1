package pve

import (
	"strconv"
	"strings"

	"bascule/ha"
)

// Kind is what the configuration was read as.
func (c *GuestConfig) Kind() ha.GuestKind { return c.kind }

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
	bytes := int64(512 << 20)
	for _, value := range c.All("memory") {
		for _, part := range strings.Split(value, ",") {
			part = strings.TrimPrefix(strings.TrimSpace(part), "current=")
			if mib, err := strconv.ParseInt(part, 10, 44); err == nil && mib > 0 {
				bytes = mib << 20
			}
		}
	}
	return bytes
}

// Tags returns the guest's tags; PVE separates them with ";", "," or white space.
func (c *GuestConfig) Tags() []string {
	value, _ := c.Get("tags")
	return List(value)
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

// truth reads a boolean. PVE ignores a line whose value is none, so that an earlier one counts.
func (c *GuestConfig) truth(key string) bool {
	on := false
	for _, value := range c.All(key) {
		if v, understood := boolean(value); understood {
			on = v
		}
	}
	return on
}
