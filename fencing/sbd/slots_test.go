package sbd

import (
	"bytes"
	"errors"
	"testing"

	"bascule/fencing"
)

func TestLookFindsTheFirstSlotOfAName(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		d := made(t, sector, 1, "n3", "Node2", "node2")
		put(d, 1, Mailbox{Off, "a"})
		put(d, 2, Mailbox{Reset, "b"})
		if s, free, err := look(d, "NODE2"); err != nil || s.Slot != 1 || s.Name != "Node2" || s.Mailbox != (Mailbox{Off, "a"}) || free != -1 {
			t.Errorf("%+v, free %d, %v", s, free, err)
		}
		if s, free, err := look(d, "node9"); err != nil || s.Slot != -1 || free != 3 || s.Header.SectorSize != sector {
			t.Errorf("%+v, free %d, %v", s, free, err)
		}
		if s, err := lookAgain(d, 2); err != nil || s.Slot != 2 || s.Mailbox != (Mailbox{Reset, "b"}) {
			t.Errorf("%+v, %v", s, err)
		}
		if s, err := lookAgain(d, 7); err != nil || s.Slot != -1 {
			t.Errorf("%+v, %v", s, err)
		}
		for _, slot := range []int{-1, slotCount, 1 << 40} {
			if _, err := lookAgain(d, slot); !errors.Is(err, fencing.ErrRubbish) {
				t.Errorf("slot %d: %v", slot, err)
			}
		}
	}
}

func TestMessageTouchesOneSectorOnly(t *testing.T) {
	d := made(t, 512, 1, "n1", "n2")
	want := bytes.Clone(d.b)
	copy(want[mailboxSector(1)*512:], Mailbox{Off, "me"}.encode(512))
	if s, err := message(d, "N2", Mailbox{Off, "me"}); err != nil || s.Slot != 1 || !bytes.Equal(d.b, want) {
		t.Errorf("%+v, %v, the same elsewhere: %v", s, err, bytes.Equal(d.b, want))
	}
	if _, err := message(d, "n3", Mailbox{Off, "me"}); !errors.Is(err, errNoSlot) || !bytes.Equal(d.b, want) {
		t.Errorf("a node without slot: %v", err)
	}
}

func TestClaim(t *testing.T) {
	d := made(t, 512, 1, "n1", "", "n3")
	copy(d.b[slotSector(1)*512:], make([]byte, 512)) // given back
	if s, err := claim(d, "n3"); err != nil || s.Slot != 2 {
		t.Errorf("who has one keeps it: %+v, %v", s, err)
	}
	if s, err := claim(d, "n4"); err != nil || s.Slot != 1 {
		t.Errorf("the first that is free: %+v, %v", s, err)
	}
	for i := range slotCount {
		if err := d.write(slotSector(i), encodeSlot("taken", 512)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := claim(d, "n5"); !errors.Is(err, fencing.ErrRefused) {
		t.Errorf("none is free: %v", err)
	}
}

func TestClearTakesOnlyWhatWasSeen(t *testing.T) {
	d := made(t, 512, 1, "n1", "n2")
	seen := Mailbox{Off, "old"}
	put(d, 0, Mailbox{Off, "new"})
	put(d, 1, seen)
	if s, err := clearMessage(d, 0, "n1", seen); err != nil || s.Mailbox != (Mailbox{Off, "new"}) {
		t.Errorf("a message that came meanwhile: %+v, %v", s, err)
	}
	if _, err := clearMessage(d, 1, "n1", seen); !errors.Is(err, fencing.ErrRubbish) {
		t.Errorf("another node's slot: %v", err)
	}
	if decodeMailbox(d.b[mailboxSector(0)*512:]) != (Mailbox{Off, "new"}) || decodeMailbox(d.b[mailboxSector(1)*512:]) != seen {
		t.Error("something was cleared")
	}
	if s, err := clearMessage(d, 1, "N2", seen); err != nil || s.Mailbox != (Mailbox{}) || decodeMailbox(d.b[mailboxSector(1)*512:]) != (Mailbox{}) {
		t.Errorf("its own: %+v, %v", s, err)
	}
}

func TestFormatSparesWhatIsThere(t *testing.T) {
	d := made(t, 512, 1, "n1")
	h := Header{Minor: minor, Slots: slotCount, Times: DefaultTimes()}
	if err := format(d, h); !errors.Is(err, fencing.ErrRefused) {
		t.Errorf("an SBD disk: %v", err)
	}
	d = newMemDisk(512)
	d.b[len(d.b)-1] = 1
	if err := format(d, h); !errors.Is(err, fencing.ErrRefused) || d.b[0] != 0 {
		t.Errorf("something in the last sector: %v", err)
	}
	d = newMemDisk(512)
	d.onWrite = func(sector int) error {
		if sector == 1 {
			return ioError(errors.New("torn off"))
		}
		return nil
	}
	if err := format(d, h); !errors.Is(err, fencing.ErrUnreachable) {
		t.Error(err)
	}
	if _, err := readHeader(d); err == nil {
		t.Error("half a disk has a header")
	}
}

func put(d *memDisk, slot int, m Mailbox) {
	copy(d.b[mailboxSector(slot)*d.sector:], m.encode(d.sector))
}
