package ipmi_test

import (
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// hook decides what becomes of a datagram: what it returns is passed on instead; nil passes everything.
type hook func(p []byte) [][]byte

// wire is a UDP proxy between the method and a controller, with faults.
type wire struct {
	mu      sync.Mutex
	front   *net.UDPConn
	back    string
	ask     hook // console to controller
	tell    hook // controller to console
	seen    []seen
	pumps   map[string]*net.UDPConn
	running sync.WaitGroup
}

// seen is a datagram that the console sent.
type seen struct {
	at time.Time
	p  []byte
}

func newWire(t *testing.T, back string) *wire {
	t.Helper()
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{front: front, back: back, pumps: map[string]*net.UDPConn{}}
	w.running.Add(1)
	go w.serve()
	t.Cleanup(w.cut)
	return w
}

func (w *wire) address() string { return w.front.LocalAddr().String() }

// cut closes the wire: the port no longer listens.
func (w *wire) cut() {
	w.front.Close()
	w.mu.Lock()
	for _, c := range w.pumps {
		c.Close()
	}
	w.mu.Unlock()
	w.running.Wait()
}

func (w *wire) hooks(ask, tell hook) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ask, w.tell = ask, tell
}

func (w *wire) sent() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}

func (w *wire) serve() {
	defer w.running.Done()
	buf := make([]byte, 2048)
	for {
		n, from, err := w.front.ReadFromUDP(buf)
		if err != nil {
			return
		}
		p := slices.Clone(buf[:n])
		w.mu.Lock()
		w.seen = append(w.seen, seen{time.Now(), p})
		out := [][]byte{p}
		if w.ask != nil {
			out = w.ask(p)
		}
		c := w.pump(from)
		w.mu.Unlock()
		for _, p := range out {
			if c != nil {
				c.Write(p)
			}
		}
	}
}

// pump is the connection to the controller for one console.
func (w *wire) pump(to *net.UDPAddr) *net.UDPConn {
	if c := w.pumps[to.String()]; c != nil {
		return c
	}
	back, err := net.Dial("udp", w.back)
	if err != nil {
		return nil
	}
	c := back.(*net.UDPConn)
	w.pumps[to.String()] = c
	w.running.Add(1)
	go func() {
		defer w.running.Done()
		buf := make([]byte, 2048)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			p := slices.Clone(buf[:n])
			w.mu.Lock()
			out := [][]byte{p}
			if w.tell != nil {
				out = w.tell(p)
			}
			w.mu.Unlock()
			for _, p := range out {
				w.front.WriteToUDP(p, to)
			}
		}
	}()
	return c
}

// kind is a datagram's payload type, -1 if it is no RMCP+ packet.
func kind(p []byte) int {
	if len(p) < 16 || p[4] != 6 {
		return -1
	}
	return int(p[5] & 0x3f)
}

// Payload types.
const (
	kindIPMI    = 0x00
	kindOpen    = 0x10
	kindOpened  = 0x11
	kindRakp1   = 0x12
	kindRakp2   = 0x13
	kindRakp3   = 0x14
	kindRakp4   = 0x15
	openAuthAlg = 16 + 12 // where an open session request names its authentication algorithm
	algSHA256   = 3
)

func nothing([]byte) [][]byte { return nil }

// once passes everything but the first datagram that is hit.
func once(hit func(p []byte) bool, instead hook) hook {
	done := false
	return func(p []byte) [][]byte {
		if !done && hit(p) {
			done = true
			return instead(p)
		}
		return [][]byte{p}
	}
}

// forged is an unsigned packet with an IPMI answer to the command, for a session.
func forged(session uint32, rqSeq, netFn, cmd byte, data ...byte) []byte {
	msg := append([]byte{0x81, (netFn + 1) << 2, 0, 0x20, rqSeq << 2, cmd, 0}, data...)
	msg = append(msg, 0)
	p := make([]byte, 16, 64)
	p[0], p[2], p[3], p[4] = 6, 0xff, 7, 6
	binary.LittleEndian.PutUint32(p[6:], session)
	binary.LittleEndian.PutUint16(p[14:], uint16(len(msg)))
	return append(p, msg...)
}
