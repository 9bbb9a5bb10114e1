package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

var (
	nodeName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)
	hostName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?$`)
	dotted   = regexp.MustCompile(`^[0-9.]+$`)
)

// maxVoters is how many voters make sense: every write waits for a majority of them.
const maxVoters = 7

func itemPath(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

func (c *Config) validateMembers(s *source) {
	if len(c.Members) == 0 {
		s.fail("members", "has no entry; write one for each machine: - {name: node1, address: 10.0.0.1}")
		return
	}
	names, addresses := map[string]int{}, map[string]int{}
	nodes := 0
	for i, m := range c.MemberSettings {
		c.validateMember(s, i, m)
		if m.Name != "" {
			s.unique(names, strings.ToLower(string(m.Name)), memberPath(i, "name"), "name")
		}
		if m.Address != "" {
			s.unique(addresses, canonical(m.Address), memberPath(i, "address"), "address")
		}
		if !m.Witness {
			nodes++
		}
	}
	if nodes == 0 {
		s.fail("members", "are all witnesses, so no machine could run guests; remove witness: true from the Proxmox nodes")
	}
	c.validateSelf(s)
}

// unique notes a name or an address that an earlier member has.
func (s *source) unique(seen map[string]int, value, path, what string) {
	if line, dup := seen[value]; dup {
		s.fail(path, "repeats the %s of the member in line %d; give each member its own", what, line)
		return
	}
	seen[value] = s.line(path)
}

func (c *Config) validateMember(s *source, i int, m MemberSettings) {
	if !nodeName.MatchString(string(m.Name)) {
		s.fail(memberPath(i, "name"), "is %q; write the node's host name: letters, digits and -, without a domain", cut(string(m.Name)))
	}
	if problem := addressProblem(m.Address); problem != "" {
		s.fail(memberPath(i, "address"), "is %q, %s; write the IP address or host name that the other members reach it at", cut(m.Address), problem)
	} else if alone(m.Address) && len(c.Members) > 1 {
		s.fail(memberPath(i, "address"), "is %s, where only the machine itself is; write the address that the other members reach it at", m.Address)
	}
	if m.Witness && s.has(memberPath(i, "voter")) && !m.Voter {
		s.fail(memberPath(i, "voter"), "is false for a witness, which exists only to vote; remove voter: or the member")
	}
}

// addressProblem says what is wrong with an address; "" if nothing is.
func addressProblem(a string) string {
	ip, err := netip.ParseAddr(a)
	switch {
	case err == nil && (ip.IsUnspecified() || ip.IsMulticast()):
		return "which is no machine's address"
	case err == nil:
		return ""
	case dotted.MatchString(a):
		return "which is no IP address"
	case strings.Contains(a, "/"):
		return "which is a network or a URL"
	case strings.Contains(a, ":"):
		return "which has a port or is no IPv6 address (ports are set under gossip, etcd and api)"
	case !hostName.MatchString(a):
		return "which is no host name"
	}
	return ""
}

// canonical makes two spellings of one address equal.
func canonical(a string) string {
	if ip, err := netip.ParseAddr(a); err == nil {
		return ip.Unmap().String()
	}
	return strings.ToLower(a)
}

// alone says whether an address always means the machine that uses it. Other addresses of 127/8 do not: labs use them.
func alone(a string) bool {
	switch canonical(a) {
	case "127.0.0.1", "::1", "localhost":
		return true
	}
	return false
}

// validateSelf checks this machine's own entry, its role and its listening address.
func (c *Config) validateSelf(s *source) {
	if s.broken("members") || s.broken("node") || s.broken("role") {
		return
	}
	if s.has("bind_address") {
		if p := addressProblem(c.BindAddress); p != "" && c.BindAddress != "0.0.0.0" && c.BindAddress != "::" {
			s.fail("bind_address", "is %q, %s; write one of this machine's addresses, or remove the line", cut(c.BindAddress), p)
		}
	}
	self, ok := c.Member(c.Node)
	if !ok {
		var names []string
		for _, m := range c.Members {
			names = append(names, string(m.Name))
		}
		from := ""
		if !s.has("node") {
			from = " (this machine's host name)"
		}
		s.fail("node", "is %q%s, which is not among the members; write node: with one of %s, or add the machine to members", c.Node, from, strings.Join(names, ", "))
		return
	}
	switch {
	case c.Role == RoleWitness && !self.Witness:
		s.fail("role", "is witness, but %s's entry under members is not; write witness: true there, or role: node", c.Node)
	case c.Role == RoleNode && self.Witness:
		s.fail("role", "is node, but %s's entry under members has witness: true; write role: witness, or remove witness: true there", c.Node)
	}
}

func (c *Config) validateVoters(s *source) {
	if s.broken("members") {
		return
	}
	n := len(c.voters)
	switch {
	case n == 0:
		s.fail("members", "has no voter, so nothing could be decided; remove voter: false from one member, better three")
	case n > maxVoters:
		s.fail("members", "has %d voters; leave at most %d (3 or 5 are best) and write voter: false for the others", n, maxVoters)
	case n == 2:
		c.warn(s, "members", "has 2 voters: losing either of them stops the store; add a third machine with witness: true")
	case n%2 == 0:
		c.warn(s, "members", "has %d voters, which survive no more losses than %d do; make it an odd number with voter: true or false", n, n-1)
	}
}
