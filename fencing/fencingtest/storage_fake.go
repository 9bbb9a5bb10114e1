package fencingtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"bascule/fencing"
	"bascule/ha"
)

// FakeStorage is a storage device with its storages, in memory. Its clients are written "fake:NAME". It keeps no clock: a hung call ends
// with its context. The zero value is not usable; see NewFakeStorage.
type FakeStorage struct {
	mu       sync.Mutex
	storages []string
	revoked  []string // on record
	fault    Fault
	heard    int
}

// NewFakeStorage returns a healthy device of these storages, to which everybody can write.
func NewFakeStorage(storages ...string) *FakeStorage {
	return &FakeStorage{storages: storages, fault: Healthy}
}

// Break gives the device a fault in place of the one it had; Healthy mends it.
func (f *FakeStorage) Break(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// Writes says whether the client truly can write.
func (f *FakeStorage) Writes(client string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault == Behind || !slices.Contains(f.revoked, client)
}

// SetWrites gives or takes access without any command.
func (f *FakeStorage) SetWrites(client string, can bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked = slices.DeleteFunc(f.revoked, func(c string) bool { return c == client })
	if !can {
		f.revoked = append(f.revoked, client)
	}
}

// Heard is how many revocations reached the device, refused ones too.
func (f *FakeStorage) Heard() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heard
}

// Storages implements fencing.StorageDevice.
func (f *FakeStorage) Storages() []string { return slices.Clone(f.storages) }

// Read implements fencing.StorageDevice.
func (f *FakeStorage) Read(ctx context.Context, clients []string) ([]ha.StorageReading, error) {
	if err := f.meet(ctx, clients); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	access := ha.AccessRevoked
	switch {
	case len(clients) == 0 && f.fault == Refuses:
		return nil, fmt.Errorf("%w: this account may not revoke", fencing.ErrRefused)
	case slices.ContainsFunc(clients, func(c string) bool { return !slices.Contains(f.revoked, c) }):
		access = ha.AccessOpen
	case len(clients) == 0 || f.fault == Behind:
		access = ha.AccessUnknown
	}
	var out []ha.StorageReading
	for _, s := range f.storages {
		out = append(out, ha.StorageReading{Storage: s, Access: access})
	}
	return out, nil
}

// Revoke implements fencing.StorageDevice.
func (f *FakeStorage) Revoke(ctx context.Context, clients []string) error {
	if len(clients) == 0 {
		return fmt.Errorf("%w: no client", fencing.ErrSettings)
	}
	if err := f.meet(ctx, clients); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard++
	switch f.fault {
	case Refuses:
		return fmt.Errorf("%w: not now", fencing.ErrRefused)
	case Lies:
		return nil
	case HalfDone, BreaksOff:
		clients = clients[:1]
	}
	for _, c := range clients {
		if !slices.Contains(f.revoked, c) {
			f.revoked = append(f.revoked, c)
		}
	}
	if f.fault == BreaksOff {
		return fmt.Errorf("%w: connection reset", fencing.ErrUnreachable)
	}
	return nil
}

// meet is what happens before the device takes a request up.
func (f *FakeStorage) meet(ctx context.Context, clients []string) error {
	for _, c := range clients {
		if name, ours := strings.CutPrefix(c, "fake:"); !ours || name == "" || strings.ContainsAny(name, "?:") {
			return fmt.Errorf("%w: %q is no client of this device", fencing.ErrSettings, c)
		}
	}
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

// StorageMethod is a fencing method whose devices are fakes: setting "storage" chooses one of them.
func StorageMethod(fakes map[string]*FakeStorage) fencing.Method {
	keys := []fencing.Key{{Name: "storage", Required: true, Doc: "the name of a fake"}}
	return fencing.Method{
		Name: "fake-storage", Keys: keys,
		Storage: func(settings map[string]string) (fencing.StorageDevice, error) {
			if err := fencing.CheckSettings(keys, settings); err != nil {
				return nil, err
			}
			f, ok := fakes[settings["storage"]]
			if !ok {
				return nil, fmt.Errorf("%w: setting \"storage\": there is no fake %q", fencing.ErrSettings, settings["storage"])
			}
			return f, nil
		},
	}
}
