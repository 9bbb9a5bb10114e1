package netsw

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

const (
	// heldMax bounds what is kept of a direction that carries nothing; beyond it the sender's own buffers fill up.
	heldMax = 256 << 10
	// window is how much goes on in a direction whose way back is cut: without acknowledgements a TCP sender stops after it.
	window = 64 << 10
)

// pipe is one direction of a flow. It reads even while nothing passes, so that a sender who goes away is noticed.
type pipe struct {
	flow     *flow
	from, to string
	r, w     *net.TCPConn

	held    []byte
	buf     []byte
	end     error // why reading ended, io.EOF for an orderly close
	unacked int   // bytes forwarded since the way back was cut
	epoch   <-chan struct{}

	clean            bool // the end was passed on
	brokenR, brokenW bool // the connection on this side failed
}

// run copies until the direction ends or the flow does.
func (p *pipe) run() {
	for {
		p.arm()
		if p.flow.stopped() || p.flow.isBroken() {
			return
		}
		allowed := p.allowance()
		switch {
		case len(p.held) > 0 && allowed > 0:
			if !p.forward(min(len(p.held), allowed)) {
				return
			}
		case len(p.held) == 0 && p.end != nil && allowed > 0:
			p.passEnd()
			return
		case p.end != nil && p.flow.waiting(p, true):
			return // both ends have gone away while nothing passed
		default:
			p.fill()
		}
	}
}

// arm prepares to wait for data or for a change of the network. A change after it makes the next fill return at once.
func (p *pipe) arm() {
	p.epoch = p.flow.sw.fabric.changed()
	_ = p.r.SetReadDeadline(time.Time{}) // fails only on a closed connection, as the read then does
}

// allowance is how many bytes may pass now.
func (p *pipe) allowance() int {
	if !p.flow.passes(p.from, p.to) {
		return 0
	}
	if p.flow.passes(p.to, p.from) {
		p.unacked = 0
		return heldMax
	}
	return window - p.unacked
}

// forward writes the first n held bytes. It says false when the receiver's side is broken.
func (p *pipe) forward(n int) bool {
	written, err := p.w.Write(p.held[:n])
	p.held = p.held[:copy(p.held, p.held[written:])]
	p.unacked += written
	p.flow.sw.count.carried(p.from, p.to, written)
	if err == nil {
		return true
	}
	p.brokenW = true
	p.flow.breakUp()
	return false
}

// passEnd tells the receiver how the sender ended: by FIN here, by RST through the flow.
func (p *pipe) passEnd() {
	p.flow.waiting(p, false)
	if errors.Is(p.end, io.EOF) {
		p.clean = p.w.CloseWrite() == nil
		if !p.clean {
			p.brokenW = true
			p.flow.breakUp()
		}
		return
	}
	p.brokenR = true
	p.flow.breakUp()
}

// fill waits for data, for the sender's end, or for a change of the network, whichever comes first.
func (p *pipe) fill() {
	if p.end != nil || len(p.held) >= heldMax {
		select {
		case <-p.epoch:
		case <-p.flow.stop:
		case <-p.flow.broken:
		}
		return
	}
	if p.buf == nil {
		p.buf = make([]byte, 32<<10)
	}
	n, err := p.r.Read(p.buf)
	p.held = append(p.held, p.buf[:n]...)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		p.end = err
	}
}
