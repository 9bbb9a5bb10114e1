package scsipr

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"bascule/fencing"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// Commands and parameter lists byte for byte, as SPC-4 writes them (tables 231 to 236).
func TestCommands(t *testing.T) {
	for _, c := range []struct {
		o    order
		cdb  string
		list string
	}{
		{order{action: outRegister, key: 1, arg: 2, aptpl: true}, "5f000000000000001800", "0000000000000001 0000000000000002 00000000 01 000000"},
		{order{action: outRegisterOver, arg: 0xb5aabbccddeeff01, aptpl: true}, "5f060000000000001800", "0000000000000000 b5aabbccddeeff01 00000000 01 000000"},
		{order{action: outReserve, key: 1}, "5f010500000000001800", "0000000000000001 0000000000000000 00000000 00 000000"},
		{order{action: outPreempt, key: 1, arg: 2}, "5f040500000000001800", "0000000000000001 0000000000000002 00000000 00 000000"},
		{order{action: outPreemptAbort, key: 1, arg: math.MaxUint64}, "5f050500000000001800", "0000000000000001 ffffffffffffffff 00000000 00 000000"},
	} {
		cdb, list := c.o.encode()
		if !bytes.Equal(cdb, unhex(c.cdb)) || !bytes.Equal(list, unhex(c.list)) {
			t.Errorf("%+v: %x %x", c.o, cdb, list)
		}
		if back, ok := decodeOrder(cdb, list); !ok || back != c.o {
			t.Errorf("%+v comes back as %+v", c.o, back)
		}
	}
	if got := reserveIn(inReservation, 0x1234); !bytes.Equal(got, unhex("5e010000000000123400")) {
		t.Errorf("PERSISTENT RESERVE IN: %x", got)
	}
	if got := identityPage(252); !bytes.Equal(got, unhex("120183 00fc 00")) {
		t.Errorf("INQUIRY: %x", got)
	}
}

