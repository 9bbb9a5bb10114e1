package gossip

import (
	"context"
	"fmt"
	"net"
	"time"

	"bascule/ha"
)

// pings are sent until one is answered: a single datagram may be lost.
const pings = 3

// Ping asks a member over UDP, as failure detection does, and returns the round trip. address is its host:port. It takes at most three
// times the profile's gossip time-out, and changes nothing about who counts as alive.
func (g *Gossip) Ping(ctx context.Context, to ha.NodeName, address string) (time.Duration, error) {
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return 0, fmt.Errorf("the address %s of %s is not understood: %w", address, to, err)
	}
	for range pings {
		var trip time.Duration
		if trip, err = g.list.Ping(string(to), at); err == nil || ctx.Err() != nil {
			return trip, err
		}
	}
	return 0, fmt.Errorf("none of %d datagrams was answered in %s each", pings, g.cfg.Timing.GossipTimeout)
}
