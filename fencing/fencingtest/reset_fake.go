package fencingtest

import (
	"context"
	"fmt"

	"bascule/fencing"
)

// FakeReset is a reset service with its machines, in memory. It keeps no clock: a hung call ends with its context.
type FakeReset struct {
	frail
	resets int
	logins int  // wrong ones
	locked bool // it was told of a wrong log-in and sends no other
}

// NewFakeReset returns a healthy service.
func NewFakeReset() *FakeReset { return &FakeReset{} }

// Resets implements Resettable.
func (f *FakeReset) Resets() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.resets
}

// Strangers implements Resettable: it has no other machine.
func (f *FakeReset) Strangers() int { return 0 }

// WrongLogins implements Resettable.
func (f *FakeReset) WrongLogins() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logins
}

// Read implements fencing.ResetDevice.
func (f *FakeReset) Read(ctx context.Context) error {
	f.mu.Lock()
	fault := f.fault
	if fault == WrongPassword && !f.locked {
		f.locked = true
		f.logins++
	}
	f.mu.Unlock()
	switch fault {
	case OtherMachine:
		return fmt.Errorf("%w: it has another address", fencing.ErrWrongMachine)
	case NotOffered:
		return fmt.Errorf("%w: no reset", fencing.ErrRefused)
	}
	return f.meet(ctx)
}

// Reset implements fencing.ResetDevice.
func (f *FakeReset) Reset(ctx context.Context) error {
	if err := f.Read(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	fault := f.fault
	if fault != Refuses && fault != Lies {
		f.resets++
	}
	f.mu.Unlock()
	switch fault {
	case Refuses:
		return fmt.Errorf("%w: not now", fencing.ErrRefused)
	case DiesHalfWay:
		return fencing.Perhaps(fmt.Errorf("%w: connection lost", fencing.ErrUnreachable))
	case HangsHalfWay:
		<-ctx.Done()
		return fencing.Perhaps(fmt.Errorf("%w: %w", fencing.ErrTimeout, ctx.Err()))
	}
	return nil
}

// ResetMethod is a fencing method whose devices are fakes: setting "machine" chooses one of them.
func ResetMethod(fakes map[string]*FakeReset) fencing.Method {
	return fencing.Method{Name: "fake-reset", Keys: fakeKeys, Reset: func(settings map[string]string) (fencing.ResetDevice, error) {
		return chosen(fakes, settings)
	}}
}
