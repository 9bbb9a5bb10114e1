package etcd

import (
	"slices"

	"bascule/ha"
)

// place is where one member's client port is reached.
type place struct {
	name    ha.NodeName // of a voter; an external member goes by its address
	address string      // host:port as configured: what its certificate must name
	dial    string      // where the connection really goes
}

// places lists the client ports, our own first, the others as configured.
func (c Config) places() []place {
	var out []place
	if c.External != nil {
		for _, e := range c.External.Endpoints {
			at, _ := endpointAddress(e) // checked
			out = append(out, place{ha.NodeName(at), at, at})
		}
		return out
	}
	own, _ := c.own()
	voters := slices.Clone(c.Voters)
	slices.SortStableFunc(voters, func(a, b Voter) int { return rank(a.Name != c.Self) - rank(b.Name != c.Self) })
	for _, v := range voters {
		at := place{v.Name, hostPort(v.Address, c.ClientPort), hostPort(v.Address, c.ClientPort)}
		if v == own && c.BindAddress != "" && c.BindAddress != "0.0.0.0" && c.BindAddress != "::" {
			at.dial = hostPort(c.BindAddress, c.ClientPort) // our own member, without the network in between
		}
		out = append(out, at)
	}
	return out
}
