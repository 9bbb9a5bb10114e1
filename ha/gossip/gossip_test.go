package gossip

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"bascule/ha"
	"bascule/ha/waittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type node struct {
	got chan string // messages received
	*Gossip
	changed chan struct{}
	meta    atomic.Pointer[Meta]
	log     *syncBuffer
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// ring is a set of nodes that know each other's addresses.
type ring struct {
	net, port int
	key       []byte
	profile   string
}

func newRing(t *testing.T) *ring {
	t.Helper()
	r := &ring{net: subnet(t), key: newKey(t), profile: "normal"}
	l, err := net.Listen("tcp", r.host(1)+":0")
	if err != nil {
		t.Fatal(err)
	}
	r.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	return r
}

// subnet gives a test loopback addresses of its own, 127.91.N.*, among all that run on this machine now: who listens at its end has it.
func subnet(t *testing.T) int {
	t.Helper()
	for n := range 250 {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.91.%d.254:9", n+1))
		if err == nil {
			t.Cleanup(func() { ln.Close() })
			return n + 1
		}
	}
	t.Fatal("no loopback addresses 127.91.* are left: too many tests run here at once")
	return 0
}

func newKey(t *testing.T) []byte {
	t.Helper()
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	return key
}

func (r *ring) host(i int) string    { return fmt.Sprintf("127.91.%d.%d", r.net, i) }
func (r *ring) address(i int) string { return fmt.Sprintf("%s:%d", r.host(i), r.port) }

// start runs node i with the others of n as its peers.
func (r *ring) start(t *testing.T, i, n int, key []byte) *node {
	t.Helper()
	timing, err := ha.Profile(r.profile)
	if err != nil {
		t.Fatal(err)
	}
	nd := &node{changed: make(chan struct{}, 1), got: make(chan string, 16), log: &syncBuffer{}}
	nd.meta.Store(&Meta{Incarnation: ha.Incarnation(fmt.Sprintf("boot-%d", i)), Version: "1.0"})
	log := logrus.New()
	log.SetOutput(nd.log)
	var peers []string
	for j := 1; j <= n; j++ {
		if j != i {
			peers = append(peers, r.address(j))
		}
	}
	g, err := Start(Config{
		Self: name(i), BindAddress: r.host(i), Port: r.port, Peers: peers, Keys: [][]byte{key}, Timing: timing,
		Meta: func() Meta { return *nd.meta.Load() }, Log: log, Changed: func() { poke(nd.changed) }, Receive: func(b []byte) { nd.got <- string(b) },
	})
	if err != nil {
		t.Fatal(err)
	}
	nd.Gossip = g
	t.Cleanup(func() { g.Close() })
	return nd
}

func name(i int) ha.NodeName { return ha.NodeName(fmt.Sprintf("node%d", i)) }

// until waits, woken by Changed and by a ticker, until ok holds.
func (nd *node) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(2 * waittest.Hang)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-nd.changed:
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s; view %+v\nlog:\n%s", what, nd.View(), nd.log)
		}
	}
}

func (nd *node) sees(i int) func() bool {
	return func() bool { return nd.View()[name(i)] == ha.GossipView{Known: true, Alive: true} }
}

func TestThreeNodesFindEachOtherAndTellLeavingFromDeath(t *testing.T) {
	r := newRing(t)
	n1, n2, n3 := r.start(t, 1, 3, r.key), r.start(t, 2, 3, r.key), r.start(t, 3, 3, r.key)
	for i, nd := range []*node{n1, n2, n3} {
		for j := 1; j <= 3; j++ {
			nd.until(t, fmt.Sprintf("node%d sees node%d", i+1, j), nd.sees(j))
		}
	}

	n3.meta.Store(&Meta{Incarnation: "boot-3", Version: "2.0"})
	n3.UpdateMeta()
	n1.until(t, "node3's new metadata arrives", func() bool { return n1.Metas()["node3"].Version == "2.0" })

	ctx, cancel := context.WithTimeout(t.Context(), 2*waittest.Hang)
	defer cancel()
	if err := n2.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n2.Close(); err != nil {
		t.Fatal(err)
	}
	for _, nd := range []*node{n1, n3} {
		nd.until(t, "node2 is gone and known to have left", func() bool {
			return nd.View()["node2"] == ha.GossipView{Known: true, Leaving: true}
		})
	}

	started := time.Now()
	if err := n3.Close(); err != nil { // silently: a death
		t.Fatal(err)
	}
	n1.until(t, "node3 is seen dead, not leaving", func() bool {
		return n1.View()["node3"] == ha.GossipView{Known: true}
	})
	t.Logf("the death was seen after %v; with a probe of 200 ms it takes about a second on a machine at rest", time.Since(started))

	back := r.start(t, 2, 3, r.key) // the same name again: no longer leaving
	n1.until(t, "node2 is back", n1.sees(2))
	back.until(t, "node2 sees node1", back.sees(1))
	again := r.start(t, 3, 3, r.key)
	n1.until(t, "the dead node3 is back", n1.sees(3))
	again.until(t, "node3 sees node2", again.sees(2))
}