func TestDecodeKeys(t *testing.T) {
	two := unhex("00000007 00000010 b500000000000001 b500000000000002")
	for _, c := range []struct {
		name string
		b    []byte
		size int
		want string
	}{
		{"none", unhex("00000000 00000000"), 8192, "gen 0 [] more false"},
		{"two", two, 8192, "gen 7 [b500000000000001 b500000000000002] more false"},
		{"cut", two[:16], 8192, "gen 7 [b500000000000001] more true"},
		{"full, as targets say that count what fits", two, 24, "gen 7 [b500000000000001 b500000000000002] more true"},
		{"rest ignored", append(slices.Clone(two), 1, 2, 3), 8192, "gen 7 [b500000000000001 b500000000000002] more false"},
		{"short", two[:7], 8192, "error"},
		{"no whole key", unhex("00000007 0000000f b500000000000001 b5000000000000"), 8192, "error"},
	} {
		r, err := decodeKeys(c.b, c.size)
		got := fmt.Sprintf("gen %d %v more %v", r.generation, r.keys, r.more)
		if err != nil {
			got = "error"
		}
		if got != c.want || err != nil && !errors.Is(err, fencing.ErrRubbish) {
			t.Errorf("%s: %s %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestDecodeReservation(t *testing.T) {
	held := unhex("00000007 00000010 b500000000000001 00000000 00 05 0000")
	r, err := decodeReservation(held)
	if err != nil || r != (reservation{generation: 7, held: true, key: 0xb500000000000001, typ: 5}) {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := decodeReservation(unhex("00000007 00000000")); err != nil || r.held || r.generation != 7 {
		t.Errorf("none: %+v %v", r, err)
	}
	held[21] = 0x25
	if r, err := decodeReservation(held); err != nil || r.scope != 2 || r.typ != 5 {
		t.Errorf("scope: %+v %v", r, err)
	}
	for _, n := range []int{0, 7, 9, 23} {
		if _, err := decodeReservation(held[:n]); !errors.Is(err, fencing.ErrRubbish) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestDecodeCapabilities(t *testing.T) {
	c, err := decodeCapabilities(unhex("0008 01 81 ea01 0000"))
	if err != nil || c != (capabilities{keeps: true, keeping: true, typed: true, suits: true}) {
		t.Errorf("%+v %v", c, err)
	}
	for _, s := range []string{"", "0008", "0007 01 81 ea01 0000"} {
		if _, err := decodeCapabilities(unhex(s)); !errors.Is(err, fencing.ErrRubbish) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestDecodeFullStatus(t *testing.T) {
	one := "b500000000000001 00000000 01 05 00000000 0002 0000000c 05 00 0008 69716e2e61000000"
	two := "b500000000000002 00000000 02 00 00000000 0000 00000004 06 00 0000"
	got, err := decodeFullStatus(unhex("00000007 0000003c" + one + two))
	if err == nil {
		t.Fatalf("it ends in the middle of a registration: %+v", got)
	}
	got, err = decodeFullStatus(unhex("00000007 00000040" + one + two))
	if err != nil || len(got) != 2 || !got[0].holder || got[0].typ != 5 || got[0].port != 2 || initiatorPort(got[0].who) != "iqn.a" ||
		got[1].holder || !got[1].all || initiatorPort(got[1].who) != "06" {
		t.Fatalf("%+v %v", got, err)
	}
	if got, err := decodeFullStatus(unhex("00000007 00000080" + one + two)[:60]); err != nil || len(got) != 1 {
		t.Fatalf("cut: %+v %v", got, err)
	}
}

func TestDecodeIdentity(t *testing.T) {
	naa, t10 := "01 03 00 08 6001405000000001", "02 01 00 04 4c494f20"
	port := "61 93 00 08 5001405000000002" // of the target's port: not the unit's
	for _, c := range []struct{ in, want string }{
		{"00 83 0014" + t10 + naa, "3.6001405000000001"},
		{"00 83 0018" + port + naa, "3.6001405000000001"},
		{"00 83 0008" + t10, "1.4c494f20"},
		{"00 83 000c" + port, ""},
		{"00 83 0000", ""}, {"00 80 0004 31323334", ""}, {"", ""},
		{"00 83 0010 01 03 00 ff 60", ""},
	} {
		if got := decodeIdentity(unhex(c.in)); got != c.want {
			t.Errorf("%s: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestSense(t *testing.T) {
	for _, c := range []struct {
		in      string
		want    sense
		ok      bool
		passing bool
		kind    error
	}{
		{"70 00 06 00000000 0a 00000000 2a 03 00000000", sense{6, 0x2a, 3}, true, true, fencing.ErrTimeout},
		{"f0 00 05 00000000 0a 00000000 24 00 00000000", sense{5, 0x24, 0}, true, false, fencing.ErrRefused},
		{"72 05 20 00 00000000", sense{5, 0x20, 0}, true, false, fencing.ErrRefused},
		{"72 02 04 0b", sense{2, 4, 0x0b}, true, false, fencing.ErrUnreachable},
		{"70 00 0b", sense{0xb, 0, 0}, true, true, fencing.ErrTimeout},
		{"", sense{}, false, false, fencing.ErrRefused}, {"70", sense{}, false, false, fencing.ErrRefused},
		{"72 05", sense{}, false, false, fencing.ErrRefused}, {"00 00 06", sense{}, false, false, fencing.ErrRefused},
	} {
		s, ok := decodeSense(unhex(c.in))
		e := answerError{statusCheck, s}
		if s != c.want || ok != c.ok || e.passing() != c.passing || !errors.Is(e, c.kind) {
			t.Errorf("%s: %+v %v: %v", c.in, s, ok, e)
		}
	}
	if e := (answerError{statusCheck, sense{6, 0x2a, 5}}); e.Error() != "no answer in time: sense 6/2a05 (registrations preempted)" {
		t.Error(e)
	}
	if !conflict(fmt.Errorf("x: %w", answerError{status: statusConflict})) || conflict(answerError{status: statusBusy}) {
		t.Error("conflict")
	}
}

// Whatever a target sends: no crash, and a list of keys never has more than was sent.
func FuzzDecode(f *testing.F) {
	f.Add(unhex("00000007 00000010 b500000000000001 00000000 00050000"))
	f.Add(unhex("00000007 00000030 b500000000000001 00000000 01 05 00000000 0002 0000000c 05 00 0008 69716e2e61000000"))
	f.Add(unhex("70 00 06 00000000 0a 00000000 2a 03 00000000"))
	f.Add(unhex("00 83 0014 02 01 00 04 4c494f20 01 03 00 08 6001405000000001"))
	f.Add(unhex("0008 01 81 ea01 0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeKeys(b, len(b)); err == nil && 8*len(r.keys)+8 > len(b) {
			t.Errorf("%d keys in %d bytes", len(r.keys), len(b))
		}
		if r, err := decodeReservation(b); err == nil && r.held && len(b) < 24 {
			t.Errorf("a reservation in %d bytes", len(b))
		}
		decodeCapabilities(b)
		if full, err := decodeFullStatus(b); err == nil {
			for _, r := range full {
				initiatorPort(r.who)
			}
		}
		decodeIdentity(b)
		decodeSense(b)
		if o, ok := decodeOrder(b[:min(10, len(b))], b[min(10, len(b)):]); ok {
			toolArgs(o, "/dev/x")
		}
	})
}
