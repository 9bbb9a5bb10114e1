package gossip

import (
	"context"
	"net"
	"time"
)

// Joining: each configured peer has a loop that looks whether a living node advertises the peer's address, and if
// none does, contacts it, with a growing pause. So a cold start in any order, a healed partition and a peer that
// comes back under the same name all end in one membership.
const (
	joinFirst   = 250 * time.Millisecond // first pause after a failed attempt
	joinSlowest = 5 * time.Second        // longest pause
	joinCheck   = time.Second            // between two looks at a peer that is there
)

// keepJoined runs until Close. (A Join in flight ends when the transport's dial does, at most memberlist's TCPTimeout.)
func (g *Gossip) keepJoined(peer string) {
	pause := joinFirst
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-timer.C:
		}
		if g.leaving.Load() {
			return
		}
		switch addresses, err := resolve(g.ctx, peer); {
		case err != nil:
			g.cfg.Log.WithError(err).Debug("gossip: peer " + peer + " does not resolve")
		case g.roster.has(addresses):
			pause = joinFirst
			timer.Reset(joinCheck)
			continue
		case g.join(addresses):
			pause = joinFirst
			timer.Reset(joinCheck)
			continue
		}
		timer.Reset(pause)
		pause = min(2*pause, joinSlowest)
	}
}

// join contacts a peer in the background of Close: Close must not wait for a dial into the void.
func (g *Gossip) join(addresses []string) bool {
	done := make(chan int, 1)
	go func() {
		n, _ := g.list.Join(addresses) // memberlist logs the failures itself
		done <- n
	}()
	select {
	case n := <-done:
		return n > 0
	case <-g.ctx.Done():
		return false
	}
}

// resolve turns host:port into the ip:port forms that a member may advertise.
func resolve(ctx context.Context, peer string) ([]string, error) {
	host, port, err := net.SplitHostPort(peer)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip != nil {
		return []string{net.JoinHostPort(ip.String(), port)}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	for i, ip := range ips {
		ips[i] = net.JoinHostPort(ip, port)
	}
	return ips, nil
}
