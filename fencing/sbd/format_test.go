package sbd

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
)

// What sbd 1.5.2 wrote: `create`, `allocate n1`, `message n1 off` sent from a machine called vm.
const (
	realHeader = "5342445f5342445f02ff0000000002000000000500000002000000010000000a01dc14ae53ff1e453483a8cb77a23eedaf"
	realSlot   = "016e3100"
	realOff    = "03766d00"
)

func sectorOf(t testing.TB, hexa string) []byte {
	b, err := hex.DecodeString(hexa)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, make([]byte, minSector-len(b))...)
}

func TestBytesOfTheRealTool(t *testing.T) {
	h, err := decodeHeader(sectorOf(t, realHeader), minSector)
	if err != nil {
		t.Fatal(err)
	}
	if h.Times != DefaultTimes() || h.Slots != slotCount || h.Minor != minor || h.SectorSize != minSector || h.ID() != "dc14ae53-ff1e-4534-83a8-cb77a23eedaf" {
		t.Errorf("%+v, UUID %s", h, h.ID())
	}
	if !bytes.Equal(h.encode(), sectorOf(t, realHeader)) {
		t.Errorf("%x", h.encode()[:headerLen])
	}
	if name, used := decodeSlot(sectorOf(t, realSlot)); name != "n1" || !used || !bytes.Equal(encodeSlot("n1", minSector), sectorOf(t, realSlot)) {
		t.Errorf("slot %q %v", name, used)
	}
	if m := decodeMailbox(sectorOf(t, realOff)); m != (Mailbox{Off, "vm"}) || !bytes.Equal(m.encode(minSector), sectorOf(t, realOff)) {
		t.Errorf("mailbox %+v", m)
	}
	var words []string
	for c := range 7 {
		words = append(words, Command(c).String())
	}
	if got := strings.Join(words, " "); got != "clear test reset off exit crashdump undefined" {
		t.Error(got)
	}
}

func TestHeadersThatAreNone(t *testing.T) {
	good := sectorOf(t, realHeader)
	with := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "short": good[:headerLen-1], "zeros": make([]byte, minSector), "magic": with(7, '-'), "version 1": with(8, 1), "version 3": with(8, 3),
		"no slots": with(9, 0), "sectors of 4096": with(14, 0x10),
	} {
		if _, err := decodeHeader(b, minSector); !errors.Is(err, fencing.ErrRubbish) {
			t.Errorf("%s: %v", name, err)
		}
	}
	old, err := decodeHeader(with(32, 0), minSector)
	if err != nil || old.UUID != [16]byte{} {
		t.Errorf("minor version 0 has no UUID: %+v, %v", old, err)
	}
	if _, err := decodeHeader(with(32, 7), minSector); err != nil {
		t.Errorf("a newer minor version is compatible: %v", err)
	}
}

func TestNamesFillTheirFields(t *testing.T) {
	long := strings.Repeat("n", 80)
	if name, _ := decodeSlot(encodeSlot(long, minSector)); name != long[:nameMax] {
		t.Errorf("%d bytes", len(name))
	}
	full := append([]byte{1}, bytes.Repeat([]byte("x"), 100)...)
	if name, _ := decodeSlot(full); len(name) != nameMax+1 {
		t.Errorf("without a zero: %d bytes", len(name))
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{{"Node1", "nODE1", true}, {"node1", "node10", false}, {"ä", "Ä", false}} {
		if sameName(c.a, c.b) != c.same {
			t.Errorf("%+v", c)
		}
	}
}

func TestTimesThatDoNotFit(t *testing.T) {
	if err := DefaultTimes().check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Times){
		"watchdog is 0s":                func(t *Times) { t.Watchdog = 0 },
		"allocate is 1.5s":              func(t *Times) { t.Allocate = 1500 * time.Millisecond },
		"loop is -1s":                   func(t *Times) { t.Loop = -time.Second },
		"msgwait is":                    func(t *Times) { t.MsgWait = 1 << 62 },
		"not shorter than watchdog":     func(t *Times) { t.Loop = 5 * time.Second },
		"shorter than twice the watchd": func(t *Times) { t.MsgWait = 9 * time.Second },
	} {
		times := DefaultTimes()
		change(&times)
		if err := times.check(); !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Whatever lies on a disk: nothing crashes, and what is understood is written back the same.
func FuzzDisk(f *testing.F) {
	f.Add(sectorOf(f, realHeader), sectorOf(f, realSlot), sectorOf(f, realOff), "n1", 0)
	f.Add([]byte(magic), []byte{1}, []byte{255}, "", -1)
	f.Add(made(f, minSector, 1).b[:minSector], bytes.Repeat([]byte{1}, 600), bytes.Repeat([]byte{3}, 66), "x", 254)
	f.Fuzz(func(t *testing.T, header, slot, mailbox []byte, name string, at int) {
		if h, err := decodeHeader(header, minSector); err == nil {
			again, err := decodeHeader(h.encode(), minSector)
			if err != nil || again != h {
				t.Fatalf("%+v became %+v, %v", h, again, err)
			}
		}
		if n, used := decodeSlot(slot); used && len(n) <= nameMax {
			if again, _ := decodeSlot(encodeSlot(n, minSector)); again != n {
				t.Fatalf("%q became %q", n, again)
			}
		}
		if m := decodeMailbox(mailbox); len(m.From) <= nameMax && decodeMailbox(m.encode(minSector)) != m {
			t.Fatalf("%+v", m)
		}
		d := newMemDisk(minSector)
		copy(d.b, header)
		copy(d.b[slotSector(3)*minSector:], slot)
		copy(d.b[mailboxSector(3)*minSector:], mailbox)
		before := bytes.Clone(d.b)
		if s, _, err := look(d, name); err == nil && s.Slot >= 0 && !sameName(s.Name, name) {
			t.Fatalf("looked for %q, got %+v", name, s)
		}
		if s, err := lookAgain(d, at); err == nil && (s.Slot != at && s.Slot != -1) {
			t.Fatalf("%+v", s)
		}
		if !bytes.Equal(before, d.b) {
			t.Fatal("looking wrote")
		}
		_, _ = message(d, name, Mailbox{Command: Off})
		_, _ = clearMessage(d, at, name, Mailbox{Command: Off})
		_, _ = claim(d, name)
	})
}

// Whatever a servant says, or is told.
func FuzzServant(f *testing.F) {
	f.Add([]byte(`{"Sight":{"Slot":1,"Name":"n1","Mailbox":{"Command":3,"From":"vm"}}}`))
	f.Add([]byte(`{"Op":"again","Slot":-5}` + "\n" + `{"Op":"clear","Slot":99999999}`))
	f.Add([]byte(`{"Op":"format","Header":{"Slots":255,"SectorSize":-1}}`))
	f.Add([]byte(`{"Kind":"new","Text":"\u001b[31m"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, err := decodeAnswer(line); err != nil && strings.ContainsRune(err.Error(), 0x1b) {
			t.Fatalf("%q", err)
		}
		d := made(t, minSector, 1, "n1")
		var out bytes.Buffer
		serve([]string{"/dev/x", once}, bytes.NewReader(line), &out, func(string, bool) (sectors, error) { return d, nil })
		for answer := range bytes.Lines(out.Bytes()) {
			if _, err := decodeAnswer(answer); err != nil && fencing.Classify(err) == nil {
				t.Fatal(err)
			}
		}
	})
}
