package scsipr

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"bascule/fencing"
)

func TestSGHeaderIsTheKernels(t *testing.T) {
	var h sgHeader
	if unsafe.Sizeof(h) != 88 || unsafe.Offsetof(h.timeout) != 40 || unsafe.Offsetof(h.status) != 64 || unsafe.Offsetof(h.residual) != 72 {
		t.Fatalf("size %d, timeout at %d, status at %d, residual at %d", unsafe.Sizeof(h), unsafe.Offsetof(h.timeout), unsafe.Offsetof(h.status), unsafe.Offsetof(h.residual))
	}
}

func TestNotADisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := plain{file}.execute(within(t, 40*time.Second), reserveIn(inKeys, 64), nil, 64)
	fails(t, err, fencing.ErrSettings, "takes no SCSI commands")
	_, err = openDevice(file + ".missing")
	fails(t, err, fencing.ErrUnreachable, "not attached")
	_, err = plain{file + ".missing"}.execute(within(t, 40*time.Second), reserveIn(inKeys, 64), nil, 64)
	fails(t, err, fencing.ErrUnreachable, "open")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = plain{file}.execute(ctx, reserveIn(inKeys, 64), nil, 64)
	fails(t, err, fencing.ErrTimeout, "no time left")
}

// A command that hangs in the kernel keeps its device, not the caller, and no second one joins it.
func TestHungDevice(t *testing.T) {
	file := filepath.Join(t.TempDir(), "disk")
	busy.Store(file, true)
	_, err := plain{file}.execute(within(t, 50*time.Millisecond), reserveIn(inKeys, 64), nil, 64)
	fails(t, err, fencing.ErrTimeout, "still hangs")
	time.AfterFunc(50*time.Millisecond, func() { busy.Delete(file) })
	_, err = plain{file}.execute(within(t, 40*time.Second), reserveIn(inKeys, 64), nil, 64)
	fails(t, err, fencing.ErrUnreachable, "open")
	if _, held := busy.Load(file); held {
		t.Error("the device is still taken")
	}
}

func TestKernelStatus(t *testing.T) {
	for _, c := range []struct {
		name string
		h    sgHeader
		kind error
	}{
		{"good", sgHeader{}, nil},
		{"conflict, with an old kernel's host status", sgHeader{status: statusConflict, hostStatus: 0x11}, nil},
		{"sense", sgHeader{status: statusCheck, driverStatus: driverSense, senseWritten: 18}, nil},
		{"timed out", sgHeader{hostStatus: hostTimeout}, fencing.ErrTimeout},
		{"timed out in the driver", sgHeader{driverStatus: driverTimeout}, fencing.ErrTimeout},
		{"no path", sgHeader{hostStatus: 0x01}, fencing.ErrUnreachable},
		{"transport disrupted", sgHeader{hostStatus: 0x0e}, fencing.ErrUnreachable},
		{"driver", sgHeader{driverStatus: 0x05}, fencing.ErrUnreachable},
	} {
		r, err := c.h.reply("/dev/sda", nil, make([]byte, sgSenseLength))
		if !errors.Is(err, c.kind) || err == nil && (r.status != c.h.status || len(r.sense) != int(c.h.senseWritten)) {
			t.Errorf("%s: %+v %v", c.name, r, err)
		}
	}
	h := sgHeader{direction: sgFromDevice, residual: 60}
	if r, err := h.reply("/dev/sda", make([]byte, 64), nil); err != nil || len(r.data) != 4 {
		t.Errorf("%+v %v", r, err)
	}
}
