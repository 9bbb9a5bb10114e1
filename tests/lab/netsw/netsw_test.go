package netsw

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bascule/ha/waittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// silentFor is how long a test watches a connection that must say nothing.
const silentFor = 150 * time.Millisecond

func TestForwardsBothWaysAndPassesTheEndOn(t *testing.T) {
	b := newBed(t, nil)
	client, server := b.pair("a", "b", b.listen("b"))
	send(t, client, "question")
	receive(t, server, "question")
	send(t, server, "answer")
	receive(t, client, "answer")
	if host, _, _ := net.SplitHostPort(server.RemoteAddr().String()); host != b.nodes["a"].Public.String() {
		t.Errorf("the server sees %s, want a's public address", host)
	}
	_ = client.CloseWrite()
	_ = server.SetReadDeadline(time.Now().Add(waittest.Hang))
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the client's end: %v", err)
	}
	// What has arrived is counted a moment later.
	var got map[string]Counter
	waittest.Until(t, waittest.Hang, "everything is counted", func() bool {
		got = b.Counters()
		return got["a"].SentBytes == 8 && got["a"].RecvBytes == 6 && got["a"].Connections == 1 && got["b"].RecvBytes == 8
	}, &got)
}

func TestCutLinkStallsInItsDirectionAndGoesOnAfterHealing(t *testing.T) {
	b := newBed(t, nil)
	client, server := b.pair("a", "b", b.listen("b"))
	b.must(b.SetLink("a", "b", false))
	send(t, client, "held")
	quiet(t, server, "data sent over a cut link")
	send(t, server, "other way")
	receive(t, client, "other way")
	b.must(b.SetLink("a", "b", true))
	receive(t, server, "held")
}

func TestWithoutAcknowledgementsASenderStopsAfterItsWindow(t *testing.T) {
	b := newBed(t, nil)
	client, server := b.pair("a", "b", b.listen("b"))
	b.must(b.SetLink("b", "a", false))
	const total = 3 * window
	go func() { _, _ = client.Write(make([]byte, total)) }()
	first := make([]byte, window)
	_ = server.SetReadDeadline(time.Now().Add(waittest.Hang))
	if _, err := io.ReadFull(server, first); err != nil {
		t.Fatalf("the window itself: %v", err)
	}
	quiet(t, server, "beyond the window")
	b.must(b.SetLink("b", "a", true))
	_ = server.SetReadDeadline(time.Now().Add(waittest.Hang))
	if _, err := io.ReadFull(server, make([]byte, total-window)); err != nil {
		t.Fatalf("the rest, after healing: %v", err)
	}
}

func TestEndOverACutLinkIsHeldBack(t *testing.T) {
	b := newBed(t, nil)
	client, server := b.pair("a", "b", b.listen("b"))
	b.must(b.Isolate("a", true))
	send(t, client, "last words")
	_ = client.Close()
	quiet(t, server, "the peer's close behind a cut link")
	b.must(b.Isolate("a", false))
	receive(t, server, "last words")
	_ = server.SetReadDeadline(time.Now().Add(waittest.Hang))
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("after healing: %v, want the end", err)
	}
}

func TestNewConnectionOverACutLinkIsSilentUntilHealed(t *testing.T) {
	for _, cut := range [][2]string{{"a", "b"}, {"b", "a"}} {
		t.Run(cut[0]+cut[1], func(t *testing.T) {
			b := newBed(t, nil)
			servers := b.listen("b")
			b.must(b.SetLink(cut[0], cut[1], false))
			client := b.dial("a", "b")
			send(t, client, "hello")
			quiet(t, client, "a new connection without a handshake")
			if len(servers) != 0 {
				t.Fatal("the server saw a connection that no handshake could open")
			}
			b.must(b.SetLink(cut[0], cut[1], true))
			server := <-servers
			defer server.Close()
			receive(t, server, "hello")
		})
	}
}

func TestPowerOffIsSilentUntilPowerReturns(t *testing.T) {
	b := newBed(t, nil)
	toB := b.listen("b")
	client, server := b.pair("a", "b", toB)
	back := b.listen("a")
	client2, server2 := b.pair("b", "a", back) // opened by the node that dies
	send(t, client, "x")
	receive(t, server, "x")

	b.must(b.SetPower("b", false))
	_ = server.SetLinger(0) // what the kernel does to a killed process's sockets, at its worst
	_ = server.Close()
	_ = client2.Close()
	quiet(t, client, "the client of a dead server")
	quiet(t, server2, "the server of a dead client")
	send(t, client, "into the void")
	late := b.dial("a", "b")
	quiet(t, late, "a connection opened to a dead node")

	b.must(b.SetPower("b", true))
	reset(t, client, "the client, after the power is back")
	reset(t, server2, "the server, after the power is back")
	fresh, freshServer := b.pair("a", "b", toB)
	send(t, fresh, "again")
	_ = freshServer
}

