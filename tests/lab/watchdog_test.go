package lab

import (
	"net"
	"os"
	"testing"
	"time"

	"bascule/ha/waittest"
)

// wdBench is a watchdog and a count of its firings.
type wdBench struct {
	*watchdog
	t     *testing.T
	path  string
	fired chan struct{}
}

func newWdBench(t *testing.T) *wdBench {
	t.Helper()
	dir, err := os.MkdirTemp("", "wd")
	must(t, err)
	b := &wdBench{t: t, path: dir + "/watchdog.sock", fired: make(chan struct{}, 9)}
	b.watchdog, err = newWatchdog(b.path, func() { b.fired <- struct{}{} })
	must(t, err)
	t.Cleanup(func() { b.close(); _ = os.RemoveAll(dir) })
	return b
}

func (b *wdBench) open() net.Conn {
	b.t.Helper()
	conn, err := net.Dial("unix", b.path)
	must(b.t, err)
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (b *wdBench) write(conn net.Conn, text string) {
	b.t.Helper()
	_, err := conn.Write([]byte(text))
	must(b.t, err)
}

func (b *wdBench) expect(fires bool, within time.Duration, why string) {
	b.t.Helper()
	select {
	case <-b.fired:
		if !fires {
			b.t.Fatalf("%s: it fired", why)
		}
	case <-time.After(within):
		if fires {
			b.t.Fatalf("%s: it did not fire", why)
		}
	}
}

const (
	wdShort = "T100\n"
	wdWait  = 600 * time.Millisecond // well beyond the time-out and its slack
)

func TestWatchdogFiresWithoutFeedingAndSurvivesItsUser(t *testing.T) {
	for name, end := range map[string]func(net.Conn){
		"user hangs":            func(net.Conn) {},
		"user dies":             func(c net.Conn) { _ = c.Close() },
		"V is not the last one": func(c net.Conn) { _, _ = c.Write([]byte("V.")); _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newWdBench(t)
			conn := b.open()
			b.write(conn, wdShort)
			end(conn)
			b.expect(true, waittest.Hang, name)
			if b.armed() != 0 {
				t.Error("armed after its reset")
			}
		})
	}
}

func TestWatchdogDoesNotFire(t *testing.T) {
	for name, use := range map[string]func(*wdBench, net.Conn){
		"never armed": func(b *wdBench, c net.Conn) { b.write(c, "..") },
		"disarmed":    func(b *wdBench, c net.Conn) { b.write(c, wdShort+".V"); _ = c.Close() },
		"nonsense":    func(b *wdBench, c net.Conn) { b.write(c, "Tx\nT-5\nT0\n") },
		"power lost":  func(b *wdBench, c net.Conn) { b.write(c, wdShort); b.untilArmed(); b.powerLost() },
		"fed": func(b *wdBench, c net.Conn) {
			b.write(c, "T400\n")
			for range 10 {
				time.Sleep(100 * time.Millisecond) // the feeding of a real guard: the clock is the device's
				b.write(c, ".")
			}
			b.write(c, "V")
			_ = c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waittest.BestOf(t, func() string { // on a machine that stalls it may, before it is told otherwise
				b := newWdBench(t)
				use(b, b.open())
				select {
				case <-b.fired:
					return "it fired"
				case <-time.After(wdWait):
					return ""
				}
			})
		})
	}
}

// untilArmed waits until it is armed, or has fired already.
func (b *wdBench) untilArmed() {
	b.t.Helper()
	eventually(b.t, "it is armed", func() error {
		if b.armed() == 0 && len(b.fired) == 0 {
			return net.ErrClosed
		}
		return nil
	})
}

func TestWatchdogHasOneUser(t *testing.T) {
	b := newWdBench(t)
	first := b.open()
	b.write(first, "T60000\n")
	b.untilArmed()
	second := b.open()
	_ = second.SetReadDeadline(time.Now().Add(waittest.Hang))
	if _, err := second.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Fatalf("a second user got in: %v", err)
	}
	_ = first.Close()
	eventually(t, "the next user gets in", func() error {
		third := b.open()
		if _, err := third.Write([]byte("T70000\n")); err != nil {
			return err
		}
		_ = third.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := third.Read(make([]byte, 1)); !os.IsTimeout(err) {
			return err
		}
		return nil
	})
	if b.armed() != 70*time.Second {
		t.Errorf("armed with %s", b.armed())
	}
}
