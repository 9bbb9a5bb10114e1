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
	portTrips = 5               // connections that are timed
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
	for range portTrips {
		trip, err := connect(ctx, p.Address)
		if err != nil {
			p.Problem, p.Trips = err.Error(), nil
			return p
		}
		p.Trips = append(p.Trips, trip)
	}
	slices.Sort(p.Trips)
	if p.Service != doctor.Gossip { // who listens there speaks TLS; gossip over TCP would take anything for a message
		if err := g.greet(ctx, p.Address); err != nil {
			p.Problem, p.Trips = err.Error(), nil
		}
	}
	return p
}

// connect opens a connection and closes it: one round trip.
func connect(ctx context.Context, address string) (time.Duration, error) {
	d := net.Dialer{Timeout: portLimit}
	began := time.Now()
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, plain(err)
	}
	trip := time.Since(began)
	return trip, conn.Close()
}

// greet shakes hands with whoever listens, as a member does: a firewall may let a connection open and no byte through.
func (g *Gatherer) greet(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, portLimit)
	defer cancel()
	authority, err := os.ReadFile(g.src.Config.TLS.CAFile)
	if err != nil {
		return fmt.Errorf("the authority's certificate cannot be read here: %w", err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	conf.RootCAs.AppendCertsFromPEM(authority)
	cert, err := tls.LoadX509KeyPair(g.src.Config.TLS.CertFile, g.src.Config.TLS.KeyFile)
	if err != nil {
		return fmt.Errorf("the own certificate cannot be read here: %w", err)
	}
	conf.Certificates = []tls.Certificate{cert}
	conn, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("it takes connections, but no TLS handshake comes about: %w", plain(err))
	}
	return conn.Close()
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
