package iscsi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// logoutTime bounds the end of a session, which is tried even when the caller's time is up: a target has only so many.
const logoutTime = 300 * time.Millisecond

// Config says whom to log in to, and as whom. Initiator and ISID together are the port that a target remembers
// registrations for: a session with the same two takes the place of an older one.
type Config struct {
	Address   string // HOST:PORT
	Target    string // iqn
	Initiator string // iqn
	ISID      [6]byte
	// Dial opens the connection.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Session is one session with one connection. It is not safe for concurrent use.
type Session struct {
	conn      net.Conn
	isid      [6]byte
	tsih      uint16
	tag       uint32
	cmdSN     uint32
	maxCmdSN  uint32
	expStatSN uint32
	agreed    limits
	broken    bool // something went wrong in the middle of a PDU: no word can be exchanged any more
}

// Login opens a session. It ends with ctx.
func Login(ctx context.Context, c Config) (*Session, error) {
	conn, err := c.Dial(ctx, "tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("iSCSI portal %s: %w", c.Address, err)
	}
	s := &Session{conn: conn, isid: c.ISID, tag: 1, cmdSN: 1}
	stop := s.bind(ctx)
	err = s.login(c.Initiator, c.Target)
	stop()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("iSCSI target %s at %s (as %s): %w", c.Target, c.Address, c.Initiator, ended(ctx, err))
	}
	return s, nil
}

// bind makes the connection's reads and writes end with ctx, until stop is called.
func (s *Session) bind(ctx context.Context) (stop func()) {
	deadline, _ := ctx.Deadline() // the zero time is none
	s.conn.SetDeadline(deadline)
	quit := context.AfterFunc(ctx, func() { s.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { quit() }
}

// ended prefers the reason why ctx ended to the connection's own words about it.
func ended(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w (%w)", ctx.Err(), err)
	case errors.Is(err, os.ErrDeadlineExceeded): // it is the context's, whose own clock is a moment behind
		return fmt.Errorf("%w (%w)", context.DeadlineExceeded, err)
	}
	return err
}

// Close logs out, so that the target need not wait for a session that never returns, and closes the connection.
func (s *Session) Close() {
	defer s.conn.Close()
	if s.broken {
		return
	}
	s.conn.SetDeadline(time.Now().Add(logoutTime))
	s.tag++
	h := &header{immediate | opLogout, final}
	h.set32(16, s.tag)
	h.set32(24, s.cmdSN)
	h.set32(28, s.expStatSN)
	if send(s.conn, h, nil) != nil {
		return
	}
	for range maxLoginRounds {
		if r, _, err := receive(s.conn); err != nil || r.op() == opLogoutReply {
			return
		}
	}
}
