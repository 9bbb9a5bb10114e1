package config

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"bascule/ha"
)

// externalOnly are the settings that mean something with etcd.endpoints only.
var externalOnly = []string{"etcd.ca_file", "etcd.cert_file", "etcd.key_file", "etcd.user", "etcd.password_file"}

// validateEmbedded checks what concerns the embedded store alone.
func (c *Config) validateEmbedded(s *source) {
	for _, path := range externalOnly {
		if s.has(path) {
			s.fail(path, "belongs to an external etcd, but etcd.endpoints names none; write endpoints: too, or remove it (the embedded store uses tls:)")
		}
	}
	if s.broken("members") || !s.has("etcd.initial_voters") {
		return
	}
	if len(c.Etcd.InitialVoters) == 0 {
		s.fail("etcd.initial_voters", "is empty, so nobody could ever form the store; name the voters that did, or remove the line")
	}
	for i, n := range c.Etcd.InitialVoters {
		at := itemPath("etcd.initial_voters", i)
		switch {
		case slices.Index(c.Etcd.InitialVoters, n) < i:
			s.fail(at, "names %q twice; remove one", cut(string(n)))
		case !slices.ContainsFunc(slices.Concat(c.voters, c.spares), func(m ha.Member) bool { return m.Name == n }):
			s.fail(at, "is %q, which is no voter; write a member that votes, or remove it", cut(string(n)))
		}
	}
}

// validateExternal checks the way to an external etcd, and that nothing else says who keeps the store.
func (c *Config) validateExternal(s *source) {
	e := c.Etcd
	for _, path := range []string{"etcd.peer_port", "etcd.client_port", "etcd.initial_voters"} {
		if s.has(path) {
			s.fail(path, "belongs to the embedded store, but etcd.endpoints names an external one; remove one of the two")
		}
	}
	for i, m := range c.MemberSettings {
		switch {
		case m.Witness:
			s.fail(memberPath(i, "witness"), "is true, but a witness exists only to vote and etcd.endpoints leaves no votes; remove the member, or the endpoints")
		case s.has(memberPath(i, "voter")):
			s.fail(memberPath(i, "voter"), "chooses who keeps the store, but etcd.endpoints names an external one; remove one of the two")
		}
	}
	if c.Role == RoleWitness {
		s.fail("role", "is witness, but a witness exists only to vote and etcd.endpoints leaves no votes; remove basculed from this machine, or the endpoints")
	}
	c.validateEndpoints(s)
	switch {
	case e.CAFile == "":
		s.fail("etcd.ca_file", "is missing; write the file with the authority that signed the certificates of the endpoints")
	case e.CertFile != "" && e.KeyFile == "":
		s.fail("etcd.key_file", "is missing; write the private key's file that belongs to etcd.cert_file")
	case e.CertFile == "" && e.KeyFile != "":
		s.fail("etcd.cert_file", "is missing; write the client certificate's file that belongs to etcd.key_file")
	case e.User != "" && e.PasswordFile == "":
		s.fail("etcd.password_file", "is missing; write the file that holds the password of etcd.user, never the password itself")
	case e.User == "" && e.PasswordFile != "":
		s.fail("etcd.user", "is missing; write whose password etcd.password_file holds")
	case e.User == "" && e.CertFile == "":
		s.fail("etcd", "names no client certificate and no user, so this etcd would have to let everybody write; write cert_file: and key_file:, or user: and password_file:")
	}
}

// validateEndpoints never repeats an endpoint that it refuses: somebody may have written a password into it.
func (c *Config) validateEndpoints(s *source) {
	seen := map[string]int{}
	for i, text := range c.Etcd.Endpoints {
		at := itemPath("etcd.endpoints", i)
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			s.fail(at, "is not an address of the form https://HOST:PORT; write for example https://10.0.0.11:2379 (a user goes into etcd.user)")
			continue
		}
		if u.Scheme != "https" {
			s.fail(at, "does not begin with https://; write https:// and let the external etcd use TLS, the store is never spoken to in clear")
			continue
		}
		if port, err := strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
			s.fail(at, "has no port from 1 to 65535; write for example https://10.0.0.11:2379")
			continue
		}
		key := canonical(u.Hostname()) + " " + u.Port()
		if line, dup := seen[key]; dup {
			s.fail(at, "repeats the endpoint in line %d; remove one", line)
			continue
		}
		seen[key] = s.line(at)
		if m := slices.IndexFunc(c.Members, func(m ha.Member) bool { return canonical(m.Address) == canonical(u.Hostname()) }); m >= 0 {
			c.warn(s, at, "is on the member %s: when that machine dies and its etcd led, every lease lives longer and recovery takes longer; keep the external etcd on machines of its own", c.Members[m].Name)
		}
	}
	if n := len(c.Etcd.Endpoints); n == 1 {
		c.warn(s, "etcd.endpoints", "names one endpoint: while it is away the store is, even if the external etcd has more members; name all of them")
	}
}
