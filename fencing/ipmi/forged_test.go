package ipmi_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

func TestProtectionIsNotNegotiatedAway(t *testing.T) {
	t.Parallel()
	for at, what := range map[int]string{16 + 16: "authentication", 16 + 24: "integrity", 16 + 32: "encryption"} {
		c := newController(t, plain)
		c.hooks(nil, func(p []byte) [][]byte {
			if kind(p) == kindOpened {
				p[at] = 0 // none
			}
			return [][]byte{p}
		})
		r, err := open(t, c.settings()).Read(within(t, ample))
		if !errors.Is(err, fencing.ErrRubbish) || r.Power != ha.PowerUnknown {
			t.Errorf("no %s: %+v, %v; want rubbish", what, r, err)
		}
		for _, s := range c.sent() {
			if kind(s.p) != kindOpen {
				t.Errorf("no %s: the login went on", what)
			}
		}
	}
}

func TestAForgedOffIsNoOff(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{false, true} {
		c := newController(t, plain)
		var console uint32
		var old [][]byte
		n := 0
		c.hooks(nil, func(p []byte) [][]byte {
			if kind(p) == kindOpened {
				console = uint32(p[20]) | uint32(p[21])<<8 | uint32(p[22])<<16 | uint32(p[23])<<24
			}
			if kind(p) != kindIPMI {
				return [][]byte{p}
			}
			n++
			if n != 2 { // let the GUID through, answer the status ourselves
				old = append(old, p)
				return [][]byte{p}
			}
			off := []byte{0x00, 0, 0, 0}
			bent := slices.Clone(p) // signed, but changed
			bent[20] ^= 1
			unsigned := forged(console, 2, 0x00, 0x01, off...)
			claims := forged(console, 2, 0x00, 0x01, off...)
			claims[5] |= 0x40
			v15 := append([]byte{6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12}, unsigned[16:]...)
			out := [][]byte{unsigned, append(claims, make([]byte, 18)...), v15}
			if alone {
				return append(out, bent)
			}
			return append(append(out, old...), p)
		})
		r, err := open(t, c.settings()).Read(within(t, ample))
		if !alone && (err != nil || r.Power != ha.PowerOn) {
			t.Errorf("forged answers before the real one: %+v, %v; want on", r, err)
		}
		if alone && (!errors.Is(err, fencing.ErrRubbish) || r.Power != ha.PowerUnknown) {
			t.Errorf("forged answers only: %+v, %v; want rubbish", r, err)
		}
	}
}

func TestAnAnswerOfYesterdayIsNoOff(t *testing.T) {
	t.Parallel()
	c := newController(t, plain)
	c.SetPower(ha.PowerOff)
	var recorded [][]byte
	c.hooks(nil, func(p []byte) [][]byte {
		if kind(p) == kindIPMI {
			recorded = append(recorded, slices.Clone(p))
		}
		return [][]byte{p}
	})
	d := open(t, c.settings())
	if r, err := d.Read(within(t, ample)); err != nil || r.Power != ha.PowerOff {
		t.Fatalf("%+v, %v", r, err)
	}
	c.SetPower(ha.PowerOn)
	settled(c.wire)
	n := 0
	c.hooks(nil, func(p []byte) [][]byte {
		if kind(p) == kindIPMI && n < len(recorded) {
			n++
			return [][]byte{recorded[n-1]}
		}
		return [][]byte{p}
	})
	if r, err := d.Read(within(t, 3*time.Second)); err == nil && r.Power != ha.PowerOn || r.Power == ha.PowerOff {
		t.Errorf("replayed answers: %+v, %v", r, err)
	}
	c.hooks(nil, nil)
	if n == 0 {
		t.Error("nothing was replayed")
	}
}
