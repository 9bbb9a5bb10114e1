package fencingtest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bascule/fencing"
	"bascule/ha"
)

// FakeStorage is a storage device with its storages, in memory. Its clients are written "fake:NAME". It keeps no clock: a hung call ends
// with its context. The zero value is not usable; see NewFakeStorage.
type FakeStorage struct {
	frail
	storages []string
	revoked  []string // on record
	heard    int
}

// NewFakeStorage returns a healthy device of these storages, to which everybody can write.
func NewFakeStorage(storages ...string) *FakeStorage {
	return &FakeStorage{storages: storages}
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
	if err := f.take(ctx, clients); err != nil {
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
	if err := f.take(ctx, clients); err != nil {
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

// take checks whom a request is about, and lets the device's fault act.
func (f *FakeStorage) take(ctx context.Context, clients []string) error {
	for _, c := range clients {
		if name, ours := strings.CutPrefix(c, "fake:"); !ours || name == "" || strings.ContainsAny(name, "?:") {
			return fmt.Errorf("%w: %q is no client of this device", fencing.ErrSettings, c)
		}
	}
	return f.meet(ctx)
}

// StorageMethod is a fencing method whose devices are fakes: setting "machine" chooses one of them.
func StorageMethod(fakes map[string]*FakeStorage) fencing.Method {
	return fencing.Method{Name: "fake-storage", Keys: fakeKeys, Storage: func(settings map[string]string) (fencing.StorageDevice, error) {
		return chosen(fakes, settings)
	}}
}
