package scsipr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"bascule/fencing"
)

// What the SG_IO ioctl is told, of <scsi/sg.h>.
const (
	sgIO          = 0x2285
	sgNone        = -1
	sgToDevice    = -2
	sgFromDevice  = -3
	sgSenseLength = 96

	driverSense   = 0x08
	driverTimeout = 0x06
	hostTimeout   = 0x03 // DID_TIME_OUT
)

// sgHeader is struct sg_io_hdr of 64-bit kernels.
type sgHeader struct {
	interfaceID  int32
	direction    int32
	cdbLength    uint8
	senseMax     uint8
	iovecs       uint16
	length       uint32
	data         unsafe.Pointer
	cdb          unsafe.Pointer
	sense        unsafe.Pointer
	timeout      uint32 // milliseconds
	flags        uint32
	packID       int32
	_            int32
	userPtr      unsafe.Pointer
	status       uint8
	maskedStatus uint8
	msgStatus    uint8
	senseWritten uint8
	hostStatus   uint16
	driverStatus uint16
	residual     int32
	duration     uint32
	info         uint32
	_            int32
}

// openDevice chooses the transport of a block device: by the tool for multipath maps, plain otherwise. It looks only at names and
// sysfs: the device itself is opened by the command, where it may hang.
func openDevice(file string) (transport, error) {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return nil, fmt.Errorf("%w: LUN %s is not attached to this node: %w", fencing.ErrUnreachable, file, err)
	}
	sys := "/sys/class/block/" + filepath.Base(real)
	if _, err := os.Stat(sys + "/partition"); err == nil {
		return nil, fmt.Errorf("%w: %s is a partition: write the whole LUN", fencing.ErrSettings, file)
	}
	uuid, err := os.ReadFile(sys + "/dm/uuid")
	switch {
	case err != nil:
		return plain{real}, nil
	case strings.HasPrefix(string(uuid), "mpath-"):
		return multipath{plain{real}, file}, nil
	}
	return nil, fmt.Errorf("%w: %s is a logical volume or the like: write the LUN that it lies on", fencing.ErrSettings, file)
}

// plain is one SCSI disk of the kernel's.
type plain struct{ file string }

// busy holds the devices on which an ioctl hangs: the kernel cannot be made to give it up, but no second one joins it.
var busy sync.Map

func (t plain) execute(ctx context.Context, cdb, out []byte, in int) (reply, error) {
	timeout := time.Minute
	if d, ok := ctx.Deadline(); ok {
		timeout = time.Until(d)
	}
	if timeout < time.Millisecond || ctx.Err() != nil {
		return reply{}, fmt.Errorf("%w: no time left for %s", fencing.ErrTimeout, t.file)
	}
	if _, hung := busy.LoadOrStore(t.file, true); hung {
		if err := t.turn(ctx); err != nil {
			return reply{}, err
		}
	}
	type result struct {
		r   reply
		err error
	}
	done := make(chan result, 1)
	cdb, out = append([]byte{}, cdb...), append([]byte{}, out...) // the caller may go on with its own
	go func() {
		r, err := ioctl(t.file, cdb, out, in, timeout)
		busy.Delete(t.file)
		done <- result{r, err}
	}()
	select {
	case r := <-done:
		return r.r, r.err
	case <-ctx.Done():
		return reply{}, fmt.Errorf("%w: the kernel does not come back with the command on %s", fencing.ErrTimeout, t.file)
	}
}

// turn waits until the command before is done.
func (t plain) turn(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: an earlier command still hangs in the kernel on %s", fencing.ErrTimeout, t.file)
		case <-time.After(time.Millisecond):
		}
		if _, hung := busy.LoadOrStore(t.file, true); !hung {
			return nil
		}
	}
}

func (plain) close() {}

// ioctl opens the device, sends one command and closes it again. Opening for reading is enough for CAP_SYS_RAWIO, and its end
// does not make udev look at the disk anew, as that of an opening for writing does.
func ioctl(file string, cdb, out []byte, in int, timeout time.Duration) (reply, error) {
	f, err := unix.Open(file, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return reply{}, fmt.Errorf("%w: open %s: %w", fencing.ErrUnreachable, file, err)
	}
	defer unix.Close(f)
	senseData, data := make([]byte, sgSenseLength), make([]byte, in)
	h := &sgHeader{
		interfaceID: 'S', direction: sgNone, cdbLength: uint8(len(cdb)), senseMax: sgSenseLength,
		cdb: unsafe.Pointer(&cdb[0]), sense: unsafe.Pointer(&senseData[0]), timeout: uint32(max(timeout.Milliseconds(), 1)),
	}
	if len(out) > 0 {
		data = out
		h.direction = sgToDevice
	} else if in > 0 {
		h.direction = sgFromDevice
	}
	if len(data) > 0 {
		h.length, h.data = uint32(len(data)), unsafe.Pointer(&data[0])
	}
	var pins runtime.Pinner
	defer pins.Unpin()
	for _, p := range []unsafe.Pointer{h.cdb, h.sense, h.data} {
		if p != nil {
			pins.Pin(p)
		}
	}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(f), sgIO, uintptr(unsafe.Pointer(h))); e != 0 {
		return reply{}, ioctlError(file, e)
	}
	return h.reply(file, data, senseData)
}

func ioctlError(file string, e unix.Errno) error {
	switch {
	case errors.Is(e, unix.EPERM), errors.Is(e, unix.EACCES):
		return fmt.Errorf("%w: %s: %w: the service needs CAP_SYS_RAWIO and the device", fencing.ErrHelper, file, e)
	case errors.Is(e, unix.ENOTTY), errors.Is(e, unix.EINVAL):
		return fmt.Errorf("%w: %s takes no SCSI commands: %w", fencing.ErrSettings, file, e)
	}
	return fmt.Errorf("%w: %s: %w", fencing.ErrUnreachable, file, e)
}

// reply says how the command ended, or that it did not reach the disk.
func (h *sgHeader) reply(file string, data, senseData []byte) (reply, error) {
	r := reply{status: h.status, sense: senseData[:min(int(h.senseWritten), len(senseData))]}
	if h.direction == sgFromDevice {
		r.data = data[:min(max(len(data)-int(h.residual), 0), len(data))]
	}
	switch driver := h.driverStatus & 0x0f; {
	case h.status == statusConflict: // older kernels add a host status of their own (DID_NEXUS_FAILURE)
	case h.hostStatus == hostTimeout, driver == driverTimeout:
		return reply{}, fmt.Errorf("%w: %s", fencing.ErrTimeout, file)
	case h.hostStatus != 0:
		return reply{}, fmt.Errorf("%w: %s: the kernel's host status %#02x: the path is gone", fencing.ErrUnreachable, file, h.hostStatus)
	case driver != 0 && driver != driverSense:
		return reply{}, fmt.Errorf("%w: %s: the kernel's driver status %#02x", fencing.ErrUnreachable, file, h.driverStatus)
	}
	return r, nil
}
