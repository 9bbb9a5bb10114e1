package ipmi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
)

func testSession(s suite) *session {
	k := make([]byte, 32)
	return &session{l: &link{ctx: context.Background()}, keys: sessionKeys{suite: s, k1: k, k2: k}, console: 0x11223345, bmc: 0x55667788}
}

func TestSealedMessagesOpenOnlyWithTheirKey(t *testing.T) {
	for _, su := range []suite{suite3, suite17} {
		a := testSession(su)
		for n := range 40 { // every padding
			msg := bytes.Repeat([]byte{7}, n)
			p, err := a.seal(msg)
			if err != nil {
				t.Fatal(err)
			}
			binary.LittleEndian.PutUint32(p[6:], a.console) // as an answer; signed anew below
			p, err = a.keys.sign(p[:headerLen+int(binary.LittleEndian.Uint16(p[14:]))])
			if err != nil {
				t.Fatal(err)
			}
			if got, err := a.unseal(p); err != nil || !bytes.Equal(got, msg) {
				t.Fatalf("suite %d, %d bytes: %x, %v", su.id, n, got, err)
			}
			for i := range p {
				if i == 1 || i == 2 { // reserved and the RMCP sequence number: they mean nothing here, and nobody signs them
					continue
				}
				p[i] ^= 0x10
				if got, err := a.unseal(p); !errors.Is(err, fencing.ErrRubbish) {
					t.Fatalf("suite %d, byte %d changed: %x, %v; want rubbish", su.id, i, got, err)
				}
				p[i] ^= 0x10
			}
		}
	}
}

// written counts what is sent, and answers nothing.
type written struct {
	net.Conn
	n int
}

func (w *written) Write(p []byte) (int, error)     { w.n++; return len(p), nil }
func (w *written) SetReadDeadline(time.Time) error { return nil }

// A context may end between an answer and the next command.
func TestNothingIsSentInAContextThatIsOver(t *testing.T) {
	for _, end := range []string{"cancelled", "deadline"} {
		ctx, cancel := context.WithCancel(context.Background())
		if end == "deadline" {
			ctx, cancel = context.WithTimeout(context.Background(), -time.Second)
		}
		cancel()
		w := &written{}
		s := testSession(suite17)
		s.l = &link{ctx: ctx, conn: w, firstWait: firstWait}
		if _, err := s.call(types.CommandChassisControl, []byte{0}); !errors.Is(err, fencing.ErrTimeout) || w.n != 0 {
			t.Errorf("%s: %v, %d datagrams; want a time-out and none", end, err, w.n)
		}
	}
}

func TestAnAnswerToSomethingElseIsNotTaken(t *testing.T) {
	cmd := types.CommandGetChassisStatus
	msg := []byte{0x81, 0x01 << 2, 0, 0x20, 5 << 2, 0x01, 0, 0x01, 0, 0, 0}
	if a, ours, err := parseAnswer(msg, cmd, 5); err != nil || !ours || len(a.data) != 3 {
		t.Fatalf("%+v, %v, %v", a, ours, err)
	}
	for name, at := range map[string]int{"network function": 1, "number": 4, "command": 5} {
		other := bytes.Clone(msg)
		other[at] ^= 0x08
		if _, ours, err := parseAnswer(other, cmd, 5); ours || err != nil {
			t.Errorf("another %s: taken %v, %v", name, ours, err)
		}
	}
	if _, _, err := parseAnswer(msg[:6], cmd, 5); !errors.Is(err, fencing.ErrRubbish) {
		t.Errorf("six bytes: %v", err)
	}
}

