package guard

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// muxConn is a connection to watchdog-mux. It never answers: what can be known is whether it reads and whether it is there.
type muxConn interface {
	write(s string) error
	// unread is how much of what was written the mux has not read. An error says that it hung up.
	unread() (int, error)
	close() error
}

const muxIO = 500 * time.Millisecond

// unixMuxConn is the real one.
type unixMuxConn struct{ *net.UnixConn }

func dialMux(path string) (muxConn, error) {
	conn, err := net.DialTimeout("unix", path, muxIO)
	if err != nil {
		return nil, err
	}
	return unixMuxConn{conn.(*net.UnixConn)}, nil
}

func (c unixMuxConn) write(s string) error {
	_ = c.SetWriteDeadline(time.Now().Add(muxIO)) // fails only on a closed connection, which Write reports
	_, err := c.Write([]byte(s))
	return err
}

func (c unixMuxConn) unread() (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	ctlErr := raw.Control(func(fd uintptr) {
		var got int
		got, _, err = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) || err == nil && got > 0:
			n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		case err == nil:
			err = fmt.Errorf("it closed the connection: %w", io.EOF)
		}
	})
	return n, errors.Join(err, ctlErr)
}

func (c unixMuxConn) close() error { return c.Close() }
