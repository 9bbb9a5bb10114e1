package config

import (
	"path/filepath"
	"strings"

	"bascule/ha"
)

// derive fills in the defaults that come from other settings. It relies on nothing being valid.
func (c *Config) derive(s *source, env surroundings) {
	if c.Node == "" && !s.has("node") {
		c.Node = ha.NodeName(env.hostname)
	}
	for _, m := range c.MemberSettings {
		c.Members = append(c.Members, ha.Member{Name: m.Name, Address: m.Address, Witness: m.Witness})
	}
	self := c.Self()
	if c.Role == "" {
		c.Role = RoleNode
		if self.Witness {
			c.Role = RoleWitness
		}
	}
	for _, d := range []struct {
		value *string
		def   string
	}{
		{&c.BindAddress, self.Address},
		{&c.API.Socket, filepath.Join(c.RunDir, "api.sock")},
		{&c.Guard.Socket, filepath.Join(c.RunDir, "guard.sock")},
		{&c.Proxmox.ServerName, string(c.Node)},
		{&c.Proxmox.TokenID, "bascule@pve!" + string(c.Node)},
	} {
		if *d.value == "" {
			*d.value = d.def
		}
	}
	if !c.External() {
		c.voters, c.spares = chooseVoters(s, c.MemberSettings)
	}
	if !s.has("etcd.initial_voters") {
		c.Etcd.InitialVoters = nil
		for _, v := range c.voters {
			c.Etcd.InitialVoters = append(c.Etcd.InitialVoters, v.Name)
		}
	}
	c.deriveTiming(s)
}

// deriveTiming applies what the file changes to its profile.
func (c *Config) deriveTiming(s *source) {
	t, err := ha.Profile(c.TimingSettings.Profile)
	if err != nil {
		s.failCause(err, "timing.profile", "%v", err)
		return
	}
	if !s.has("timing.watchdog_timeout") && s.has("guard.watchdog.timeout") {
		c.TimingSettings.WatchdogTimeout = c.Guard.Watchdog.Timeout
		s.lines["timing.watchdog_timeout"] = s.lines["guard.watchdog.timeout"]
	}
	set := &c.TimingSettings
	for _, w := range c.waits(&t) {
		if s.has("timing."+w.key) && !s.broken("timing."+w.key) {
			*w.timing = *w.setting
		} else {
			*w.setting = *w.timing
		}
	}
	if !s.has("guard.watchdog.timeout") {
		c.Guard.Watchdog.Timeout = set.WatchdogTimeout
	}
	c.timing = t
}

// chooseVoters picks the members that keep the store: whoever says voter: true, every witness, then members in order
// until there are 3, or 5 from five members on. Nobody who says voter: false. Whoever else might vote is a spare.
func chooseVoters(s *source, members []MemberSettings) (voters, spares []ha.Member) {
	want := 3
	if len(members) >= 5 {
		want = 5
	}
	chosen := make([]bool, len(members))
	count := 0
	take := func(i int) {
		if !chosen[i] {
			chosen[i] = true
			count++
		}
	}
	for i, m := range members {
		if m.Voter || m.Witness {
			take(i)
		}
	}
	for i := range members {
		if count < want && !s.has(memberPath(i, "voter")) {
			take(i)
		}
	}
	for i, m := range members {
		switch one := (ha.Member{Name: m.Name, Address: m.Address, Witness: m.Witness}); {
		case chosen[i]:
			voters = append(voters, one)
		case !s.has(memberPath(i, "voter")):
			spares = append(spares, one)
		}
	}
	return voters, spares
}

// belowRoot says whether a file lies in Proxmox's configuration tree, which may be mounted later than the daemon starts.
func (c *Config) belowRoot(file string) bool {
	rel, err := filepath.Rel(c.Proxmox.Root, file)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
