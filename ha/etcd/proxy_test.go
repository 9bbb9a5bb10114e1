package etcd

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy forwards a port and can break what passes through it.
type proxy struct {
	l      net.Listener
	target string
	refuse atomic.Bool  // close whatever comes
	slow   atomic.Int64 // nanoseconds until the server's first word is passed on
	mu     sync.Mutex
	pairs  map[*pair]struct{}
}

// pair is one forwarded connection.
type pair struct {
	client, server   net.Conn
	dropUp, dropDown atomic.Bool // swallow what the client, or the server, sends from now on
}

func newProxy(t *testing.T, listen, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target, pairs: map[*pair]struct{}{}}
	go p.accept()
	t.Cleanup(p.close)
	return p
}

// close frees the port and cuts what passes through.
func (p *proxy) close() { p.l.Close(); p.cut() }

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.target)
		if p.refuse.Load() || err != nil {
			c.Close()
			if s != nil {
				s.Close()
			}
			continue
		}
		pr := &pair{client: c, server: s}
		p.mu.Lock()
		p.pairs[pr] = struct{}{}
		p.mu.Unlock()
		go pr.copy(s, c, &pr.dropUp)
		time.AfterFunc(time.Duration(p.slow.Load()), func() { pr.copy(c, s, &pr.dropDown) })
	}
}

func (pr *pair) copy(dst, src net.Conn, drop *atomic.Bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 && !drop.Load() {
			if _, werr := dst.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			break
		}
	}
	pr.client.Close()
	pr.server.Close()
}

// swallow makes the open connections silent, in one direction; new ones work.
func (p *proxy) swallow(answers bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pr := range p.pairs {
		if answers {
			pr.dropDown.Store(true)
		} else {
			pr.dropUp.Store(true)
		}
	}
}

// cut closes the open connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pr := range p.pairs {
		pr.client.Close()
		pr.server.Close()
		delete(p.pairs, pr)
	}
}