func TestAnotherKeyIsRefused(t *testing.T) {
	r := newRing(t)
	n1, n2 := r.start(t, 1, 3, r.key), r.start(t, 2, 3, r.key)
	stranger := r.start(t, 3, 3, newKey(t))
	n1.until(t, "node1 sees node2", n1.sees(2))
	n2.until(t, "the stranger's attempt is in the log", func() bool {
		return strings.Contains(n1.log.String()+n2.log.String(), "another key")
	})
	if v := n1.View()["node3"]; v.Known {
		t.Errorf("node1 knows a node with another key: %+v", v)
	}
	if v := stranger.View(); len(v) != 1 {
		t.Errorf("a node with another key sees %+v", v)
	}
}

func TestStartRefusesWhatItCannotUse(t *testing.T) {
	timing, err := ha.Profile("")
	if err != nil {
		t.Fatal(err)
	}
	good := Config{Self: "node1", BindAddress: "127.91.0.1", Port: 1, Keys: [][]byte{newKey(t)}, Timing: timing,
		Meta: func() Meta { return Meta{} }, Log: logrus.New()}
	for what, spoil := range map[string]func(*Config){
		"no key":    func(c *Config) { c.Keys = nil },
		"short key": func(c *Config) { c.Keys = [][]byte{[]byte("short")} },
		"no name":   func(c *Config) { c.Self = "" },
		"no port":   func(c *Config) { c.Port = 0 },
		"bad bind":  func(c *Config) { c.BindAddress = "192.0.2.1" },
	} {
		c := good
		spoil(&c)
		if g, err := Start(c); err == nil {
			g.Close()
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestLeaveWithACancelledContextEndsAtOnceAndCloseIsSafe(t *testing.T) {
	r := newRing(t)
	n1 := r.start(t, 1, 1, r.key)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n1.Leave(ctx); err == nil {
		t.Error("a leave that was never announced counts as done")
	}
	if err := n1.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n1.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// send sends a message to node i, which arrives twice: as a datagram and over a stream. On a machine that stalls a living node is taken for
// dead until it has said otherwise.
func (nd *node) send(t *testing.T, to *node, i int, text string) {
	t.Helper()
	nd.until(t, fmt.Sprintf("a message to %s is sent", name(i)), func() bool {
		err := nd.Send(name(i), []byte(text))
		if err != nil && !errors.Is(err, ErrNotHere) {
			t.Fatal(err)
		}
		return err == nil
	})
	for range 2 {
		select {
		case got := <-to.got:
			if got != text {
				t.Fatalf("%s got %q, sent was %q", name(i), got, text)
			}
		case <-time.After(waittest.Hang):
			t.Fatalf("%q does not arrive at %s\nlog:\n%s", text, name(i), to.log)
		}
	}
}

// Members can talk to each other: that is what peer permits travel on.
func TestSend(t *testing.T) {
	r, key := newRing(t), newKey(t)
	one, two := r.start(t, 1, 2, key), r.start(t, 2, 2, key)
	one.until(t, "node1 sees node2", one.sees(2))
	for _, text := range []string{"first", "second"} {
		one.send(t, two, 2, text)
	}
	if err := one.Send("node3", []byte("x")); !errors.Is(err, ErrNotHere) {
		t.Fatalf("to nobody: %v", err)
	}
}
