package sbd

import (
	"errors"
	"fmt"

	"bascule/fencing"
)

// sectors is an open disk. Its calls may hang for any time: only a servant has one.
type sectors interface {
	size() int // bytes of a sector
	read(first, n int) ([]byte, error)
	write(sector int, b []byte) error
}

// Sight is what one look at one disk showed.
type Sight struct {
	Header  Header
	Slot    int    // -1: no slot has the name
	Name    string // in the slot, as it is written there
	Mailbox Mailbox
}

// errNoSlot: the node never watched this disk, or the name is another one.
var errNoSlot = errors.New("no slot has this name")

func readHeader(d sectors) (Header, error) {
	b, err := d.read(0, 1)
	if err != nil {
		return Header{}, err
	}
	return decodeHeader(b, d.size())
}

// look finds the slot of a node, the first that has its name as sbd does, and reads its mailbox. No slot is no error: Slot is -1. free is
// the first slot that nobody has, -1 if there is none.
func look(d sectors, name string) (s Sight, free int, err error) {
	s.Slot, free = -1, -1
	if s.Header, err = readHeader(d); err != nil {
		return s, free, err
	}
	area, err := d.read(1, 2*s.Header.Slots) // at once: a slot and its mailbox lie side by side
	if err != nil {
		return s, free, err
	}
	sector := func(n int) []byte { return area[(n-1)*d.size() : n*d.size()] }
	for i := range s.Header.Slots {
		owner, used := decodeSlot(sector(slotSector(i)))
		if !used && free < 0 {
			free = i
		}
		if used && sameName(owner, name) {
			s.Slot, s.Name, s.Mailbox = i, owner, decodeMailbox(sector(mailboxSector(i)))
			return s, free, nil
		}
	}
	return s, free, nil
}

// lookAgain reads a slot that is known, as a node does in each loop: the header, the name and the mailbox, three sectors.
func lookAgain(d sectors, slot int) (s Sight, err error) {
	if s.Header, err = readHeader(d); err != nil {
		return s, err
	}
	if slot < 0 || slot >= s.Header.Slots {
		return s, fmt.Errorf("%w: it has %d slots only", fencing.ErrRubbish, s.Header.Slots)
	}
	pair, err := d.read(slotSector(slot), 2)
	if err != nil {
		return s, err
	}
	name, used := decodeSlot(pair)
	if s.Slot = slot; !used {
		s.Slot = -1
	}
	s.Name, s.Mailbox = name, decodeMailbox(pair[d.size():])
	return s, nil
}

// message writes into the mailbox of a node, whatever lay there.
func message(d sectors, name string, m Mailbox) (Sight, error) {
	s, _, err := look(d, name)
	if err != nil {
		return s, err
	}
	if s.Slot < 0 {
		return s, errNoSlot
	}
	s.Mailbox = m
	return s, d.write(mailboxSector(s.Slot), m.encode(d.size()))
}

// claim takes a slot for a node that has none. Another node may take the same slot at the same time: whoever still finds its name there
// after Times.Allocate has it. The sight shows the slot that the node has or tries to get.
func claim(d sectors, name string) (Sight, error) {
	s, free, err := look(d, name)
	if err != nil || s.Slot >= 0 {
		return s, err
	}
	if free < 0 {
		return s, fmt.Errorf("%w: all its %d slots are taken", fencing.ErrRefused, s.Header.Slots)
	}
	s.Slot, s.Name = free, name
	return s, d.write(slotSector(free), encodeSlot(name, d.size()))
}

// clearMessage empties a mailbox, if the slot still has this name and the mailbox still holds what was seen: a message that came
// meanwhile stays. The sight shows the mailbox as it is then.
func clearMessage(d sectors, slot int, name string, seen Mailbox) (Sight, error) {
	s, err := lookAgain(d, slot)
	if err != nil {
		return s, err
	}
	if s.Slot < 0 || !sameName(s.Name, name) {
		return s, fmt.Errorf("%w: slot %d belongs to %q now", fencing.ErrRubbish, slot, s.Name)
	}
	if s.Mailbox != seen {
		return s, nil
	}
	s.Mailbox = Mailbox{}
	return s, d.write(mailboxSector(slot), s.Mailbox.encode(d.size()))
}

// format makes a disk an SBD disk. It refuses a disk that holds anything where it would write. The header comes last: what
// ends half-way is no SBD disk.
func format(d sectors, h Header) error {
	h.SectorSize = d.size()
	old, err := d.read(0, 1+2*h.Slots)
	if err != nil {
		return err
	}
	for _, b := range old {
		if b == 0 {
			continue
		}
		if _, err := decodeHeader(old, d.size()); err == nil {
			return fmt.Errorf("%w: it is an SBD disk already, nodes may be watching it", fencing.ErrRefused)
		}
		return fmt.Errorf("%w: it is not empty: if nothing on it is needed, write zeros over its first %d bytes", fencing.ErrRefused, len(old))
	}
	empty := make([]byte, d.size())
	for sector := 2 * h.Slots; sector > 0; sector-- {
		if err := d.write(sector, empty); err != nil {
			return err
		}
	}
	return d.write(0, h.encode())
}
