package guard

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// labIO bounds one exchange with the lab's watchdog.
const labIO = 500 * time.Millisecond

// labWatchdog speaks to the simulated watchdog of a lab node: a unix stream on which `T<milliseconds>\n` arms, any
// other byte feeds, `V` as the last byte before the close disarms, and a close without it leaves it armed.
type labWatchdog struct {
	path string
	conn net.Conn
}

func (w *labWatchdog) Driver() string        { return "lab" }
func (w *labWatchdog) Facts() *WatchdogFacts { return nil }

// Fire closes: the lab's device runs on as it is.
func (w *labWatchdog) Fire() error { return w.Close() }

func (w *labWatchdog) Open(timeout time.Duration) error {
	if err := w.dial(); err != nil {
		return err
	}
	return w.write(fmt.Sprintf("T%d\n", timeout.Milliseconds()))
}

func (w *labWatchdog) Feed() error {
	if w.conn == nil {
		return errors.New("lab watchdog: not open")
	}
	return w.write(".")
}

func (w *labWatchdog) Disarm() error {
	if w.conn == nil {
		if err := w.dial(); err != nil {
			return err
		}
	}
	if err := w.write("V"); err != nil {
		return err
	}
	return w.Close()
}

func (w *labWatchdog) Close() error {
	if w.conn == nil {
		return nil
	}
	err := w.conn.Close()
	w.conn = nil
	return err
}

func (w *labWatchdog) dial() error {
	_ = w.Close() // a broken connection; what matters is whether the new one works
	conn, err := net.DialTimeout("unix", w.path, labIO)
	if err != nil {
		return fmt.Errorf("lab watchdog: %w: is the lab's world running?", err)
	}
	w.conn = conn
	return nil
}

func (w *labWatchdog) write(s string) error {
	_ = w.conn.SetWriteDeadline(time.Now().Add(labIO)) // fails only on a closed connection, which Write reports
	if _, err := w.conn.Write([]byte(s)); err != nil {
		_ = w.Close()
		return fmt.Errorf("lab watchdog: %w", err)
	}
	return nil
}
