package sbd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"bascule/fencing"
)

// blockDevice is a real disk, read and written past all caches: what another machine wrote a moment ago must be seen, and what
// is said to be written must lie on the disk.
type blockDevice struct {
	f      *os.File
	sector int
	buf    []byte // aligned as O_DIRECT wants it
}

// openBlockDevice opens a disk. exclusive refuses one that the machine uses otherwise (mounted, part of a volume group).
func openBlockDevice(path string, exclusive bool) (sectors, error) {
	flags := unix.O_RDWR | unix.O_DIRECT | unix.O_SYNC | unix.O_CLOEXEC
	if exclusive {
		flags |= unix.O_EXCL
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, ioError(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return nil, fmt.Errorf("%w: it is no block device: write the path of a disk or partition", fencing.ErrSettings)
	}
	fd, err := unix.Open(path, flags, 0)
	if err != nil {
		return nil, ioError(err)
	}
	d := &blockDevice{f: os.NewFile(uintptr(fd), path)}
	if d.sector, err = unix.IoctlGetInt(fd, unix.BLKSSZGET); err != nil {
		return nil, ioError(err)
	}
	if d.sector < minSector || d.sector > maxSector {
		return nil, fmt.Errorf("%w: its sectors have %d bytes", fencing.ErrRubbish, d.sector)
	}
	var bytes uint64
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.BLKGETSIZE64, uintptr(unsafe.Pointer(&bytes))); e != 0 {
		return nil, ioError(e)
	}
	if need := uint64(1+2*slotCount) * uint64(d.sector); bytes < need {
		return nil, fmt.Errorf("%w: it has %d bytes, SBD needs %d", fencing.ErrRubbish, bytes, need)
	}
	if d.buf, err = unix.Mmap(-1, 0, (1+2*slotCount)*d.sector, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
		return nil, fmt.Errorf("%w: memory for its sectors: %w", fencing.ErrHelper, err)
	}
	return d, nil
}

func (d *blockDevice) size() int { return d.sector }

// read returns a copy: the buffer is used again.
func (d *blockDevice) read(first, n int) ([]byte, error) {
	b := d.buf[:n*d.sector]
	if _, err := io.ReadFull(io.NewSectionReader(d.f, int64(first)*int64(d.sector), int64(len(b))), b); err != nil {
		return nil, ioError(err)
	}
	return append([]byte(nil), b...), nil
}

func (d *blockDevice) write(sector int, b []byte) error {
	n, err := d.f.WriteAt(d.buf[:copy(d.buf, b)], int64(sector)*int64(d.sector))
	if err == nil && n != d.sector {
		err = io.ErrShortWrite
	}
	return ioError(err)
}

// ioError says what an error of the kernel means for the operator.
func ioError(err error) error {
	var errno syscall.Errno
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &errno):
		return fmt.Errorf("%w: %w", fencing.ErrUnreachable, err)
	case errno == unix.ENOENT || errno == unix.ENXIO || errno == unix.ENODEV:
		return fmt.Errorf("%w: there is no such disk on this machine: is its path up, its name right, does the unit see devices (PrivateDevices=no)?", fencing.ErrUnreachable)
	case errno == unix.EACCES || errno == unix.EPERM || errno == unix.EROFS:
		return fmt.Errorf("%w: %w: may the unit use it (DeviceAllow=), can it be written?", fencing.ErrRefused, errno)
	case errno == unix.EBUSY:
		return fmt.Errorf("%w: this machine uses it for something else (mounted, part of a volume group)", fencing.ErrRefused)
	}
	return fmt.Errorf("%w: %w", fencing.ErrUnreachable, errno)
}
