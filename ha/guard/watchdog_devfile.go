package guard

import (
	"errors"

	"golang.org/x/sys/unix"
)

// dogFile is an open watchdog device: the calls of linux/watchdog.h, one each.
type dogFile interface {
	info() (options uint32, identity string, err error)
	setTimeout(seconds int) error
	timeout() (seconds int, err error)
	noPretimeout() error
	bootStatus() (int, error)
	ping() error
	stop() error
	write(s string) error
	close() error
}

// devFile is the kernel's. It keeps a bare descriptor: nothing of it may wait in Go's poller.
type devFile struct{ fd int }

func openDogFile(path string) (dogFile, error) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return devFile{fd}, nil
}

func (f devFile) info() (uint32, string, error) {
	i, err := unix.IoctlGetWatchdogInfo(f.fd)
	if err != nil {
		return 0, "", err
	}
	return i.Options, unix.ByteSliceToString(i.Identity[:]), nil
}

func (f devFile) setTimeout(seconds int) error {
	return unix.IoctlSetPointerInt(f.fd, unix.WDIOC_SETTIMEOUT, seconds)
}

func (f devFile) timeout() (int, error)    { return f.number(unix.WDIOC_GETTIMEOUT) }
func (f devFile) bootStatus() (int, error) { return f.number(unix.WDIOC_GETBOOTSTATUS) }

func (f devFile) noPretimeout() error {
	return unix.IoctlSetPointerInt(f.fd, unix.WDIOC_SETPRETIMEOUT, 0)
}

// ping gives a pointer though the kernel looks at none: by its number the call returns a value, and FUSE stores it.
func (f devFile) ping() error {
	_, err := f.number(unix.WDIOC_KEEPALIVE)
	return err
}

func (f devFile) stop() error {
	return unix.IoctlSetPointerInt(f.fd, unix.WDIOC_SETOPTIONS, unix.WDIOS_DISABLECARD)
}

func (f devFile) write(s string) error {
	_, err := unix.Write(f.fd, []byte(s))
	return err
}

func (f devFile) close() error { return unix.Close(f.fd) }

// number reads the C int that a call returns.
func (f devFile) number(call uint) (int, error) {
	n, err := unix.IoctlGetUint32(f.fd, call)
	return int(int32(n)), err
}

// unknownCall says that a device does not have the call, as opposed to having refused it.
func unknownCall(err error) bool {
	return errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS)
}
