package fencingtest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// Faults of storage devices, besides Unreachable, Hangs, Lies, Rubbish, WrongPassword and Refuses.
const (
	HalfDone  Fault = "half-done"  // accepts a revocation and carries out only the first client's
	BreaksOff Fault = "breaks-off" // carries out the first client's, then the connection ends without an answer
	Behind    Fault = "behind"     // records revocations and shows them, but a part of the storage does not enforce them yet
)

// StorageMachine is a simulated storage behind a simulated device of the method under test.
type StorageMachine interface {
	Writes(client string) bool         // whether the client truly can write to any part of the storage
	SetWrites(client string, can bool) // without any command, for good
	Break(Fault)                       // in place of the fault it had
}

// StorageHarness is what a method that takes storages away brings to its suite.
type StorageHarness struct {
	Method fencing.Method
	// New makes a storage that is healthy and to which everybody can write, and the settings to reach it.
	New func(t *testing.T) (StorageMachine, map[string]string)
	// Storages are what the settings name, in order.
	Storages []string
	// Clients are those of one incarnation; at least two, if the method knows more than one for a node.
	Clients []string
	// Other is another node's client. It must never lose its access.
	Other string
	// Restores says that the device gives access back (fencing.Restorer), because it shuts out more than one boot.
	Restores bool
	// Without are faults that such a device cannot have.
	Without []Fault
	// Switch carries out the executor's orders: a fencing.Child that re-executes the test binary, or InProcess.
	Switch fencing.Switcher
	// Secrets must turn up in no error, reading or sentence.
	Secrets []string
}

// RunStorage puts the method through every case twice: its device called directly, and through the executor.
func RunStorage(t *testing.T, h StorageHarness) {
	if h.Method.Storage == nil || len(h.Storages) == 0 || len(h.Clients) == 0 || h.Other == "" {
		t.Fatalf("method %s takes no storages away, or its harness is not complete", h.Method.Name)
	}
	for _, c := range storageCases {
		if slices.Contains(h.Without, c.fault) || len(h.Clients) < c.clients {
			continue
		}
		t.Run("direct/"+c.name, func(t *testing.T) {
			m, settings := h.New(t)
			d, err := h.Method.Storage(settings)
			if err != nil {
				t.Fatalf("the harness's own settings: %v", err)
			}
			runStorageCase(storageRig{t, m, h, directStorage{d}}, c)
		})
		t.Run("executor/"+c.name, func(t *testing.T) {
			m, settings := h.New(t)
			spec := fencing.Spec{Name: "storage-of-node2", Node: "node2", Method: h.Method.Name, Settings: settings}
			e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{h.Method}, h.Switch, fencing.BootNow)
			if err != nil {
				t.Fatalf("the harness's own settings: %v", err)
			}
			runStorageCase(storageRig{t, m, h, executorStorage{e}}, c)
		})
	}
	t.Run("settings", func(t *testing.T) { storageSettings(t, h) })
}

// runStorageCase runs a case; whatever happened, the other node has kept its access.
func runStorageCase(r storageRig, c storageCase) {
	if c.fault != "" {
		r.m.Break(c.fault)
	}
	c.run(r)
	if !r.m.Writes(r.h.Other) {
		r.Errorf("the other node's client %s lost its access", r.h.Other)
	}
}

// storageOutcome is what came of one command: text is empty if it succeeded.
type storageOutcome struct {
	readings []ha.StorageReading
	text     string
	kind     error // known only to the direct driver
}

type storageDriver interface {
	do(a ha.DeviceAction, clients []string, timeout time.Duration) storageOutcome
}

type directStorage struct{ d fencing.StorageDevice }