func TestResetWaitsForTheLinkToo(t *testing.T) {
	b := newBed(t, nil)
	client, server := b.pair("a", "b", b.listen("b"))
	b.must(b.SetPower("b", false))
	_ = server.Close()
	b.must(b.Isolate("a", true))
	b.must(b.SetPower("b", true))
	quiet(t, client, "power is back, the link is not")
	b.must(b.Isolate("a", false))
	reset(t, client, "link and power are back")
}

func TestCrashOnALivingNodeIsPassedOnAtOnce(t *testing.T) {
	b := newBed(t, nil)
	client, server := b.pair("a", "b", b.listen("b"))
	_ = server.SetLinger(0)
	_ = server.Close()
	reset(t, client, "the server's process died, its node did not")
	// Where nobody listens the reset can come before the dialling has returned.
	refused, err := net.DialTimeout("tcp4", b.public("c"), waittest.Hang)
	if err == nil {
		defer refused.Close()
		reset(t, refused, "nobody listens on c")
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("nobody listens on c: %v", err)
	}
}

func TestClientsThatGiveUpLeaveNothingBehind(t *testing.T) {
	b := newBed(t, nil)
	b.must(b.SetPower("b", false))
	for range 20 {
		_ = b.dial("a", "b").Close()
	}
	client, server := b.pair("a", "c", b.listen("c"))
	b.must(b.Isolate("a", true))
	_, _ = client.Close(), server.Close()
	waittest.Until(t, waittest.Hang, "no flow is left", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.flows) == 0
	})
}

func TestAttributionBySocketOwner(t *testing.T) {
	var owner atomic.Value
	owner.Store("a")
	var asked atomic.Uint64
	b := newBed(t, func(inode uint64) string { asked.Store(inode); return owner.Load().(string) })
	servers := b.listen("b")
	b.must(b.Isolate("a", true))

	dialPlain := func() net.Conn { // no bind address: from 127.0.0.1, as a person or a node's client does
		c, err := net.Dial("tcp4", b.public("b"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	c := dialPlain()
	quiet(t, c, "a connection of isolated a")
	if want := inodeOf(t, c.(*net.TCPConn)); asked.Load() != want {
		t.Errorf("asked who owns inode %d, want %d", asked.Load(), want)
	}
	owner.Store("")
	_ = dialPlain()
	select {
	case s := <-servers:
		_ = s.Close()
	case <-time.After(waittest.Hang):
		t.Fatal("a person's connection was not let through")
	}
}

// inodeOf asks the kernel for a socket's inode.
func inodeOf(t *testing.T, c *net.TCPConn) uint64 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var target string
	_ = raw.Control(func(fd uintptr) { target, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)) })
	inode, err2 := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]"), 10, 64)
	if err != nil || err2 != nil {
		t.Fatalf("%q: %v %v", target, err, err2)
	}
	return inode
}

func TestUnknownNodesAndBadQualityAreRefused(t *testing.T) {
	b := newBed(t, nil)
	for name, err := range map[string]error{
		"link":    b.SetLink("a", "nobody", false),
		"isolate": b.Isolate("nobody", true),
		"power":   b.SetPower("nobody", false),
		"loss":    b.SetUDP("a", "b", 0, 2),
		"delay":   b.SetUDP("a", "b", -1, 0),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTwoSwitchesOnOneAddress(t *testing.T) {
	b := newBed(t, nil)
	if s, err := New(b.opt); err == nil {
		_ = s.Close()
		t.Fatal("two switches share an address")
	}
}

// TestOneWayOfAPort: what one node has to do with a port of another is silent, the same port the other way round and for others is not.
func TestOneWayOfAPort(t *testing.T) {
	b := newBed(t, nil)
	atA, atB := b.listen("a"), b.listen("b")
	client, server := b.pair("a", "b", atB)
	b.must(b.SetWay("a", "b", b.port, false))
	send(t, client, "lost")
	quiet(t, server, "a barred port")
	send(t, server, "back")
	quiet(t, client, "the answer from a barred port")
	for _, other := range []struct {
		from, to string
		at       <-chan *net.TCPConn
	}{{"b", "a", atA}, {"c", "b", atB}} {
		c, s := b.pair(other.from, other.to, other.at)
		send(t, c, "hello")
		receive(t, s, "hello")
	}
	b.must(b.SetWay("a", "b", b.port, true))
	receive(t, server, "lost")
	receive(t, client, "back")
	if b.SetWay("a", "nobody", b.port, false) == nil {
		t.Error("a way to an unknown node")
	}
}
