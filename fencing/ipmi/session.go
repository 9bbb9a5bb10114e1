package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing"
)

// busyPause is how long a controller that says "node busy" is left alone.
const busyPause = 200 * time.Millisecond

var errBusy = fmt.Errorf("%w: it says that it is busy", fencing.ErrTimeout)

// session is an open, authenticated session.
type session struct {
	l            *link
	keys         sessionKeys
	console, bmc uint32
	guid         [16]byte // from the handshake
	seq          uint32   // of the last packet
	rqSeq        uint8    // of the last command
}

// call sends a command and returns its answer; a completion code other than OK is no error here. It asks a busy controller again.
func (s *session) call(cmd types.Command, data []byte) (answer, error) {
	for busy := false; ; busy = true {
		a, err := s.once(cmd, data)
		if busy && errors.Is(err, fencing.ErrTimeout) {
			err = errBusy
		}
		if err != nil || a.code != types.CodeNodeBusy {
			return a, err
		}
		select {
		case <-s.l.ctx.Done():
			return answer{}, errBusy
		case <-time.After(busyPause):
		}
	}
}

// once sends a command, and sends it again under the same number while no answer comes. The commands here may be carried out
// twice without harm, and each retransmission has its own place in the session's sequence, or the controller would drop it.
func (s *session) once(cmd types.Command, data []byte) (got answer, err error) {
	if s.rqSeq >= maxRqSeq {
		return answer{}, errBusy // the numbers are used up
	}
	s.rqSeq++
	err = s.l.exchange(
		func(int) ([][]byte, error) {
			p, err := s.seal(request(cmd, s.rqSeq, data))
			return [][]byte{p}, err
		},
		func(in []byte) (bool, error) {
			msg, err := s.unseal(in)
			if err != nil || msg == nil {
				return false, err
			}
			a, ours, err := parseAnswer(msg, cmd, s.rqSeq)
			if err != nil || !ours {
				return false, err
			}
			got = a
			return true, nil
		})
	return got, err
}

// seal encrypts and signs a message.
func (s *session) seal(msg []byte) ([]byte, error) {
	payload, err := s.keys.encrypt(msg)
	if err != nil {
		return nil, err
	}
	s.seq++
	return s.keys.sign(build(types.PayloadTypeIPMI, flagEncrypt|flagSigned, s.bmc, s.seq, payload))
}

// unseal returns the message in a packet of this session, a copy; nil if it is one of the handshake that came late.
// Whatever is not signed with the session's key is nonsense, whatever it says.
func (s *session) unseal(in []byte) ([]byte, error) {
	p, err := parse(in)
	if err != nil {
		return nil, err
	}
	if p.kind != types.PayloadTypeIPMI && p.session == 0 {
		return nil, nil
	}
	if p.kind != types.PayloadTypeIPMI || p.session != s.console || !p.signed || !s.keys.signed(p.raw) {
		return nil, fmt.Errorf("%w: an answer that is not signed with the session's key", fencing.ErrRubbish)
	}
	if p.crypted {
		return s.keys.decrypt(p.payload)
	}
	return append([]byte(nil), p.payload...), nil
}

// raise gives the session its privilege: it begins as user, who may look but not switch.
func (s *session) raise(level types.PrivilegeLevel) error {
	a, err := s.call(types.CommandSetSessionPrivilegeLevel, []byte{uint8(level)})
	if err == nil && a.code != types.CodeOK {
		err = fmt.Errorf("%w: the account may not work as %s: %s", fencing.ErrRefused, level, said(types.CommandSetSessionPrivilegeLevel, a.code))
	}
	return err
}

// end closes the session with one datagram and waits for no answer. It is sent even when the call's time is up: it switches
// nothing, and controllers have only a handful of sessions.
func (s *session) end() {
	id := binary.LittleEndian.AppendUint32(nil, s.bmc)
	s.rqSeq++
	if p, err := s.seal(request(types.CommandCloseSession, s.rqSeq&maxRqSeq, id)); err == nil {
		s.l.conn.Write(p)
	}
}

// with opens a session, runs f in it and closes it.
func with(ctx context.Context, set settings, f func(*session) error) error {
	password, err := readPassword(set)
	if err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	l, err := dial(ctx, set.address)
	if err != nil {
		return err
	}
	defer l.close()
	s, err := connect(l, login{user: set.user, password: password, privilege: set.privilege, suites: set.suites})
	if err != nil {
		return during("opening a session", err)
	}
	defer s.end()
	return f(s)
}

// during names the stage in which nothing was switched yet.
func during(stage string, err error) error {
	kind := fencing.Classify(err)
	if errors.Is(kind, fencing.ErrTimeout) || errors.Is(kind, fencing.ErrRubbish) {
		return fmt.Errorf("%w (while %s)", err, stage)
	}
	return err
}
