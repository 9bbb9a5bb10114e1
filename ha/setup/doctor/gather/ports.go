package gather

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"bascule/ha"
	"bascule/ha/setup/doctor"
)

const (
	portLimit = 2 * time.Second // for one connection, or one ping
	portTrips = 3               // connections that are timed
	portsOnce = 16              // members asked at the same time
)

// ports tries every port of every other member, and times the round trips.
func (g *Gatherer) ports(ctx context.Context) (func(*doctor.Facts), error) {
	var out []doctor.Port
	var mu sync.Mutex
	var wg sync.WaitGroup
	turn := make(chan struct{}, portsOnce)
	for _, p := range g.ways() {
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			p = g.try(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			out = append(out, p)
		})
	}
	wg.Wait()
	slices.SortFunc(out, func(a, b doctor.Port) int {
		return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Network, b.Network))
	})
	return func(f *doctor.Facts) { f.Ports = out }, nil
}

// ways lists the ports that this node must reach.
func (g *Gatherer) ways() []doctor.Port {
	c := g.src.Config
	voters := c.Voters()
	votes := func(n ha.NodeName) bool {
		return slices.ContainsFunc(voters, func(v ha.Member) bool { return v.Name == n })
	}
	var out []doctor.Port
	for _, m := range c.Members {
		if m.Name == c.Node {
			continue
		}
		way := func(service, network string, port int) {
			out = append(out, doctor.Port{To: m.Name, Service: service, Network: network, Address: net.JoinHostPort(m.Address, strconv.Itoa(port))})
		}
		way(doctor.API, "tcp", c.API.Port)
		way(doctor.Gossip, "tcp", c.Gossip.Port)
		if g.src.Ping != nil {
			way(doctor.Gossip, "udp", c.Gossip.Port)
		}
		if votes(m.Name) {
			way(doctor.EtcdClient, "tcp", c.Etcd.ClientPort)
			if votes(c.Node) {
				way(doctor.EtcdPeer, "tcp", c.Etcd.PeerPort)
			}
		}
	}
	return out
}

// try reaches one port.
func (g *Gatherer) try(ctx context.Context, p doctor.Port) doctor.Port {
	if p.Network == "udp" {
		c, cancel := context.WithTimeout(ctx, portLimit)
		defer cancel()
		trip, err := g.src.Ping(c, p.To, p.Address)
		if err != nil {
			p.Problem = err.Error()
		} else {
			p.Trips = []time.Duration{trip}
		}
		return p
	}
	for range trips(p.Service) {
		trip, err := g.reach(ctx, p)
		if err != nil {
			p.Problem, p.Trips, p.Opens = err.Error(), nil, trip > 0
			return p
		}
		p.Trips = append(p.Trips, trip)
	}
	slices.Sort(p.Trips)
	return p
}

// trips is how often a port is tried. Gossip's peers complain in their log of a connection that says nothing, so there is one.
func trips(service string) int {
	if service == doctor.Gossip {
		return 1
	}
	return portTrips
}

// reach opens a connection, which takes one round trip, and shakes hands as a member does: a firewall may let a connection open and no byte
// through. Gossip speaks no TLS. With an error the round trip, if there is one, says that the connection opened.
func (g *Gatherer) reach(ctx context.Context, p doctor.Port) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, portLimit)
	defer cancel()
	began := time.Now()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return 0, plain(err)
	}
	trip := time.Since(began)
	defer conn.Close()
	if p.Service == doctor.Gossip {
		return trip, nil
	}
	conf, err := g.clientTLS(p.Address)
	if err != nil {
		return 0, err
	}
	if err := tls.Client(conn, conf).HandshakeContext(ctx); err != nil {
		return trip, fmt.Errorf("it takes connections, but no TLS handshake comes about: %w", plain(err))
	}
	return trip, nil
}

// clientTLS is how this node introduces itself to others, by the files as they are now.
func (g *Gatherer) clientTLS(address string) (*tls.Config, error) {
	files := g.src.Config.TLS
	authority, err := os.ReadFile(files.CAFile)
	if err != nil {
		return nil, fmt.Errorf("the authority's certificate cannot be read here: %w", err)
	}
	cert, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("the own certificate cannot be read here: %w", err)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("the address %s is not understood: %w", address, err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{cert}, ServerName: host}
	conf.RootCAs.AppendCertsFromPEM(authority)
	return conf, nil
}

// plain words the usual ends of a connection without addresses, which stand beside it.
func plain(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("refused: nothing listens there, or a firewall says no")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return errors.New("no way to that host")
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in %s: a firewall drops it, or the machine is down", portLimit)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
