package bmc

import (
	"io"
	"net"
	"sync"
)

// treatment is what happens to a connection before TLS.
type treatment int

const (
	serve  treatment = iota
	reject           // reset at once
	vanish           // accepted by this machine's kernel, silent for ever: nobody is at the other end
)

// line is the BMC's network cable: a listener that can refuse connections or let them vanish.
type line struct {
	net.Listener
	ask func() treatment

	mu     sync.Mutex
	silent map[net.Conn]struct{}
	closed bool
	wg     sync.WaitGroup
}

func newLine(l net.Listener, ask func() treatment) *line {
	return &line{Listener: l, ask: ask, silent: map[net.Conn]struct{}{}}
}

// Accept returns the next connection that is to be served.
func (l *line) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err // the HTTP server looks at its type
		}
		switch l.ask() {
		case serve:
			return conn, nil
		case reject:
			hangUp(conn)
		case vanish:
			l.swallow(conn)
		}
	}
}

// swallow keeps a connection silent until its client gives up.
func (l *line) swallow(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		hangUp(conn)
		return
	}
	l.silent[conn] = struct{}{}
	l.wg.Go(func() {
		_, _ = io.Copy(io.Discard, conn) // until the client closes, or closeAll does
		_ = conn.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.silent, conn)
	})
}

// closeAll ends the silent connections.
func (l *line) closeAll() {
	l.mu.Lock()
	l.closed = true
	for conn := range l.silent {
		hangUp(conn)
	}
	l.mu.Unlock()
	l.wg.Wait()
}

// hangUp resets a connection.
func hangUp(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // makes Close send RST
	}
	_ = conn.Close()
}
