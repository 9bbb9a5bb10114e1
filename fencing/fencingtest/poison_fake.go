package fencingtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"bascule/fencing"
)

// FakeSlots is a poison device with its disks, in memory. It keeps no clock: a hung disk answers when the call's context ends.
type FakeSlots struct {
	mu      sync.Mutex
	msgWait time.Duration
	disks   [PoisonDisks]struct {
		pill  bool
		fault Fault
	}
}

// NewFakeSlots returns healthy disks with empty slots.
func NewFakeSlots(msgWait time.Duration) *FakeSlots {
	f := &FakeSlots{msgWait: msgWait}
	for i := range f.disks {
		f.disks[i].fault = Healthy
	}
	return f
}

// Pills implements Slots.
func (f *FakeSlots) Pills() (out [PoisonDisks]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, d := range f.disks {
		out[i] = d.pill
	}
	return out
}

// Strangers implements Slots: it has slots of no other node.
func (f *FakeSlots) Strangers() bool { return false }

// Boot implements Slots.
func (f *FakeSlots) Boot() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.disks {
		f.disks[i].pill = false
	}
}

// Break implements Slots.
func (f *FakeSlots) Break(disk int, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.disks[disk].fault = fault
}

// MsgWait implements fencing.PoisonDevice.
func (f *FakeSlots) MsgWait() time.Duration { return f.msgWait }

// Read implements fencing.PoisonDevice.
func (f *FakeSlots) Read(ctx context.Context) (pills, disks int, err error) {
	good, err := f.meet(ctx, false)
	if good == 0 {
		return 0, 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.disks {
		if d.pill && (d.fault == Healthy || d.fault == Lies || d.fault == Refuses) {
			pills++
		}
	}
	return pills, PoisonDisks, nil
}

// Poison implements fencing.PoisonDevice.
func (f *FakeSlots) Poison(ctx context.Context) error {
	good, err := f.meet(ctx, true)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.disks {
		if d := &f.disks[i]; d.fault == Healthy {
			d.pill = true
		}
	}
	if 2*good <= PoisonDisks {
		return err
	}
	return nil
}

// meet says how many disks take a request up, and what an error of the others is.
func (f *FakeSlots) meet(ctx context.Context, write bool) (good int, err error) {
	f.mu.Lock()
	disks := f.disks
	f.mu.Unlock()
	missing, hung := 0, 0
	for _, d := range disks {
		switch d.fault {
		case Unreachable:
			err = fmt.Errorf("%w: no such disk", fencing.ErrUnreachable)
		case Rubbish:
			err = fmt.Errorf("%w: no header", fencing.ErrRubbish)
		case Hangs:
			hung++
			err = fmt.Errorf("%w: it hangs", fencing.ErrTimeout)
		case Refuses:
			if write {
				err = fmt.Errorf("%w: read-only", fencing.ErrRefused)
				continue
			}
			good++
		case NoSlot:
			missing++
		case OtherTimes:
			return 0, fmt.Errorf("%w: a disk orders a longer wait", fencing.ErrSettings)
		default:
			good++
		}
	}
	if 2*missing > PoisonDisks {
		return 0, fmt.Errorf("%w: no slot", fencing.ErrSettings)
	}
	if 2*good <= PoisonDisks && hung > 0 && (write || good == 0) {
		<-ctx.Done()
	}
	return good, err
}

// PoisonMethod is a fencing method whose devices are fakes: setting "machine" chooses one of them.
func PoisonMethod(fakes map[string]*FakeSlots) fencing.Method {
	return fencing.Method{Name: "fake-slots", Keys: fakeKeys, Poison: func(settings map[string]string) (fencing.PoisonDevice, error) {
		return chosen(fakes, settings)
	}}
}
