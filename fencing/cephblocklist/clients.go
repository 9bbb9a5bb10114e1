package cephblocklist

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bascule/fencing"
)

// kind is how a client of Ceph is written among the addresses that an incarnation publishes: ip:10.0.5.12.
const kind = "ip:"

// parseClients picks the IP addresses out of what the incarnation published. Addresses of other kinds belong to other methods; that there is
// none of ours is an error, and so is one that could not be a node's.
func parseClients(clients []string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, c := range clients {
		text, ours := strings.CutPrefix(c, kind)
		if !ours {
			continue
		}
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return nil, fmt.Errorf("%w: %q is no client of Ceph: it must be ip: and an IP address", fencing.ErrSettings, fencing.Printable(c, 60))
		}
		a = a.Unmap()
		if a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() {
			return nil, fmt.Errorf("%w: %q is no address from which a node reaches Ceph: publish the one in the network of the monitors", fencing.ErrSettings, c)
		}
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	if len(clients) > 0 && len(out) == 0 {
		return nil, fmt.Errorf("%w: the node published no ip: address, so there is nothing to put on the blocklist: publish the address from which it reaches the monitors", fencing.ErrSettings)
	}
	return out, nil
}

func words(addrs []netip.Addr) string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return strings.Join(out, ", ")
}
