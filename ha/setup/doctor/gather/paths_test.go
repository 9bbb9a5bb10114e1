package gather

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"bascule/ha/setup/doctor"
)

// TestGreetingFillsAPacket: the greeting is as large as asked for, and the server answers it. The small one is smaller than any packet.
func TestGreetingFillsAPacket(t *testing.T) {
	b := newBed(t)
	heard := make(chan int, 4)
	address := fmt.Sprintf("127.0.0.1:%d", listener(t, func(c net.Conn) {
		counted := &counting{Conn: c}
		s := tls.Server(counted, &tls.Config{Certificates: []tls.Certificate{b.cert}, NextProtos: []string{"h2", "http/1.1"}})
		counted.sized = func(n int) { heard <- n }
		_ = s.Handshake()
		s.Close()
	}))
	conf, err := New(Source{Config: b.cfg}).clientTLS(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ size, least, most int }{{smallPacket, 100, smallPacket - 100}, {1500, 1460, 2500}, {0, largestHello, largestHello + 2000}} {
		mtu, err := greet(t.Context(), address, conf, c.size, time.Minute)
		if err != nil {
			t.Fatalf("%d: %v", c.size, err)
		}
		if c.size > 0 && mtu != c.size || c.size == 0 && mtu < 10000 { // of a loopback interface
			t.Errorf("with packets of at most %d: %d", c.size, mtu)
		}
		if n := <-heard; n < c.least || n > c.most {
			t.Errorf("with packets of at most %d the greeting has %d bytes", c.size, n)
		}
	}
}

// counting says how long the first record was that it has read.
type counting struct {
	net.Conn
	sized func(int)
	head  []byte
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.sized != nil {
		if c.head = append(c.head, p[:n]...); len(c.head) >= 5 {
			c.sized(int(c.head[3])<<8 | int(c.head[4]))
			c.sized = nil
		}
	}
	return n, err
}

// TestNobodyAnswersAGreeting: a path that takes the connection and loses what comes then is silent; one where nobody listens is not.
func TestNobodyAnswersAGreeting(t *testing.T) {
	b := newBed(t)
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	port := listener(t, func(c net.Conn) { <-hold; c.Close() })
	conf, err := New(Source{Config: b.cfg}).clientTLS("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if mtu, err := greet(t.Context(), fmt.Sprintf("127.0.0.1:%d", port), conf, 0, 100*time.Millisecond); !silent(err) {
		t.Errorf("%d, %v", mtu, err)
	}
	if _, err := greet(t.Context(), fmt.Sprintf("127.0.0.1:%d", closedPort(t)), conf, 0, time.Minute); err == nil || silent(err) {
		t.Error(err)
	}
}

// TestTryPath: what is made of the greetings on ways of many kinds.
func TestTryPath(t *testing.T) {
	lost, refused := context.DeadlineExceeded, errors.New("refused")
	for _, c := range []struct {
		name  string
		mtu   int
		does  func(size, nth int) error
		want  doctor.Path
		times int
	}{
		{"good", 9000, func(int, int) error { return nil }, doctor.Path{MTU: 9000}, 2},
		{"loses jumbo frames", 9000, loses(1500), doctor.Path{MTU: 9000, Lost: true, Passes: 1500}, 6},
		{"loses what a VPN adds", 1500, loses(1450), doctor.Path{MTU: 1500, Lost: true, Passes: 1450}, 6},
		{"loses all but the smallest", 1500, loses(1200), doctor.Path{MTU: 1500, Lost: true, Passes: 1200}, 8},
		{"loses all", 1500, loses(0), doctor.Path{Unknown: "small packets: no answer in 2s: a firewall drops it, or the machine is down"}, 1},
		{"nobody listens", 1500, func(int, int) error { return refused }, doctor.Path{Unknown: "small packets: refused"}, 1},
		{"loses one large packet", 9000, func(size, nth int) error {
			if size == 0 && nth == 2 {
				return lost
			}
			return nil
		}, doctor.Path{MTU: 9000}, 4},
		{"goes down meanwhile", 9000, func(_, nth int) error {
			if nth > 1 {
				return lost
			}
			return nil
		}, doctor.Path{MTU: 9000, Unknown: "small packets: no answer in 2s: a firewall drops it, or the machine is down"}, 3},
		{"goes down at the end", 9000, func(_, nth int) error {
			if nth == 5 || nth == 2 || nth == 4 {
				return lost
			}
			return nil
		}, doctor.Path{MTU: 9000, Unknown: "small packets: no answer in 2s: a firewall drops it, or the machine is down"}, 5},
		{"refuses the large greeting", 9000, func(size, _ int) error {
			if size == 0 {
				return refused
			}
			return nil
		}, doctor.Path{MTU: 9000, Unknown: "refused"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p doctor.Path
			n := 0
			tryPath(t.Context(), &p, func(_ context.Context, size int, _ time.Duration) (int, error) {
				n++
				err := c.does(size, n)
				return c.mtu, err
			})
			if p != c.want || n != c.times {
				t.Errorf("%+v after %d greetings, want %+v after %d", p, n, c.want, c.times)
			}
		})
	}
}

// loses is a way that loses every packet above a size.
func loses(above int) func(size, nth int) error {
	return func(size, _ int) error {
		if size == 0 || size > above {
			return context.DeadlineExceeded
		}
		return nil
	}
}

func TestSilent(t *testing.T) {
	for err, want := range map[error]bool{context.DeadlineExceeded: true, &net.OpError{Op: "read", Err: timeoutError{}}: true, errors.New("remote error: tls: bad certificate"): false} {
		if silent(err) != want {
			t.Errorf("%v", err)
		}
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }
