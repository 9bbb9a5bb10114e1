package fencing

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"bascule/ha"
)

// BootNow is CLOCK_BOOTTIME now. It panics where the kernel has no such clock (none that Bascule runs on).
func BootNow() ha.Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(fmt.Sprintf("CLOCK_BOOTTIME cannot be read: %v", err))
	}
	return ha.Instant(ts.Nano())
}

// sigevent is the kernel's struct sigevent on 64-bit machines: 64 bytes, padded.
type sigevent struct {
	value  uintptr
	signo  int32
	notify int32
	_      [48]byte
}

// sigevSignal is SIGEV_SIGNAL: send signo to the process.
const sigevSignal = 0

// dieAt makes the kernel kill this process at an instant: an absolute timer on CLOCK_BOOTTIME whose signal is SIGKILL. No
// thread of the process has to run for that, so it works on a stopped process, and a time that has passed kills
// at once. Timers are neither inherited by children nor kept over an exec; nothing in the process can forget it.
func dieAt(deadline ha.Instant) error {
	if deadline <= 0 { // a zero time would disarm the timer
		return fmt.Errorf("%w: no deadline given", ErrHelper)
	}
	ev := sigevent{signo: int32(unix.SIGKILL), notify: sigevSignal}
	var id int32
	if _, _, e := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ev)), uintptr(unsafe.Pointer(&id))); e != 0 {
		return fmt.Errorf("%w: timer_create: %w", ErrHelper, e)
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(deadline))}
	if _, _, e := unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(id), unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&spec)), 0, 0, 0); e != 0 {
		return fmt.Errorf("%w: timer_settime: %w", ErrHelper, e)
	}
	runtime.KeepAlive(&ev)
	return nil
}
