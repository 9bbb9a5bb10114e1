package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"bascule/fencing"
)

// How lost datagrams are met. A controller needs up to a third of a second for one message of the key exchange; a
// retransmission before that only confuses it.
const (
	firstWait = 500 * time.Millisecond
	maxWait   = 2 * time.Second
	patience  = 30 * time.Second // of a call whose context has no deadline
	maxBad    = 4                // datagrams of nonsense that end an exchange
)

// errAgain makes an exchange send at once what there is to send now.
var errAgain = errors.New("send again")

// link is the UDP socket of one call. It is connected, so that the kernel drops what others send and tells when nobody listens.
type link struct {
	ctx  context.Context
	conn net.Conn
	buf  [maxPacket]byte
	stop func() bool

	firstWait time.Duration // for an answer, until a message is sent again
}

func dial(ctx context.Context, address string) (*link, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", address)
	if err != nil {
		return nil, lost(ctx, err)
	}
	l := &link{ctx: ctx, conn: conn, firstWait: firstWait}
	l.stop = context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) }) // wakes a waiting read
	return l, nil
}

func (l *link) close() {
	l.stop()
	l.conn.Close()
}

// send puts a datagram on the wire, never after the context has ended: a late one could be a command of a past leadership.
// UDP has no kernel behind it that would go on sending.
func (l *link) send(p []byte) error {
	if l.ctx.Err() != nil {
		return lost(l.ctx, l.ctx.Err())
	}
	if _, err := l.conn.Write(p); err != nil {
		return lost(l.ctx, err)
	}
	return nil
}

// receive waits for a datagram; errAgain means that it is time to send once more.
func (l *link) receive(until time.Time) ([]byte, error) {
	if err := l.conn.SetReadDeadline(until); err != nil {
		return nil, lost(l.ctx, err)
	}
	if l.ctx.Err() != nil { // the wake-up may have been before our deadline replaced it
		return nil, lost(l.ctx, l.ctx.Err())
	}
	n, err := l.conn.Read(l.buf[:])
	switch {
	case err == nil:
		return l.buf[:n:n], nil
	case l.ctx.Err() != nil:
		return nil, lost(l.ctx, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errAgain
	}
	return nil, lost(l.ctx, err)
}

// exchange sends what packets returns, again and again while nothing comes, and gives each datagram to take, until that
// has its answer. take returns errAgain to send at once, an error that wraps fencing.ErrRubbish for nonsense (of
// which a few are borne: anybody can send datagrams), and any other error to end.
func (l *link) exchange(packets func(try int) ([][]byte, error), take func([]byte) (done bool, err error)) error {
	var nonsense error
	bad, wait := 0, l.firstWait
	for try := 0; ; try++ {
		out, err := packets(try)
		if err != nil {
			return err
		}
		for _, p := range out {
			if err := l.send(p); err != nil {
				return err
			}
		}
		until, asked := time.Now().Add(wait), false
		for !asked {
			in, err := l.receive(until)
			if errors.Is(err, errAgain) {
				wait = min(2*wait, maxWait)
				break
			}
			if err != nil {
				return err
			}
			done, err := take(in)
			switch {
			case errors.Is(err, errAgain):
				asked = true
			case errors.Is(err, fencing.ErrRubbish):
				nonsense, bad = err, bad+1
			case err != nil || done:
				return err
			}
			if bad >= maxBad {
				return nonsense
			}
		}
		if bad > 1 {
			return nonsense // two transmissions were answered, with nonsense only
		}
	}
}

// lost turns an error of the socket into one of package fencing.
func lost(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%w: cancelled before the controller answered", fencing.ErrTimeout)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: the controller does not answer, or not completely", fencing.ErrTimeout)
	}
	return fmt.Errorf("%w: %w", fencing.ErrUnreachable, err)
}
