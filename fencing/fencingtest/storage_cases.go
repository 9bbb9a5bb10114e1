package fencingtest

import (
	"slices"
	"strings"
	"testing"

	"bascule/fencing"
	"bascule/ha"
)

// storageCase begins with a storage to which everybody can write.
type storageCase struct {
	name    string
	fault   Fault // that the device has from the beginning; a method may be without it
	clients int   // that it needs
	run     func(r storageRig)
}

var storageCases = []storageCase{
	{"reads open", "", 0, func(r storageRig) {
		r.reads(r.h.Clients, ha.AccessOpen)
		r.can(r.h.Clients, true)
	}},
	{"asked about nobody says that nobody is revoked", "", 0, func(r storageRig) {
		if o := r.do(ha.DeviceRead, nil, patience); o.text != "" {
			r.Errorf("a healthy device: %s", o.text)
		}
		r.notRevoked(nil)
	}},
	{"revoke", "", 0, func(r storageRig) {
		r.revokes(r.h.Clients)
		r.reads(r.h.Clients, ha.AccessRevoked)
		r.can(r.h.Clients, false)
		r.reads([]string{r.h.Other}, ha.AccessOpen)
	}},
	{"revoke twice", "", 0, func(r storageRig) {
		r.revokes(r.h.Clients)
		r.revokes(r.h.Clients)
		r.reads(r.h.Clients, ha.AccessRevoked)
	}},
	{"one client that is left is open", "", 2, func(r storageRig) {
		r.revokes(r.h.Clients[:1])
		r.reads(r.h.Clients, ha.AccessOpen)
		r.reads(r.h.Clients[:1], ha.AccessRevoked)
		r.can(r.h.Clients[1:], true)
		r.revokes(r.h.Clients)
		r.reads(r.h.Clients, ha.AccessRevoked)
	}},
	{"access that somebody gives back is seen and taken again", "", 0, func(r storageRig) {
		r.revokes(r.h.Clients)
		r.reads(r.h.Clients, ha.AccessRevoked)
		r.m.SetWrites(r.h.Clients[0], true)
		r.reads(r.h.Clients, ha.AccessOpen)
		r.revokes(r.h.Clients)
		r.reads(r.h.Clients, ha.AccessRevoked)
	}},
	{"access that somebody else took is not open", "", 0, func(r storageRig) {
		for _, c := range r.h.Clients {
			r.m.SetWrites(c, false)
		}
		if o := r.do(ha.DeviceRead, r.h.Clients, patience); slices.ContainsFunc(o.readings, func(x ha.StorageReading) bool { return x.Access == ha.AccessOpen }) {
			r.Errorf("reads %v", o.readings)
		}
		r.revokes(r.h.Clients)
		r.reads(r.h.Clients, ha.AccessRevoked)
	}},
	{"nobody to revoke", "", 0, func(r storageRig) {
		r.fails(ha.DeviceRevoke, nil, patience, fencing.ErrSettings, fencing.ErrRefused)
	}},
	{"clients that are not the method's", "", 0, func(r storageRig) {
		kind, _, _ := strings.Cut(r.h.Clients[0], ":")
		for _, c := range []string{"colour:blue", "", kind, kind + ":", kind + ":?", kind + ":colour:blue"} {
			r.fails(ha.DeviceRevoke, []string{c}, patience, fencing.ErrSettings)
			r.fails(ha.DeviceRead, []string{c}, patience, fencing.ErrSettings)
		}
		r.can(r.h.Clients, true)
	}},
	{"one client that makes no sense spoils the answer", "", 0, func(r storageRig) {
		kind, _, _ := strings.Cut(r.h.Clients[0], ":")
		r.revokes(r.h.Clients)
		r.fails(ha.DeviceRead, append(slices.Clone(r.h.Clients), kind+":?"), patience, fencing.ErrSettings)
	}},
	{"unreachable", Unreachable, 0, func(r storageRig) {
		r.fails(ha.DeviceRead, r.h.Clients, patience, fencing.ErrUnreachable, fencing.ErrTimeout)
		r.fails(ha.DeviceRevoke, r.h.Clients, patience, fencing.ErrUnreachable, fencing.ErrTimeout)
		r.can(r.h.Clients, true)
	}},
	{"hangs until the time-out", Hangs, 0, func(r storageRig) {
		r.fails(ha.DeviceRead, r.h.Clients, hangLimit, fencing.ErrTimeout)
		r.fails(ha.DeviceRead, nil, hangLimit, fencing.ErrTimeout)
		r.fails(ha.DeviceRevoke, r.h.Clients, hangLimit, fencing.ErrTimeout)
	}},
	{"hangs when it is read back", "", 0, func(r storageRig) {
		r.revokes(r.h.Clients)
		r.m.Break(Hangs)
		r.fails(ha.DeviceRead, r.h.Clients, hangLimit, fencing.ErrTimeout)
	}},
	{"gives back what it shut out for good", "", 0, func(r storageRig) {
		r.revokes(r.h.Clients)
		if o := r.do(ha.DeviceRestore, r.h.Clients, patience); o.text != "" {
			r.Fatal(o.text)
		}
		if r.h.Restores { // else it shuts out this boot only, for ever
			r.can(r.h.Clients, true)
			r.reads(r.h.Clients, ha.AccessOpen)
		} else {
			r.reads(r.h.Clients, ha.AccessRevoked)
		}
	}},
	{"says success but access is open", Lies, 0, func(r storageRig) {
		r.revokes(r.h.Clients)
		r.reads(r.h.Clients, ha.AccessOpen)
	}},
	{"carries out a half", HalfDone, 2, func(r storageRig) {
		r.do(ha.DeviceRevoke, r.h.Clients, patience)
		r.can(r.h.Clients[1:], true)
		r.reads(r.h.Clients, ha.AccessOpen)
	}},
	{"breaks off half-way", BreaksOff, 2, func(r storageRig) {
		if o := r.do(ha.DeviceRevoke, r.h.Clients, patience); o.text == "" {
			r.Error("a revocation without an answer succeeded")
		}
		r.m.Break(Healthy)
		r.reads(r.h.Clients, ha.AccessOpen)
		r.revokes(r.h.Clients)
		r.reads(r.h.Clients, ha.AccessRevoked)
	}},
	{"a part does not enforce it yet", Behind, 0, func(r storageRig) {
		r.do(ha.DeviceRevoke, r.h.Clients, patience)
		r.notRevoked(r.h.Clients)
		r.m.Break(Healthy)
		r.reads(r.h.Clients, ha.AccessRevoked)
	}},
	{"falls behind afterwards", "", 0, func(r storageRig) {
		r.revokes(r.h.Clients)
		r.m.Break(Rubbish)
		r.notRevoked(r.h.Clients)
		r.m.Break(Healthy)
		r.reads(r.h.Clients, ha.AccessRevoked)
	}},
	{"rubbish", Rubbish, 0, func(r storageRig) {
		r.fails(ha.DeviceRead, r.h.Clients, patience, fencing.ErrRubbish)
		r.fails(ha.DeviceRevoke, r.h.Clients, patience, fencing.ErrRubbish)
	}},
	{"credentials not accepted", WrongPassword, 0, func(r storageRig) {
		r.fails(ha.DeviceRead, r.h.Clients, patience, fencing.ErrAuth)
		r.fails(ha.DeviceRead, nil, patience, fencing.ErrAuth)
		r.fails(ha.DeviceRevoke, r.h.Clients, patience, fencing.ErrAuth)
		r.can(r.h.Clients, true)
	}},
	{"refuses", Refuses, 0, func(r storageRig) {
		r.fails(ha.DeviceRevoke, r.h.Clients, patience, fencing.ErrRefused)
		r.can(r.h.Clients, true)
		r.notRevoked(r.h.Clients)
	}},
	{"says while all is well that it would refuse", Refuses, 0, func(r storageRig) {
		r.fails(ha.DeviceRead, nil, patience, fencing.ErrRefused)
	}},
	{"works again after a fault", "", 0, func(r storageRig) {
		r.m.Break(Unreachable)
		r.notRevoked(r.h.Clients)
		r.m.Break(Healthy)
		r.reads(r.h.Clients, ha.AccessOpen)
		r.revokes(r.h.Clients)
		r.reads(r.h.Clients, ha.AccessRevoked)
	}},
}

// storageSettings demands that the method names its storages without any I/O, is strict and says what to write.
func storageSettings(t *testing.T, h StorageHarness) {
	m, good := h.New(t)
	m.Break(Unreachable)
	d, err := h.Method.Storage(good)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Storages(); !slices.Equal(got, h.Storages) {
		t.Errorf("storages %v, want %v", got, h.Storages)
	}
	strictSettings(t, h.Method, good)
}
