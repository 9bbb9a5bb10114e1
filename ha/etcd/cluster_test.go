package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"bascule/ha"
	"bascule/ha/etcd/storetest"
	"bascule/ha/waittest"
)

// subnet gives a test loopback addresses of its own, 127.second.N.*, among all that run on this machine now: who listens at its end has it.
func subnet(t *testing.T, second int) int {
	t.Helper()
	for n := range 250 {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.254:9", second, n+1))
		if err == nil {
			t.Cleanup(func() { ln.Close() })
			return n + 1
		}
	}
	t.Fatalf("no loopback addresses 127.%d.* are left: too many tests run here at once", second)
	return 0
}

// patient is a store whose calls are repeated while nobody answers: on a machine that stalls the members elect a new leader.
func patient(t *testing.T, s *Store) storetest.Store { return storetest.Patient(t, s) }

// within returns a context for one call.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// hang is a context that only guards against hanging.
func hang(t *testing.T) context.Context { return within(t, 5*waittest.Hang) }

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
	log     *testLog
	tls     map[ha.NodeName]TLS // nil: issued by the test's own authority at each start
}

func newLab(t *testing.T, voters int) *lab {
	t.Helper()
	l := &lab{t: t, ca: newAuthority(t), net: subnet(t, 92), dirs: map[ha.NodeName]string{}, stores: map[ha.NodeName]*Store{}, log: &testLog{t: t}}
	l.ports = freePorts(t, l.host(1)) // and so on the other addresses, which nobody else uses
	var err error
	if l.timing, err = ha.Profile("patient"); err != nil {
		t.Fatal(err)
	}
	l.timing.EtcdHeartbeat, l.timing.EtcdElection = 200*time.Millisecond, 2*time.Second // elections that a busy machine bears
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
	log.SetOutput(l.log)
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true, TimestampFormat: "05.000", FullTimestamp: true})
	c := Config{
		Self: name, Cluster: "test", DataDir: l.dirs[name], Voters: l.voters, Initial: l.initial, PeerPort: l.ports[0], ClientPort: l.ports[1],
		Timing: l.timing, Token: fmt.Sprintf("token-%d", l.net), Log: log.WithField("node", name), noSync: true,
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
	return l.openAll(name)[0]
}

// openAll starts nodes at the same time: each asks for a while what cluster there is.
func (l *lab) openAll(names ...ha.NodeName) []*Store {
	l.t.Helper()
	stores, errs := make([]*Store, len(names)), make([]error, len(names))
	var all sync.WaitGroup
	for i, n := range names {
		cfg := l.config(n)
		all.Go(func() { stores[i], errs[i] = Open(hang(l.t), cfg) })
	}
	all.Wait()
	for i, n := range names {
		if stores[i] != nil {
			l.stores[n] = stores[i]
		}
	}
	if err := errors.Join(errs...); err != nil {
		l.t.Fatal(err)
	}
	return stores
}

// all starts every voter and waits until each has answered.
func (l *lab) all() []*Store {
	l.t.Helper()
	var names []ha.NodeName
	for _, v := range l.voters {
		names = append(names, v.Name)
	}
	stores := l.openAll(names...)
	for _, s := range stores {
		l.ready(s)
	}
	return stores
}

func (l *lab) ready(s *Store) {
	l.t.Helper()
	if err := s.Ready(hang(l.t)); err != nil {
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
type testLog struct {
	t    *testing.T
	mu   sync.Mutex
	text strings.Builder
}

func (w *testLog) has(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.text.String(), text)
}

func (w *testLog) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.text.Write(p)
	w.mu.Unlock()
	if w.t.Context().Err() == nil {
		w.t.Log(string(p[:len(p)-1]))
	}
	return len(p), nil
}

// until polls.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * waittest.Hang) // a change of voters that was broken off keeps others away for two minutes
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
