package fencingtest

import (
	"slices"
	"strings"

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

// begin gives the device the case's fault and runs it.
func (c storageCase) begin(r storageRig) {
	if c.fault != "" {
		r.m.Break(c.fault)
	}
	c.run(r)
}

var storageCases = []storageCase{
	{"reads open", "", 0, func(r storageRig) {
		r.reads(r.Clients, ha.AccessOpen)
		r.can(r.Clients, true)
	}},
	{"asked about nobody says that nobody is revoked", "", 0, func(r storageRig) {
		r.must(ha.DeviceRead)
		r.notRevoked(nil)
	}},
	{"revoke", "", 0, func(r storageRig) {
		r.revokes(r.Clients)
		r.reads(r.Clients, ha.AccessRevoked)
		r.can(r.Clients, false)
		r.reads([]string{r.Other}, ha.AccessOpen)
	}},
	{"revoke twice", "", 0, func(r storageRig) {
		r.revokes(r.Clients)
		r.revokes(r.Clients)
		r.reads(r.Clients, ha.AccessRevoked)
	}},
	{"one client that is left is open", "", 2, func(r storageRig) {
		r.revokes(r.Clients[:1])
		r.reads(r.Clients, ha.AccessOpen)
		r.reads(r.Clients[:1], ha.AccessRevoked)
		r.can(r.Clients[1:], true)
		r.revokes(r.Clients)
		r.reads(r.Clients, ha.AccessRevoked)
	}},
	{"access that somebody gives back is seen and taken again", "", 0, func(r storageRig) {
		r.revokes(r.Clients)
		r.reads(r.Clients, ha.AccessRevoked)
		r.m.SetWrites(r.Clients[0], true)
		r.reads(r.Clients, ha.AccessOpen)
		r.revokes(r.Clients)
		r.reads(r.Clients, ha.AccessRevoked)
	}},
	{"access that somebody else took is not open", "", 0, func(r storageRig) {
		for _, c := range r.Clients {
			r.m.SetWrites(c, false)
		}
		if o := r.try(ha.DeviceRead, r.Clients, patience); slices.ContainsFunc(o.Storages, func(x ha.StorageReading) bool { return x.Access == ha.AccessOpen }) {
			r.Errorf("reads %v", o.Storages)
		}
		r.revokes(r.Clients)
		r.reads(r.Clients, ha.AccessRevoked)
	}},
	{"nobody to revoke", "", 0, func(r storageRig) {
		r.failsFor(nil, ha.DeviceRevoke, patience, fencing.ErrSettings, fencing.ErrRefused)
	}},
	{"clients that are not the method's", "", 0, func(r storageRig) {
		kind, _, _ := strings.Cut(r.Clients[0], ":")
		for _, c := range []string{"colour:blue", "", kind, kind + ":", kind + ":?", kind + ":colour:blue"} {
			r.failsFor([]string{c}, ha.DeviceRevoke, patience, fencing.ErrSettings)
			r.failsFor([]string{c}, ha.DeviceRead, patience, fencing.ErrSettings)
		}
		r.can(r.Clients, true)
	}},
	{"one client that makes no sense spoils the answer", "", 0, func(r storageRig) {
		kind, _, _ := strings.Cut(r.Clients[0], ":")
		r.revokes(r.Clients)
		r.failsFor(append(slices.Clone(r.Clients), kind+":?"), ha.DeviceRead, patience, fencing.ErrSettings)
	}},
	{"unreachable", Unreachable, 0, func(r storageRig) {
		r.failsFor(r.Clients, ha.DeviceRead, patience, fencing.ErrUnreachable, fencing.ErrTimeout)
		r.failsFor(r.Clients, ha.DeviceRevoke, patience, fencing.ErrUnreachable, fencing.ErrTimeout)
		r.can(r.Clients, true)
	}},
	{"hangs until the time-out", Hangs, 0, func(r storageRig) {
		r.failsFor(r.Clients, ha.DeviceRead, hangLimit, fencing.ErrTimeout)
		r.failsFor(nil, ha.DeviceRead, hangLimit, fencing.ErrTimeout)
		r.failsFor(r.Clients, ha.DeviceRevoke, hangLimit, fencing.ErrTimeout)
	}},
	{"hangs when it is read back", "", 0, func(r storageRig) {
		r.revokes(r.Clients)
		r.m.Break(Hangs)
		r.failsFor(r.Clients, ha.DeviceRead, hangLimit, fencing.ErrTimeout)
	}},
	{"gives back what it shut out for good", "", 0, func(r storageRig) {
		r.revokes(r.Clients)
		r.must(ha.DeviceRestore, r.Clients...)
		if r.Restores { // else it shuts out this boot only, for ever
			r.can(r.Clients, true)
			r.reads(r.Clients, ha.AccessOpen)
		} else {
			r.reads(r.Clients, ha.AccessRevoked)
		}
	}},
	{"says success but access is open", Lies, 0, func(r storageRig) {
		r.revokes(r.Clients)
		r.reads(r.Clients, ha.AccessOpen)
	}},
	{"carries out a half", HalfDone, 2, func(r storageRig) {
		r.try(ha.DeviceRevoke, r.Clients, patience)
		r.can(r.Clients[1:], true)
		r.reads(r.Clients, ha.AccessOpen)
	}},
	{"breaks off half-way", BreaksOff, 2, func(r storageRig) {
		if o := r.try(ha.DeviceRevoke, r.Clients, patience); o.Problem == "" {
			r.Error("a revocation without an answer succeeded")
		}
		r.m.Break(Healthy)
		r.reads(r.Clients, ha.AccessOpen)
		r.revokes(r.Clients)
		r.reads(r.Clients, ha.AccessRevoked)
	}},
	{"a part does not enforce it yet", Behind, 0, func(r storageRig) {
		r.try(ha.DeviceRevoke, r.Clients, patience)
		r.notRevoked(r.Clients)
		r.m.Break(Healthy)
		r.reads(r.Clients, ha.AccessRevoked)
	}},
	{"falls behind afterwards", "", 0, func(r storageRig) {
		r.revokes(r.Clients)
		r.m.Break(Rubbish)
		r.notRevoked(r.Clients)
		r.m.Break(Healthy)
		r.reads(r.Clients, ha.AccessRevoked)
	}},
	{"rubbish", Rubbish, 0, func(r storageRig) {
		r.failsFor(r.Clients, ha.DeviceRead, patience, fencing.ErrRubbish)
		r.failsFor(r.Clients, ha.DeviceRevoke, patience, fencing.ErrRubbish)
	}},
	{"credentials not accepted", WrongPassword, 0, func(r storageRig) {
		r.failsFor(r.Clients, ha.DeviceRead, patience, fencing.ErrAuth)
		r.failsFor(nil, ha.DeviceRead, patience, fencing.ErrAuth)
		r.failsFor(r.Clients, ha.DeviceRevoke, patience, fencing.ErrAuth)
		r.can(r.Clients, true)
	}},
	{"refuses", Refuses, 0, func(r storageRig) {
		r.failsFor(r.Clients, ha.DeviceRevoke, patience, fencing.ErrRefused, fencing.ErrRights)
		r.can(r.Clients, true)
		r.notRevoked(r.Clients)
	}},
	{"says while all is well that it would refuse", Refuses, 0, func(r storageRig) {
		r.failsFor(nil, ha.DeviceRead, patience, fencing.ErrRefused, fencing.ErrRights)
	}},
	{"works again after a fault", "", 0, func(r storageRig) {
		r.m.Break(Unreachable)
		r.notRevoked(r.Clients)
		r.m.Break(Healthy)
		r.reads(r.Clients, ha.AccessOpen)
		r.revokes(r.Clients)
		r.reads(r.Clients, ha.AccessRevoked)
	}},
}
