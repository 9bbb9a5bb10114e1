package sim

import (
	"time"

	"bascule/ha"
)

// storeOnce is a call that must not be carried out twice: it goes to the next member only as long as it certainly was not done.
type storeOnce struct {
	c       *Client
	r       *storeRequest
	left    []*storePeer // not asked yet
	sent    *storePeer   // who has it
	patient *Event       // how long an answer is waited for
	again   *Event
	over    bool
	done    func(a storeAnswer, sent bool)
}

// once makes such a call. Without an answer, sent says whether it may have been carried out.
func (c *Client) once(r *storeRequest, timeout time.Duration, done func(a storeAnswer, sent bool)) {
	r.by, r.proc = c.node, c.proc
	k := &storeOnce{c: c, r: r, left: c.order(), done: done}
	k.patient = c.proc.After(timeout, func() {
		if k.sent != nil {
			k.sent.failed(c.store.loop.Now(), true)
		}
		k.finish(storeAnswer{err: ha.ErrUnavailable})
	})
	k.next()
}

// next tries the members in turn; those that refuse the connection are tried again until the time is over, those that have no
// leader are not.
func (k *storeOnce) next() {
	if k.over {
		return
	}
	if len(k.left) == 0 {
		k.finish(storeAnswer{err: ha.ErrUnavailable})
		return
	}
	for i, p := range k.left {
		if k.try(p) {
			k.left = append(k.left[:i:i], k.left[i+1:]...)
			return
		}
	}
	k.again = k.c.proc.After(callAgain, k.next)
}

func (k *storeOnce) try(p *storePeer) bool {
	sent := k.c.send(p, k.r, func(a storeAnswer) {
		switch {
		case k.over || a.err == errRefused:
		case served(a):
			p.good()
			k.finish(a)
		default:
			p.failed(k.c.store.loop.Now(), false)
			k.sent = nil
			k.next()
		}
	})
	if sent {
		k.sent = p
	}
	return sent
}

func (k *storeOnce) finish(a storeAnswer) {
	if k.over {
		return
	}
	k.over = true
	k.patient.Cancel()
	k.again.Cancel()
	k.c.saw(a.rev)
	k.done(a, k.sent != nil)
}
