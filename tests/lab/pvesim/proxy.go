package pvesim

import (
	"context"
	"fmt"
	"net"
	"time"
)

// proxy passes a call on to another node, as pveproxy does: what is down or cut off shows only after long delays, as
// a 595 (never connected) or a 596 (connected, but no answer) without a body.
func (c *Cluster) proxy(ctx context.Context, from, to *node, run func() *response) *response {
	c.mu.Lock()
	session, stopped := to.session, to.stopped
	c.mu.Unlock()
	if reason, delay := c.unreachable(from, to); reason != "" {
		if !sleep(ctx, delay) {
			return nil
		}
		return proxyError(595, reason)
	}
	done := make(chan *response, 1)
	go func() {
		limit, cancel := context.WithTimeout(session, c.opt.ProxyBlackhole)
		defer cancel()
		if c.thawed(limit, to) {
			done <- run()
		}
	}()
	timeout, cancel := context.WithTimeout(ctx, c.opt.ProxyBlackhole)
	defer cancel()
	select {
	case resp := <-done:
		if c.connected(from.Name, to.Name) {
			return resp
		}
		<-timeout.Done() // carried out, but the answer is lost
	case <-stopped:
		return proxyError(596, "Connection reset by peer")
	case <-timeout.Done():
	}
	if ctx.Err() != nil {
		return nil
	}
	return proxyError(596, "Connection timed out")
}

func proxyError(status int, reason string) *response {
	return (&apiError{status: status, message: reason, empty: true}).response()
}

// unreachable says why no connection from one node's pveproxy to another's comes about, and how long it takes until
// that is known. "": it does.
func (c *Cluster) unreachable(from, to *node) (reason string, delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := c.now().Sub(c.lost[to.Name])
	switch {
	case !to.powered && gone < c.opt.ARPExpiry:
		return "No route to host", c.opt.ProxyNoRouteSoon
	case !to.powered:
		return "No route to host", c.opt.ProxyNoRoute
	case !c.connectedLocked(from.Name, to.Name) && c.opt.LinkDown:
		return "No route to host", c.opt.ProxyNoRoute
	case !c.connectedLocked(from.Name, to.Name):
		return "Connection timed out", c.opt.ProxyBlackhole
	case to.api == nil:
		return "Connection refused", c.opt.ProxyRefused
	}
	return "", 0
}

// openAPI makes a node's pveproxy listen. Fails if the address cannot be bound.
func (c *Cluster) openAPI(session context.Context, n *node) error {
	l, err := net.Listen("tcp", net.JoinHostPort(n.Bind, fmt.Sprint(c.opt.APIPort)))
	if err != nil {
		return fmt.Errorf("listening for the API failed: %w", err)
	}
	server := &apiServer{c: c, n: n, ctx: session, conns: map[net.Conn]bool{}}
	c.mu.Lock()
	n.api = func() { l.Close(); server.drop() }
	n.stopped = make(chan struct{})
	c.mu.Unlock()
	c.wg.Add(1)
	go func() { defer c.wg.Done(); server.serve(l) }()
	return nil
}

// closeAPI ends the listening, with every connection.
func (c *Cluster) closeAPI(n *node) {
	c.mu.Lock()
	closer := n.api
	n.api = nil
	c.mu.Unlock()
	if closer != nil {
		closer()
	}
}

// StopProxy ends a node's pveproxy, or starts it again. The node itself lives on: connections to its API are
// refused, and what other nodes had passed on to it is reset. Fails if the node is unknown or off, or if the address
// cannot be bound again.
func (c *Cluster) StopProxy(name string, stop bool) error {
	n := c.nodes[name]
	if n == nil {
		return fmt.Errorf("pvesim: stop pveproxy on %q: no such node", name)
	}
	c.mu.Lock()
	powered, running, session, stopped := n.powered, n.api != nil, n.session, n.stopped
	c.mu.Unlock()
	switch {
	case !powered:
		return fmt.Errorf("pvesim: stop pveproxy on %s: %w", name, errOff)
	case stop && running:
		c.closeAPI(n)
		close(stopped)
	case !stop && !running:
		if err := c.openAPI(session, n); err != nil {
			return fmt.Errorf("pvesim: start pveproxy on %s: %w", name, err)
		}
	}
	return nil
}
