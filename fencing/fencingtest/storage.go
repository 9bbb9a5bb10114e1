package fencingtest

import (
	"context"
	"slices"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// Faults of storage devices.
const (
	HalfDone  Fault = "half-done"  // accepts a revocation and carries out only the first client's
	BreaksOff Fault = "breaks-off" // carries out the first client's, then the connection ends without an answer
	Behind    Fault = "behind"     // records revocations and shows them, but a part of the storage does not enforce them yet
)

// StorageMachine is a simulated storage behind a simulated storage device. To a new one everybody can write.
type StorageMachine interface {
	Writes(client string) bool         // whether the client truly can write to any part of the storage
	SetWrites(client string, can bool) // without any command, for good
	Break(Fault)                       // in place of the fault it had
}

// Storages is what RunStorage has to know of a harness's settings and of the method.
type Storages struct {
	Names   []string // what the settings name, in order
	Clients []string // those of one incarnation; at least two, if the method knows more than one for a node
	Other   string   // another node's client. It must never lose its access
	// Restores says that the device gives access back (fencing.Restorer), because it shuts out more than one boot.
	Restores bool
	// Without are faults that such a device cannot have.
	Without []Fault
}

// RunStorage is the suite of methods that take storages away.
func RunStorage(t *testing.T, h Harness[StorageMachine], s Storages) {
	if len(s.Names) == 0 || len(s.Clients) == 0 || s.Other == "" {
		t.Fatalf("the harness of method %s is not complete", h.Method.Name)
	}
	var cases []scene[storageRig]
	for _, c := range storageCases {
		if !slices.Contains(s.Without, c.fault) && len(s.Clients) >= c.clients {
			cases = append(cases, scene[storageRig]{c.name, c.begin})
		}
	}
	suite[StorageMachine, storageRig]{
		Harness: h, kind: ha.StorageDevice, cases: cases,
		open: func(settings map[string]string) (caller, error) {
			d, err := h.Method.Storage(settings)
			return storageCaller(d), err
		},
		rig: func(r rig, m StorageMachine) storageRig { return storageRig{r, m, s} },
		after: func(r storageRig) {
			if !r.m.Writes(s.Other) {
				r.Errorf("the other node's client %s lost its access", s.Other)
			}
		},
	}.run(t)
	t.Run("names its storages without any I/O", func(t *testing.T) {
		m, good := h.New(t)
		m.Break(Unreachable)
		d, err := h.Method.Storage(good)
		if err != nil || !slices.Equal(d.Storages(), s.Names) {
			t.Errorf("%v, %v, want %v", d, err, s.Names)
		}
	})
}

func storageCaller(d fencing.StorageDevice) caller {
	return func(ctx context.Context, a ha.DeviceAction, clients []string, says *ha.DeviceReading) (err error) {
		switch a {
		case ha.DeviceRevoke:
			return d.Revoke(ctx, clients)
		case ha.DeviceRestore:
			if r, ok := d.(fencing.Restorer); ok {
				return r.Restore(ctx, clients)
			}
			return nil
		}
		says.Storages, err = d.Read(ctx, clients)
		return err
	}
}

// storageRig is one case's equipment.
type storageRig struct {
	rig
	m StorageMachine
	Storages
}

// revokes sends a revocation that has to be accepted.
func (r storageRig) revokes(clients []string) {
	r.Helper()
	if o := r.must(ha.DeviceRevoke, clients...); len(o.Storages) != 0 {
		r.Fatalf("revoke %v: %v", clients, o.Storages)
	}
}

// reads demands a literal answer about every storage.
func (r storageRig) reads(clients []string, want ha.StorageAccess) {
	r.Helper()
	var all []ha.StorageReading
	for _, s := range r.Names {
		all = append(all, ha.StorageReading{Storage: s, Access: want})
	}
	if o := r.must(ha.DeviceRead, clients...); !slices.Equal(o.Storages, all) {
		r.Fatalf("reads %v of %v, want %v", o.Storages, clients, all)
	}
}

// notRevoked reads: whatever the answer, it must not say that access is revoked.
func (r storageRig) notRevoked(clients []string) {
	r.Helper()
	for _, x := range r.try(ha.DeviceRead, clients, time.Second).Storages {
		if x.Access == ha.AccessRevoked {
			r.Fatalf("reads %v of %v, which can write", x, clients)
		}
	}
}

// can compares the truth.
func (r storageRig) can(clients []string, write bool) {
	r.Helper()
	for _, c := range clients {
		if r.m.Writes(c) != write {
			r.Errorf("%s can write: %t, want %t", c, !write, write)
		}
	}
}
