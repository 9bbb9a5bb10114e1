package guard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"bascule/ha/node"
)

const (
	maxConns    = 32               // at once; more are closed at the door
	idleTimeout = 30 * time.Second // a client renews every few seconds and connects anew after an error
	writeLimit  = time.Second      // for one answer to a slow client
	answerLimit = 2 * time.Second  // for the machine's answer; only a hung watchdog or run directory takes so long
)

// listen makes the socket under a name of its own and moves it into place, so that it is never reachable with other
// rights than 0600 and a dead guard's socket is no obstacle.
func listen(path string) (*net.UnixListener, error) {
	tmp := path + "~"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("guard: socket: %w", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("guard: socket: %w: does the run directory exist?", err)
	}
	ln.SetUnlinkOnClose(false) // the next guard replaces it
	if err = os.Chmod(tmp, 0o600); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = ln.Close() // it served nobody
		return nil, fmt.Errorf("guard: socket: %w", err)
	}
	return ln, nil
}

// serve answers clients until ctx ends. Each connection has its own goroutine: a slow one holds up nobody.
func serve(ctx context.Context, ln net.Listener, inbox chan<- message) {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	places := make(chan struct{}, maxConns)
	for ctx.Err() == nil {
		conn, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // out of file descriptors: clients go and free some
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case places <- struct{}{}:
			wg.Go(func() {
				defer func() { <-places }()
				serveConn(ctx, conn, inbox)
			})
		default:
			_ = conn.Close() // the client sees EOF and tries again
		}
	}
}

func serveConn(ctx context.Context, conn net.Conn, inbox chan<- message) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	lines := bufio.NewScanner(conn)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	out := json.NewEncoder(conn)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(idleTimeout)) // an error shows in the read
		if !lines.Scan() {
			return
		}
		a := handle(ctx, lines.Bytes(), inbox)
		_ = conn.SetWriteDeadline(time.Now().Add(writeLimit)) // an error shows in the write
		if out.Encode(a) != nil {
			return
		}
	}
}

// handle puts one request to the machine and waits for its answer, but not for ever.
func handle(ctx context.Context, line []byte, inbox chan<- message) answer {
	event, err := decodeRequest(line)
	if err != nil {
		return answer{Error: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	answers := make(chan answer, 1)
	select {
	case inbox <- message{event: event, reply: func(a answer) { answers <- a }}:
	case <-ctx.Done():
		return answer{Error: "the guard is busy or ending: ask again"}
	}
	select {
	case a := <-answers:
		return a
	case <-ctx.Done():
		return answer{Error: fmt.Sprintf("no answer in %v from watchdog or run directory: ask for the status", answerLimit)}
	}
}

// decodeRequest returns the event that a request means, nil for one that only asks. Unknown fields are a newer
// agent's and ignored; an unknown operation is refused.
func decodeRequest(line []byte) (node.GuardEvent, error) {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, fmt.Errorf("request is not understood: %w", err)
	}
	switch r.Op {
	case opHello, opStatus:
		return nil, nil
	case opEnd:
		if r.End == nil {
			return nil, errors.New("end request without the time of its sending")
		}
		return *r.End, nil
	case opArm:
		return node.GuardArm{}, nil
	case opDisarm:
		if r.Disarm == nil { // an older agent
			return node.GuardDisarm{}, nil
		}
		return *r.Disarm, nil
	case opObey:
		if r.Obey == nil {
			return nil, errors.New("obey request without a word")
		}
		return *r.Obey, nil
	case opPermit:
		if r.Permit == nil {
			return nil, errors.New("permit request without a permit")
		}
		return *r.Permit, nil
	}
	return nil, fmt.Errorf("operation %q is unknown to this guard: hello, permit, end, arm, disarm, obey, status", r.Op)
}
