package lab

import (
	"errors"

	"golang.org/x/sys/unix"
)

// waitUntilZombie returns when the child has ended, without reaping it: its number stays its own until Wait.
func waitUntilZombie(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return // ended, or was never our child
		}
	}
}
