package fencing

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dialer is how methods open TCP connections to devices. Without it a command could arrive after its leader's
// term: the kernel goes on retransmitting what a killed process has written, for minutes, until the peer takes it.
// With a linger time of zero the death of the process discards those bytes and resets the connection; the user
// time-out ends a connection whose bytes nobody acknowledges for that long.
func Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout:   timeout,
		KeepAlive: -1,
		Control: func(_, _ string, raw syscall.RawConn) error {
			var err error
			if cerr := raw.Control(func(fd uintptr) {
				if err = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
					return
				}
				if ms := timeout.Milliseconds(); ms > 0 {
					err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(ms))
				}
			}); cerr != nil {
				return cerr
			}
			return err
		},
	}
}
