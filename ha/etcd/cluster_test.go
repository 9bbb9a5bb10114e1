package etcd

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"bascule/ha"
)

// subnets gives every test loopback addresses of its own.
var subnets atomic.Int32

// lab is a cluster of voters on loopback addresses.
type lab struct {
	t       *testing.T
	ca      *authority
	net     int
	ports   [2]int // peer, client
	voters  []Voter
	initial []ha.NodeName
	dirs    map[ha.NodeName]string
	stores  map[ha.NodeName]*Store
	timing  ha.Timing
	tls     map[ha.NodeName]TLS // nil: issued by the test's own authority at each start
}

func newLab(t *testing.T, voters int) *lab {
	t.Helper()
	l := &lab{t: t, ca: newAuthority(t), net: int(subnets.Add(1)), dirs: map[ha.NodeName]string{}, stores: map[ha.NodeName]*Store{}}
	l.ports = freePorts(t, l.host(1)) // and so on the other addresses, which nobody else uses
	var err error
	if l.timing, err = ha.Profile("fast"); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= voters; i++ {
		v := Voter{Name: ha.NodeName(fmt.Sprintf("node%d", i)), Address: l.host(i)}
		l.voters = append(l.voters, v)
		l.dirs[v.Name] = filepath.Join(t.TempDir(), "etcd")
	}
	t.Cleanup(func() {
		for _, s := range l.stores {
			s.HardStop()
		}
	})
	return l
}

// freePorts returns two ports that are free on an address.
func freePorts(t *testing.T, host string) (ports [2]int) {
	t.Helper()
	for i := range ports {
		ln, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		ports[i] = ln.Addr().(*net.TCPAddr).Port
	}
	return ports
}

func (l *lab) host(i int) string { return fmt.Sprintf("127.92.%d.%d", l.net, i) }

// config is that of a voter, or of a client with any other name.
func (l *lab) config(name ha.NodeName) Config {
	log := logrus.New()
	log.SetOutput(testLog{l.t})
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true, TimestampFormat: "05.000", FullTimestamp: true})
	c := Config{
		Self: name, Cluster: "test", DataDir: l.dirs[name], Voters: l.voters, Initial: l.initial, PeerPort: l.ports[0], ClientPort: l.ports[1],
		Timing: l.timing, Token: fmt.Sprintf("token-%d", l.net), Log: log.WithField("node", name),
	}
	ips := []string{l.host(250), l.host(251)} // proxies in front of it
	if own, ok := c.own(); ok {
		c.BindAddress = own.Address
		ips = append(ips, own.Address)
	}
	if f, ok := l.tls[name]; ok {
		c.TLS = f
		return c
	}
	c.TLS = l.ca.issue(l.t, string(name), ips...)
	return c
}

// open starts a node and does not wait for it.
func (l *lab) open(name ha.NodeName) *Store {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	s, err := Open(ctx, l.config(name))
	if err != nil {
		l.t.Fatal(err)
	}
	l.stores[name] = s
	return s
}

// all starts every voter and waits until each has answered.
func (l *lab) all() []*Store {
	l.t.Helper()
	var stores []*Store
	for _, v := range l.voters {
		stores = append(stores, l.open(v.Name))
	}
	for _, s := range stores {
		l.ready(s)
	}
	return stores
}

func (l *lab) ready(s *Store) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		l.t.Fatal(err)
	}
}

// kill ends a node as a crash would.
func (l *lab) kill(name ha.NodeName) {
	s := l.stores[name]
	delete(l.stores, name)
	s.HardStop()
}

// testLog writes a test's log lines while it runs. (Leftovers of etcd write after its end, when t.Log would panic.)
type testLog struct{ t *testing.T }

func (w testLog) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(string(p[:len(p)-1]))
	}
	return len(p), nil
}

// until polls.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
