package iscsi

import (
	"context"
	"encoding/binary"
	"fmt"
)

// Reply is how a command ended: its SCSI status, what it read, and the sense data of a status that has some.
type Reply struct {
	Status byte
	Data   []byte
	Sense  []byte
}

// task is the one command under way.
type task struct {
	lun  uint16
	tag  uint32
	out  []byte
	in   []byte
	read int // how far in is filled
}

// Execute sends one command to a logical unit and waits for its end. out goes to the unit; in is how much it may
// send at most. A command with both is not supported. After an error the session is good for nothing but Close.
func (s *Session) Execute(ctx context.Context, lun uint16, cdb, out []byte, in int) (Reply, error) {
	if len(cdb) == 0 || len(cdb) > 16 || len(out) > 0 && in > 0 || in > 1<<24 || lun >= 1<<14 {
		return Reply{}, fmt.Errorf("%w: no such command can be sent", ErrProtocol)
	}
	if s.broken {
		return Reply{}, ErrClosed
	}
	defer s.bind(ctx)()
	s.broken = true
	s.tag++
	t := &task{lun: lun, tag: s.tag, out: out, in: make([]byte, in)}
	reply, err := s.run(t, cdb)
	if err != nil {
		return Reply{}, fmt.Errorf("iSCSI command %#02x: %w", cdb[0], ended(ctx, err))
	}
	s.broken = false
	return reply, nil
}

func (s *Session) run(t *task, cdb []byte) (Reply, error) {
	for int32(s.maxCmdSN-s.cmdSN) < 0 { // the target takes no command now
		h, data, err := receive(s.conn)
		if err != nil {
			return Reply{}, err
		}
		if _, err := s.handle(t, h, data); err != nil {
			return Reply{}, err
		}
	}
	if err := s.command(t, cdb); err != nil {
		return Reply{}, err
	}
	for {
		h, data, err := receive(s.conn)
		if err != nil {
			return Reply{}, err
		}
		if reply, err := s.handle(t, h, data); reply != nil || err != nil {
			return deref(reply), err
		}
	}
}

func deref(r *Reply) Reply {
	if r == nil {
		return Reply{}
	}
	return *r
}

// command sends the request with as much of its data as may come unasked.
func (s *Session) command(t *task, cdb []byte) error {
	h := &header{opCommand, final | 0x01} // simple task
	n := len(t.in)
	if n > 0 {
		h[1] |= 0x40
	}
	var first []byte
	if len(t.out) > 0 {
		h[1] |= 0x20
		n = len(t.out)
		if s.agreed.immediate {
			first = t.out[:min(n, s.agreed.firstBurst, s.agreed.segment)]
		}
	}
	h.setLUN(t.lun)
	h.set32(16, t.tag)
	h.set32(20, uint32(n))
	h.set32(24, s.cmdSN)
	h.set32(28, s.expStatSN)
	copy(h[32:], cdb)
	s.cmdSN++
	return send(s.conn, h, first)
}

// handle takes one PDU of the target. A reply ends the command.
func (s *Session) handle(t *task, h *header, data []byte) (*Reply, error) {
	switch h.op() {
	case opNopIn:
		return nil, s.pong(h, data)
	case opAsync:
		return nil, s.async(h)
	case opReject:
		return nil, fmt.Errorf("%w: it rejects a PDU, reason %#02x", ErrProtocol, h[2])
	}
	if h.u32(16) != t.tag {
		return nil, fmt.Errorf("%w: PDU %#02x for a command that was not sent", ErrProtocol, h.op())
	}
	switch h.op() {
	case opR2T:
		return nil, s.give(t, h)
	case opDataIn:
		return s.take(t, h, data)
	case opResponse:
		s.count(h)
		return s.response(t, h, data)
	}
	return nil, fmt.Errorf("%w: PDU %#02x in the middle of a command", ErrProtocol, h.op())
}

// count keeps the numbers of a PDU that carries a status.
func (s *Session) count(h *header) {
	s.expStatSN, s.maxCmdSN = h.u32(24)+1, h.u32(32)
}

// pong answers a ping that wants an answer.
func (s *Session) pong(h *header, data []byte) error {
	s.maxCmdSN = h.u32(32)
	if h.u32(20) == reserved {
		return nil
	}
	r := &header{immediate | opNopOut, final}
	copy(r[8:16], h[8:16])
	r.set32(16, reserved)
	r.set32(20, h.u32(20))
	r.set32(24, s.cmdSN)
	r.set32(28, s.expStatSN)
	return send(s.conn, r, data[:min(len(data), s.agreed.segment)])
}

// async takes an event. Only word of a unit's own sense data lets the session live.
func (s *Session) async(h *header) error {
	s.count(h)
	if event := h[36]; event != 0 {
		return fmt.Errorf("%w (event %d)", ErrClosed, event)
	}
	return nil
}

// give sends what an R2T asks for, in segments.
func (s *Session) give(t *task, h *header) error {
	s.maxCmdSN = h.u32(32)
	from, n := int(h.u32(40)), int(h.u32(44))
	if n == 0 || n > s.agreed.burst || from > len(t.out) || n > len(t.out)-from {
		return fmt.Errorf("%w: it asks for %d bytes at %d of %d", ErrProtocol, n, from, len(t.out))
	}
	for sn, end := uint32(0), from+n; from < end; sn++ {
		part := t.out[from:min(end, from+s.agreed.segment)]
		d := &header{opDataOut}
		if from+len(part) == end {
			d[1] = final
		}
		copy(d[8:16], h[8:16])
		d.set32(16, t.tag)
		d.set32(20, h.u32(20))
		d.set32(28, s.expStatSN)
		d.set32(36, sn)
		d.set32(40, uint32(from))
		if err := send(s.conn, d, part); err != nil {
			return err
		}
		from += len(part)
	}
	return nil
}

// take keeps a piece of data, which comes in order, and ends the command if the status travels with it.
func (s *Session) take(t *task, h *header, data []byte) (*Reply, error) {
	if at := int(h.u32(40)); at != t.read || len(data) > len(t.in)-at {
		return nil, fmt.Errorf("%w: %d bytes at %d, %d of %d were there", ErrProtocol, len(data), at, t.read, len(t.in))
	}
	t.read += copy(t.in[t.read:], data)
	if h[1]&0x01 == 0 {
		return nil, nil
	}
	s.count(h)
	return &Reply{Status: h[3], Data: t.in[:t.read]}, nil
}

// response is the end of a command whose status did not travel with data.
func (s *Session) response(t *task, h *header, data []byte) (*Reply, error) {
	if h[2] != 0 {
		return nil, fmt.Errorf("%w: the command did not reach its end, response %#02x", ErrClosed, h[2])
	}
	r := &Reply{Status: h[3], Data: t.in[:t.read]}
	if len(data) >= 2 {
		if n := int(binary.BigEndian.Uint16(data)); n <= len(data)-2 {
			r.Sense = data[2 : 2+n]
		}
	}
	return r, nil
}
