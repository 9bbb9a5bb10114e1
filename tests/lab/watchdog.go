package lab

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// watchdogSlack is added to every time-out: this process may be kept from reading a feeding that has already arrived, and a
// real watchdog does not depend on anybody's scheduling.
const watchdogSlack = 100 * time.Millisecond

// watchdog mimics a node's watchdog device on a unix socket: "T<milliseconds>\n" arms it or sets its time-out, any other
// byte feeds it, and a close after a last "V" disarms it. Like a real one it has one user at a time and survives the
// user's death armed.
type watchdog struct {
	listener net.Listener
	fire     func() // called once per firing, on a goroutine of its own
	wg       sync.WaitGroup

	mu      sync.Mutex
	user    net.Conn
	timeout time.Duration // 0: not armed
	timer   *time.Timer
	round   int // counts feedings, so that a timer that lost the race is recognized
	closed  bool
}

func newWatchdog(path string, fire func()) (*watchdog, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the watchdog cannot be made: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("the watchdog cannot be made: %w", err)
	}
	w := &watchdog{listener: l, fire: fire}
	w.wg.Go(w.accept)
	return w, nil
}

func (w *watchdog) accept() {
	for {
		conn, err := w.listener.Accept()
		if err != nil {
			return // closed
		}
		w.mu.Lock()
		if w.closed || w.user != nil {
			_ = conn.Close() // EBUSY, as a real device says
			w.mu.Unlock()
			continue
		}
		w.user = conn
		w.mu.Unlock()
		w.wg.Go(func() { w.serve(conn) })
	}
}

// serve reads one user's bytes until it closes.
func (w *watchdog) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	var last byte
	for {
		b, err := in.ReadByte()
		if err != nil {
			break
		}
		last = b
		if b != 'T' {
			w.feed(0)
			continue
		}
		line, err := in.ReadString('\n')
		ms, convErr := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || convErr != nil || ms <= 0 {
			continue // nonsense neither arms nor feeds
		}
		w.feed(time.Duration(ms) * time.Millisecond)
	}
	_ = conn.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.user == conn {
		w.user = nil
		if last == 'V' {
			w.disarm()
		}
	}
}

// feed starts the time-out anew; a duration other than 0 sets it, and arms the watchdog.
func (w *watchdog) feed(timeout time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if timeout > 0 {
		w.timeout = timeout
	}
	if w.timeout == 0 || w.closed {
		return
	}
	w.stop()
	round := w.round
	w.timer = time.AfterFunc(w.timeout+watchdogSlack, func() { w.expire(round) })
}

func (w *watchdog) expire(round int) {
	w.mu.Lock()
	if round != w.round || w.timeout == 0 || w.closed {
		w.mu.Unlock()
		return
	}
	w.disarm()
	w.mu.Unlock()
	w.fire()
}

// armed is the time-out, or 0.
func (w *watchdog) armed() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.timeout
}

// powerLost disarms the watchdog and drops its user: it has no battery.
func (w *watchdog) powerLost() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disarm()
	if w.user != nil {
		_ = w.user.Close()
		w.user = nil
	}
}

// disarm and stop are called with mu held.
func (w *watchdog) disarm() {
	w.timeout = 0
	w.stop()
}

func (w *watchdog) stop() {
	w.round++
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *watchdog) close() {
	w.mu.Lock()
	w.closed = true
	w.disarm()
	if w.user != nil {
		_ = w.user.Close()
	}
	w.mu.Unlock()
	_ = w.listener.Close() // removes the socket
	w.wg.Wait()
}
