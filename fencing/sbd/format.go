package sbd

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"bascule/fencing"
)

// The layout: a header in sector 0, then two sectors for each slot, the name of its node and its mailbox. Numbers are big-endian;
// the gaps are those of the C structures.
const (
	magic     = "SBD_SBD_"
	version   = 2
	minor     = 1 // since then the header has a UUID
	slotCount = 255
	nameMax   = 63 // bytes of a node's name; the field has one more, for the zero
	headerLen = 49
	fieldLen  = 1 + nameMax + 1
	minSector = 512
	maxSector = 4096
)

func slotSector(slot int) int    { return 1 + 2*slot }
func mailboxSector(slot int) int { return 2 + 2*slot }

// Times are the waits that a disk's header orders, for everybody who uses it. Whole seconds.
type Times struct {
	Watchdog time.Duration // who has not seen enough disks for so long ends itself
	Allocate time.Duration // a slot that is still one's own after so long is one's own
	Loop     time.Duration // a node looks into its slot so often
	MsgWait  time.Duration // so long after a message was written the node has ended
}

// DefaultTimes are those of `sbd create`.
func DefaultTimes() Times {
	return Times{Watchdog: 5 * time.Second, Allocate: 2 * time.Second, Loop: time.Second, MsgWait: 10 * time.Second}
}

// Header is a disk's first sector.
type Header struct {
	Minor      byte
	Slots      int
	SectorSize int
	Times      Times
	UUID       [16]byte // of this disk alone; zero with minor version 0
}

// ID is the disk's UUID as people write it.
func (h Header) ID() string {
	x := hex.EncodeToString(h.UUID[:])
	return strings.Join([]string{x[:8], x[8:12], x[12:16], x[16:20], x[20:]}, "-")
}

// Command is what a mailbox holds.
type Command byte

// The commands of sbd.
const (
	Clear     Command = 0
	Test      Command = 1
	Reset     Command = 2
	Off       Command = 3
	Exit      Command = 4
	Crashdump Command = 5
)

func (c Command) String() string {
	names := []string{"clear", "test", "reset", "off", "exit", "crashdump"}
	if int(c) < len(names) {
		return names[c]
	}
	return "undefined"
}

// Ends says whether the command certainly ends the node. A crash dump may take any time, so it is not counted on, only obeyed.
func (c Command) Ends() bool { return c == Off || c == Reset }

// Mailbox is what lies in a node's mailbox.
type Mailbox struct {
	Command Command
	From    string // who wrote it
}

// decodeHeader reads sector 0 of a disk whose sectors have this size.
func decodeHeader(b []byte, sectorSize int) (Header, error) {
	if len(b) < headerLen || string(b[:8]) != magic {
		return Header{}, fmt.Errorf("%w: it is no SBD disk: make it one with sbd create, or correct its path", fencing.ErrRubbish)
	}
	if b[8] != version {
		return Header{}, fmt.Errorf("%w: its SBD header has version %d, known is %d", fencing.ErrRubbish, b[8], version)
	}
	seconds := func(at int) time.Duration { return time.Duration(binary.BigEndian.Uint32(b[at:])) * time.Second }
	h := Header{
		Slots: int(b[9]), SectorSize: int(binary.BigEndian.Uint32(b[12:])), Minor: b[32],
		Times: Times{Watchdog: seconds(16), Allocate: seconds(20), Loop: seconds(24), MsgWait: seconds(28)},
	}
	if h.Minor > 0 {
		copy(h.UUID[:], b[33:headerLen])
	}
	if h.SectorSize != sectorSize {
		return Header{}, fmt.Errorf("%w: its SBD header is for sectors of %d bytes, the disk has %d: it was copied from another disk", fencing.ErrRubbish, h.SectorSize, sectorSize)
	}
	if h.Slots == 0 {
		return Header{}, fmt.Errorf("%w: its SBD header says that it has no slots", fencing.ErrRubbish)
	}
	return h, nil
}

// encode writes the header as a sector. Times are cut to whole seconds.
func (h Header) encode() []byte {
	b := make([]byte, h.SectorSize)
	copy(b, magic)
	b[8], b[9] = version, byte(h.Slots)
	seconds := func(at int, d time.Duration) { binary.BigEndian.PutUint32(b[at:], uint32(d/time.Second)) }
	binary.BigEndian.PutUint32(b[12:], uint32(h.SectorSize))
	seconds(16, h.Times.Watchdog)
	seconds(20, h.Times.Allocate)
	seconds(24, h.Times.Loop)
	seconds(28, h.Times.MsgWait)
	if b[32] = h.Minor; h.Minor > 0 {
		copy(b[33:], h.UUID[:])
	}
	return b
}

// check says what is wrong with times to be written; the error wraps ErrSettings.
func (t Times) check() error {
	for _, x := range []struct {
		name string
		d    time.Duration
	}{{"watchdog", t.Watchdog}, {"allocate", t.Allocate}, {"loop", t.Loop}, {"msgwait", t.MsgWait}} {
		if x.d < time.Second || x.d%time.Second != 0 || x.d/time.Second > math.MaxInt32 {
			return fmt.Errorf("%w: the time %s is %v: write whole seconds, at least one", fencing.ErrSettings, x.name, x.d)
		}
	}
	if t.Loop >= t.Watchdog {
		return fmt.Errorf("%w: loop %v is not shorter than watchdog %v: every node would end itself at once", fencing.ErrSettings, t.Loop, t.Watchdog)
	}
	if t.MsgWait < 2*t.Watchdog {
		return fmt.Errorf("%w: msgwait %v is shorter than twice the watchdog time %v: a node could outlive its message", fencing.ErrSettings, t.MsgWait, t.Watchdog)
	}
	return nil
}

// decodeSlot reads a slot's sector: the node's name, or none.
func decodeSlot(b []byte) (name string, used bool) {
	if len(b) < fieldLen || b[0] == 0 {
		return "", false
	}
	return text(b[1:fieldLen]), true
}

// encodeSlot makes the sector of a slot that belongs to a node.
func encodeSlot(name string, sectorSize int) []byte { return encodeField(1, name, sectorSize) }

func decodeMailbox(b []byte) Mailbox {
	if len(b) < fieldLen {
		return Mailbox{}
	}
	return Mailbox{Command: Command(b[0]), From: text(b[1:fieldLen])}
}

func (m Mailbox) encode(sectorSize int) []byte {
	return encodeField(byte(m.Command), m.From, sectorSize)
}

func encodeField(first byte, s string, sectorSize int) []byte {
	b := make([]byte, sectorSize)
	b[0] = first
	copy(b[1:1+nameMax], s)
	return b
}

// text is a C string: up to the first zero.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// sameName compares as sbd does: ASCII letters of either case are equal.
func sameName(a, b string) bool { return lower(a) == lower(b) }

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