func (x directStorage) do(a ha.DeviceAction, clients []string, timeout time.Duration) (o storageOutcome) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var err error
	if a == ha.DeviceRead {
		o.readings, err = x.d.Read(ctx, clients)
	} else if r, ok := x.d.(fencing.Restorer); ok && a == ha.DeviceRestore {
		err = r.Restore(ctx, clients)
	} else if a == ha.DeviceRevoke {
		err = x.d.Revoke(ctx, clients)
	}
	if err != nil {
		o.text, o.kind = "failed: "+err.Error(), fencing.Classify(err)
	}
	return o
}

type executorStorage struct{ e *fencing.Executor }

func (x executorStorage) do(a ha.DeviceAction, clients []string, timeout time.Duration) storageOutcome {
	cmd := ha.DeviceCommand{Device: "storage-of-node2", Node: "node2", Incarnation: "boot-7", Action: a, Term: 3, Clients: clients, Timeout: timeout}
	if a != ha.DeviceRead {
		cmd.Deadline = fencing.BootNow().Add(timeout + patience)
	}
	r := x.e.Do(context.Background(), cmd)
	if r.Action != a || !slices.Equal(r.Clients, clients) || r.Power != ha.PowerUnknown || r.Answered.Before(r.Asked) {
		return storageOutcome{text: "the reading does not belong to its command"}
	}
	if r.Problem != "" && (!strings.Contains(r.Problem, "storage-of-node2") || !strings.Contains(r.Problem, "Next: ")) {
		return storageOutcome{text: "the problem names no device or next step: " + r.Problem}
	}
	return storageOutcome{readings: r.Storages, text: r.Problem}
}

// storageRig is one case's equipment.
type storageRig struct {
	*testing.T
	m StorageMachine
	h StorageHarness
	storageDriver
}

// revokes sends a revocation that has to be accepted.
func (r storageRig) revokes(clients []string) {
	r.Helper()
	o := r.do(ha.DeviceRevoke, clients, patience)
	r.clean(o)
	if o.text != "" || len(o.readings) != 0 {
		r.Fatalf("revoke %v: %v %s", clients, o.readings, o.text)
	}
}

// reads demands a literal answer about every storage.
func (r storageRig) reads(clients []string, want ha.StorageAccess) {
	r.Helper()
	o := r.do(ha.DeviceRead, clients, patience)
	r.clean(o)
	var all []ha.StorageReading
	for _, s := range r.h.Storages {
		all = append(all, ha.StorageReading{Storage: s, Access: want})
	}
	if o.text != "" || !slices.Equal(o.readings, all) {
		r.Fatalf("reads %v of %v: %s, want %v", o.readings, clients, o.text, all)
	}
}

// notRevoked reads: whatever the answer, it must not say that access is revoked.
func (r storageRig) notRevoked(clients []string) {
	r.Helper()
	o := r.do(ha.DeviceRead, clients, time.Second)
	r.clean(o)
	for _, x := range o.readings {
		if x.Access == ha.AccessRevoked {
			r.Fatalf("reads %v of %v, which can write", o.readings, clients)
		}
	}
}

// fails sends a command that has to fail in one of these ways, within its time, and learn nothing.
func (r storageRig) fails(a ha.DeviceAction, clients []string, timeout time.Duration, kinds ...error) {
	r.Helper()
	began := time.Now()
	o := r.do(a, clients, timeout)
	r.clean(o)
	if took := time.Since(began); took > timeout+5*time.Second {
		r.Errorf("%s: took %v with a time-out of %v", a, took, timeout)
	}
	for _, x := range o.readings {
		if x.Access != ha.AccessUnknown {
			r.Errorf("%s: failed, yet says %v", a, x)
		}
	}
	for _, k := range kinds {
		if o.text != "" && strings.Contains(o.text, k.Error()) && (o.kind == nil || o.kind == k) {
			return
		}
	}
	r.Errorf("%s: %q, want one of %v", a, o.text, kinds)
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

func (r storageRig) clean(o storageOutcome) {
	r.Helper()
	for _, s := range r.h.Secrets {
		if strings.Contains(o.text, s) {
			r.Errorf("a secret shows in %q", o.text)
		}
	}
}