func TestTheOrderOfAGUIDIsGuessedWithoutHarm(t *testing.T) {
	u := []byte{0x4c, 0x4c, 0x45, 0x44, 0x00, 0x51, 0x34, 0x10, 0x80, 0x52, 0xb4, 0xc0, 0x4f, 0x56, 0x42, 0x32}
	rfc := [16]byte(u)
	smbios := rfc
	for _, swap := range [][2]int{{0, 3}, {1, 2}, {4, 5}, {6, 7}} {
		smbios[swap[0]], smbios[swap[1]] = rfc[swap[1]], rfc[swap[0]]
	}
	for name, g := range map[string][16]byte{"RFC 4122": rfc, "SMBIOS": smbios} {
		reversed := g
		for i := range g {
			reversed[i] = g[15-i]
		}
		for order, wire := range map[string][16]byte{name: g, name + " reversed": reversed} {
			for _, expected := range []string{"", fencingtest.UUID} {
				if got := uuidText(wire, expected); !ha.SameUUID(got, fencingtest.UUID) {
					t.Errorf("%s, expected %q: %s", order, expected, got)
				}
			}
			if got := uuidText(wire, fencingtest.OtherUUID); ha.SameUUID(got, fencingtest.OtherUUID) {
				t.Errorf("%s: taken for another machine: %s", order, got)
			}
		}
	}
	if got := uuidText([16]byte{}, fencingtest.UUID); got != "" {
		t.Errorf("zeros: %q", got)
	}
}

// FuzzDatagram gives what a controller, or anybody, may send to every place that reads it.
func FuzzDatagram(f *testing.F) {
	s := testSession(suite17)
	sealed, err := s.seal([]byte{0x81, 0x04, 0, 0x20, 4, 1, 0, 1, 0, 0, 0})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(build(types.PayloadTypeRmcpOpenSessionResponse, 0, 0, 0, make([]byte, 36)))
	f.Add(build(types.PayloadTypeRAKPMessage2, 0, 0, 0, make([]byte, 72)))
	f.Add(build(types.PayloadTypeIPMI, flagSigned, s.console, 1, []byte{0x81, 0x04, 0, 0x20, 4, 1, 0, 1, 0, 0, 0}))
	f.Add(build(types.PayloadTypeOEM, 0, 0, 0, nil))
	f.Add([]byte{6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		if msg, err := testSession(suite3).unseal(p); err == nil && msg != nil {
			t.Fatalf("%x was taken for a signed answer", p) // it would have had to guess twelve bytes
		}
		o := &opening{h: &handshake{}, proposals: []*proposal{{suite: suite17, tag: 0x11, console: 0x01010101}, {suite: suite3, tag: 0x12, console: 0x01010103}}, active: 2}
		if done, _ := o.take(p); done && (o.h.bmc == 0 || o.h.suite.id == 0) {
			t.Fatalf("a session without an id or a suite came from %x", p)
		}
		pk, err := parse(p)
		if err != nil {
			if !errors.Is(err, fencing.ErrRubbish) {
				t.Fatalf("%v does not say rubbish", err)
			}
			return
		}
		s.keys.decrypt(pk.payload)
		parseAnswer(pk.payload, types.CommandGetChassisStatus, 1)
		if power, err := chassisPower(pk.payload); power == ha.PowerOff && (err != nil || len(pk.payload) < 3 || pk.payload[0]&0x11 != 0) {
			t.Fatalf("%x reads %s, %v", pk.payload, power, err)
		}
		if len(pk.payload) >= 16 {
			if got := uuidText([16]byte(pk.payload[:16]), fencingtest.UUID); got != "" && len(got) != 36 {
				t.Fatalf("a UUID %q", got)
			}
		}
	})
}

// FuzzHandshake gives the payloads of a handshake to what reads them.
func FuzzHandshake(f *testing.F) {
	f.Add(make([]byte, 8))
	f.Add(make([]byte, 40+32))
	f.Add(append([]byte{0, 0x0d, 0, 0, 0, 0, 0, 0}, make([]byte, 100)...))
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, su := range []suite{suite3, suite17} {
			h := &handshake{login: login{user: "u", password: "p"}, suite: su, console: 1, bmc: 2, kuid: make([]byte, 20)}
			if len(payload) >= 8 {
				h.forUs(payload)
			}
			if err := h.readRakp2(payload); err == nil {
				t.Fatalf("%x was taken for a proof of the password", payload)
			}
			if err := h.readRakp4(payload, []byte("a key that nobody knows")); err == nil {
				t.Fatalf("%x was taken for a proof of the session key", payload)
			}
		}
	})
}
