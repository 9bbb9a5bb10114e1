package iscsi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// headerSize is the length of every basic header segment, in bytes.
const headerSize = 48

// maxSegment is the longest data segment that this side declares and accepts.
const maxSegment = 256 << 10

// reserved is the tag that stands for no task.
const reserved = 0xffffffff

// Opcodes; the bit "immediate" is apart.
const (
	opNopOut      = 0x00
	opCommand     = 0x01
	opLogin       = 0x03
	opDataOut     = 0x05
	opLogout      = 0x06
	opNopIn       = 0x20
	opResponse    = 0x21
	opLoginReply  = 0x23
	opDataIn      = 0x25
	opLogoutReply = 0x26
	opR2T         = 0x31
	opAsync       = 0x32
	opReject      = 0x3f

	immediate = 0x40
	final     = 0x80
)

// ErrProtocol: the other side does not speak iSCSI as the standard says.
var ErrProtocol = errors.New("not iSCSI as the standard has it")

// ErrLogin: the target does not let this initiator in.
var ErrLogin = errors.New("iSCSI login refused")

// ErrClosed: the target ended the session or asked for its end.
var ErrClosed = errors.New("the target ends the session")

// header is a basic header segment.
type header [headerSize]byte

func (h *header) op() byte               { return h[0] & 0x3f }
func (h *header) u32(at int) uint32      { return binary.BigEndian.Uint32(h[at:]) }
func (h *header) set32(at int, v uint32) { binary.BigEndian.PutUint32(h[at:], v) }

// setLength writes the length of the data segment: 24 bits.
func (h *header) setLength(n int) {
	h[5], h[6], h[7] = byte(n>>16), byte(n>>8), byte(n)
}

func (h *header) length() int { return int(h[5])<<16 | int(h[6])<<8 | int(h[7]) }

// setLUN writes a logical unit number: peripheral addressing below 256, flat above.
func (h *header) setLUN(lun uint16) {
	if lun < 256 {
		h[9] = byte(lun)
		return
	}
	h[8], h[9] = 0x40|byte(lun>>8)&0x3f, byte(lun)
}

// send writes one PDU, its data padded to four bytes.
func send(w io.Writer, h *header, data []byte) error {
	h.setLength(len(data))
	b := make([]byte, 0, headerSize+len(data)+3)
	b = append(append(b, h[:]...), data...)
	b = append(b, make([]byte, -len(data)&3)...)
	_, err := w.Write(b)
	return err
}

// receive reads one PDU. It refuses additional headers, which nobody asked for, and data longer than declared.
func receive(r io.Reader) (*header, []byte, error) {
	h := &header{}
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, nil, err
	}
	n := h.length()
	switch {
	case h[4] != 0:
		return nil, nil, fmt.Errorf("%w: a PDU with additional headers", ErrProtocol)
	case n > maxSegment:
		return nil, nil, fmt.Errorf("%w: a data segment of %d bytes, at most %d were agreed on", ErrProtocol, n, maxSegment)
	}
	data := make([]byte, n+(-n&3))
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, nil, err
	}
	return h, data[:n], nil
}
