package guard

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"bascule/ha"

	"golang.org/x/sys/unix"
)

// The rules of watchdog-mux.c (pve-ha-manager, 9.x).
const (
	muxQuiet      = time.Second      // without any event: it looks at the ages and pets
	muxClientTime = 60               // seconds of the wall clock; older is expired
	muxMaxClients = 98               // 100 places less the socket's and the signals'
	muxHWTime     = 10 * time.Second // the device behind it
)

// fakeMux is watchdog-mux and the device behind it, in virtual time, with the rules of its source: it pets and looks at its
// clients' ages only in a second without an event; one that is too old by the wall clock, or that closes without V, ends the
// petting for good, and with the next round the process; and the kernel takes the process's end for a last feeding.
type fakeMux struct {
	now    func() ha.Instant
	events chan func() // what its clients do, in order
	stop   chan struct{}

	mu      sync.Mutex
	offset  time.Duration // of the wall clock
	rate    float64       // of the wall clock against the true one, less 1
	rateAt  ha.Instant
	last    *fakeMuxConn           // that connected
	clients map[*fakeMuxConn]int64 // wall clock, whole seconds, of the last event
	pets    bool
	ended   bool
	hung    bool
	armed   bool
	petted  ha.Instant
	reset   ha.Instant // 0: the device has not fired
}

func newFakeMux(t *testing.T, now func() ha.Instant) *fakeMux {
	m := &fakeMux{now: now, events: make(chan func(), 1000), stop: make(chan struct{}), clients: map[*fakeMuxConn]int64{}, pets: true, armed: true, petted: now()}
	done := make(chan struct{})
	go func() { defer close(done); m.run() }()
	t.Cleanup(func() { close(m.stop); <-done })
	return m
}

func (m *fakeMux) run() {
	for {
		m.mu.Lock()
		ended, hung := m.ended, m.hung
		m.mu.Unlock()
		events := m.events
		if hung {
			events = nil
		}
		select {
		case <-m.stop:
			return
		case e := <-events:
			if ended {
				continue
			}
			m.mu.Lock()
			if m.pets {
				e()
			} else {
				m.end()
			}
			m.mu.Unlock()
		case <-time.After(muxQuiet):
			m.mu.Lock()
			if !ended && !hung {
				m.quiet()
			}
			m.mu.Unlock()
		}
	}
}

func (m *fakeMux) quiet() {
	if !m.pets {
		m.end()
		return
	}
	for _, last := range m.clients {
		if m.seconds()-last > muxClientTime {
			m.pets = false
		}
	}
	if m.pets {
		m.pet()
	}
}

func (m *fakeMux) pet() {
	if due := m.petted.Add(muxHWTime); m.armed && m.reset == 0 && m.now() >= due {
		m.reset = due
	}
	m.petted = m.now()
}

// end is the end of its process, which does not disarm the device.
func (m *fakeMux) end() {
	m.ended = true
	m.pet()
}

// wall is the node's wall clock; callers hold mu.
func (m *fakeMux) wall() time.Duration {
	return time.Duration(m.now()) + m.offset + time.Duration(m.rate*float64(m.now().Sub(m.rateAt))) + 1e18
}

func (m *fakeMux) seconds() int64 { return int64(m.wall() / time.Second) }

// clocks is what the guard reads.
func (m *fakeMux) clocks() (ha.Instant, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now(), m.wall()
}

func (m *fakeMux) step(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offset += d
}

// slew lets the wall clock go at 1+rate from now on.
func (m *fakeMux) slew(rate float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offset += time.Duration(m.rate * float64(m.now().Sub(m.rateAt)))
	m.rate, m.rateAt = rate, m.now()
}

func (m *fakeMux) hang(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hung = on
}

// fired says when the device reset the node.
func (m *fakeMux) fired() (ha.Instant, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if due := m.petted.Add(muxHWTime); m.armed && m.reset == 0 && m.now() >= due {
		m.reset = due
	}
	return m.reset, m.reset != 0
}

// untilFired sleeps until the device fires and returns when that was.
func (m *fakeMux) untilFired(t *testing.T, limit time.Duration) ha.Instant {
	t.Helper()
	for end := m.now().Add(limit); m.now() < end; time.Sleep(50 * time.Millisecond) {
		if at, ok := m.fired(); ok {
			return at
		}
	}
	t.Fatalf("the device has not fired in %v", limit)
	return 0
}

// fakeMuxConn is a client's end.
type fakeMuxConn struct {
	m     *fakeMux
	queue int
	magic bool
	wrote []ha.Instant
}

func (m *fakeMux) dial(string) (muxConn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return nil, unix.ECONNREFUSED
	}
	c := &fakeMuxConn{m: m}
	m.last = c
	m.events <- func() {
		if len(m.clients) == muxMaxClients {
			m.end()
			return
		}
		m.clients[c] = m.seconds()
	}
	return c, nil
}

func (c *fakeMuxConn) write(s string) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.m.ended {
		return unix.EPIPE
	}
	c.queue += len(s)
	c.wrote = append(c.wrote, c.m.now())
	c.m.events <- func() {
		c.queue -= len(s)
		c.magic = s[len(s)-1] == 'V'
		c.m.clients[c] = c.m.seconds()
	}
	return nil
}

func (c *fakeMuxConn) unread() (int, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.m.ended {
		return 0, io.EOF
	}
	return c.queue, nil
}

func (c *fakeMuxConn) close() error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.m.events <- func() {
		if !c.magic {
			c.m.pets = false // and the client stays on its list
			return
		}
		delete(c.m.clients, c)
	}
	return nil
}

// written is when the client that connected last wrote.
func (m *fakeMux) written() []ha.Instant {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.last.wrote)
}

// client is another one that writes with this pause for ever.
func (m *fakeMux) client(t *testing.T, pause time.Duration) {
	t.Helper()
	c, err := m.dial("")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			select {
			case <-m.stop:
				return
			case <-time.After(pause):
				_ = c.write(".") // the mux may have ended
			}
		}
	}()
}

// sysfsWith is a /sys in which watchdog0 says this of itself.
func sysfsWith(t *testing.T, files map[string]string) watchdogSysfs {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "sys/class/watchdog/watchdog0")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return watchdogSysfs{root}
}
