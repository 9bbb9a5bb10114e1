package netsw

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"bascule/ha/waittest"
)

func (b *bed) socket(node string) *net.UDPConn {
	b.t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(b.nodes[node].Bind, uint16(b.port))))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (b *bed) datagram(from *net.UDPConn, to, text string) {
	b.t.Helper()
	at := netip.AddrPortFrom(b.nodes[to].Public, uint16(b.port))
	if _, err := from.WriteToUDPAddrPort([]byte(text), at); err != nil {
		b.t.Fatal(err)
	}
}

func TestDatagrams(t *testing.T) {
	b := newBed(t, nil)
	a, c := b.socket("a"), b.socket("c")
	buf := make([]byte, 64)
	expect := func(conn *net.UDPConn, from, text string) {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(waittest.Hang))
		n, src, err := conn.ReadFromUDPAddrPort(buf)
		want := netip.AddrPortFrom(b.nodes[from].Public, uint16(b.port))
		if err != nil || string(buf[:n]) != text || src != want {
			t.Fatalf("%q from %s, %v; want %q from %s", buf[:n], src, err, text, want)
		}
	}
	b.datagram(a, "c", "ping")
	expect(c, "a", "ping")
	b.datagram(c, "a", "pong")
	expect(a, "c", "pong")

	b.must(b.SetLink("a", "c", false))
	b.datagram(a, "c", "lost")
	quiet(t, c, "a datagram over a cut link")
	b.datagram(c, "a", "one way")
	expect(a, "c", "one way")
	b.must(b.SetLink("a", "c", true))

	b.must(b.SetPower("c", false))
	b.datagram(a, "c", "to the dead")
	quiet(t, c, "a datagram to a dead node")
	b.must(b.SetPower("c", true))

	b.must(b.SetUDP("a", "c", 0, 1))
	b.datagram(a, "c", "dropped")
	quiet(t, c, "a link that loses everything")
	b.must(b.SetUDP("a", "c", 60*time.Millisecond, 0))
	start := time.Now()
	b.datagram(a, "c", "slow")
	expect(c, "a", "slow")
	if took := time.Since(start); took < 60*time.Millisecond {
		t.Errorf("arrived after %s in spite of a delay of 60 ms", took)
	}
	if got := b.Counters()["a"]; got.SentPackets != 5 || got.LostPackets != 3 || got.RecvPackets != 2 {
		t.Errorf("counters of a: %+v", got)
	}
}
