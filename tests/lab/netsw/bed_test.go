package netsw

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"bascule/ha/waittest"
)

// bed is a switch with three nodes, a and b and c, on an octet of its own.
type bed struct {
	*Switch
	t     *testing.T
	port  int
	nodes map[string]Node
}

func newBed(t *testing.T, owner func(uint64) string) *bed {
	t.Helper()
	var err error
	for range 20 {
		octet, port := 10+rand.IntN(240), 2000+rand.IntN(20000)
		b := &bed{t: t, port: port, nodes: map[string]Node{}}
		opt := Options{TCPPorts: []int{port}, UDPPorts: []int{port}, Owner: owner, Seed: 1, Log: t.Logf}
		for i, name := range []string{"a", "b", "c"} {
			n := Node{Name: name,
				Public: netip.AddrFrom4([4]byte{127, byte(octet), 1, byte(i + 1)}),
				Bind:   netip.AddrFrom4([4]byte{127, byte(octet), 0, byte(i + 1)})}
			b.nodes[name] = n
			opt.Nodes = append(opt.Nodes, n)
		}
		if b.Switch, err = New(opt); err == nil {
			t.Cleanup(func() { _ = b.Close() })
			return b
		}
	}
	t.Fatalf("no free octet: %v", err)
	return nil
}

// listen accepts connections of a node into a channel.
func (b *bed) listen(node string) <-chan *net.TCPConn {
	b.t.Helper()
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(b.nodes[node].Bind, uint16(b.port))))
	if err != nil {
		b.t.Fatal(err)
	}
	out := make(chan *net.TCPConn, 16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			out <- c
		}
	}()
	b.t.Cleanup(func() { _ = l.Close(); <-done })
	return out
}

// dial connects one node to another's public address, from the node's bind address.
func (b *bed) dial(from, to string) *net.TCPConn {
	b.t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(b.nodes[from].Bind, 0)), Timeout: waittest.Hang}
	c, err := d.Dial("tcp4", b.public(to))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// pair opens a connection from one node to another and returns both ends.
func (b *bed) pair(from, to string, servers <-chan *net.TCPConn) (client, server *net.TCPConn) {
	b.t.Helper()
	client = b.dial(from, to)
	select {
	case server = <-servers:
	case <-time.After(waittest.Hang):
		b.t.Fatalf("%s never saw the connection of %s", to, from)
	}
	b.t.Cleanup(func() { _ = server.Close() })
	return client, server
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("sending %q: %v", text, err)
	}
}

func receive(t *testing.T, c net.Conn, want string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(waittest.Hang))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("received %q, %v; want %q", got, err, want)
	}
}

// quiet fails if the connection says anything at all, an end included.
func quiet(t *testing.T, c net.Conn, why string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(silentFor))
	n, err := c.Read(make([]byte, 64))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%s: read %d bytes, %v; want silence", why, n, err)
	}
}

// reset fails unless the connection ends with RST.
func reset(t *testing.T, c net.Conn, why string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(waittest.Hang))
	if _, err := c.Read(make([]byte, 64)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%s: %v; want a reset", why, err)
	}
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) public(node string) string {
	return netip.AddrPortFrom(b.nodes[node].Public, uint16(b.port)).String()
}
