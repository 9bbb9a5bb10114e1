package fencingtest

import (
	"context"
	"fmt"
	"sync"

	"bascule/fencing"
)

// Fault is one way in which a device fails. Each kind of device has some of its own beside these.
type Fault string

// The faults that any device may have.
const (
	Healthy       Fault = "healthy"
	Unreachable   Fault = "unreachable"
	Hangs         Fault = "hangs"          // takes requests and never answers
	Lies          Fault = "lies"           // accepts a command and does nothing
	Rubbish       Fault = "rubbish"        // answers nonsense
	OtherMachine  Fault = "other-machine"  // works, but turns out to be another machine's
	WrongPassword Fault = "wrong-password" // does not accept the credentials
	Refuses       Fault = "refuses"        // says no to commands
)

// frail is what the fakes have in common: a lock, and the fault that they have now. Its zero value is healthy.
type frail struct {
	mu    sync.Mutex
	fault Fault
}

// Break gives the device a fault in place of the one it had; Healthy mends it.
func (f *frail) Break(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// meet is what happens before the device takes a request up.
func (f *frail) meet(ctx context.Context) error {
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	switch fault {
	case Unreachable:
		return fmt.Errorf("%w: connection refused", fencing.ErrUnreachable)
	case Hangs:
		<-ctx.Done()
		return fmt.Errorf("%w: %w", fencing.ErrTimeout, ctx.Err())
	case Rubbish:
		return fmt.Errorf("%w: %q", fencing.ErrRubbish, "<html>")
	case WrongPassword:
		return fmt.Errorf("%w: login failed", fencing.ErrAuth)
	}
	return ctx.Err()
}

// fakeKeys are the settings of each method whose devices are fakes.
var fakeKeys = []fencing.Key{{Name: "machine", Required: true, Doc: "the name of a fake"}}

// chosen is the fake that the settings name.
func chosen[F any](fakes map[string]*F, settings map[string]string) (*F, error) {
	if err := fencing.CheckSettings(fakeKeys, settings); err != nil {
		return nil, err
	}
	f, ok := fakes[settings["machine"]]
	if !ok {
		return nil, fmt.Errorf("%w: setting \"machine\": there is no fake %q", fencing.ErrSettings, settings["machine"])
	}
	return f, nil
}
