package proxmox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/pve"
)

const (
	allPrivileges = `{"Sys.Audit":1,"VM.Audit":1,"Datastore.Audit":1,"VM.PowerMgmt":1,"VM.Migrate":1}`
	fullToken     = `{"/":` + allPrivileges + `,"/nodes":` + allPrivileges + `,"/vms":` + allPrivileges + `,"/storage":` + allPrivileges
)

// The role that the set-up makes is what the driver asks for, no more and no less.
func TestTheRoleIsWhatIsAskedFor(t *testing.T) {
	var asked []string
	for _, needed := range privilegesBelow {
		asked = append(asked, needed...)
	}
	slices.Sort(asked)
	role := pve.Privileges()
	slices.Sort(role)
	if asked = slices.Compact(asked); !slices.Equal(asked, role) {
		t.Errorf("the role has %q, the driver asks for %q", role, asked)
	}
}

func TestCheckPrivileges(t *testing.T) {
	for name, c := range map[string]struct{ granted, missing string }{
		"full":              {fullToken + `,"/vms/100":` + allPrivileges + `}`, ""},
		"only the root":     {`{"/":` + allPrivileges + `}`, ""},
		"no propagation":    {`{"/":{"Sys.Audit":0,"VM.Audit":0,"Datastore.Audit":0,"VM.PowerMgmt":0,"VM.Migrate":0}}`, "Datastore.Audit on /storage, Sys.Audit on /, Sys.Audit on /nodes, VM.Audit on /vms, VM.Migrate on /vms, VM.PowerMgmt on /vms"},
		"privsep, no ACL":   {`{}`, "Datastore.Audit on /storage, Sys.Audit on /, Sys.Audit on /nodes, VM.Audit on /vms, VM.Migrate on /vms, VM.PowerMgmt on /vms"},
		"empty map":         {`{"/":{},"/vms":{}}`, "Datastore.Audit on /storage, Sys.Audit on /, Sys.Audit on /nodes, VM.Audit on /vms, VM.Migrate on /vms, VM.PowerMgmt on /vms"},
		"no migrate":        {`{"/":{"Sys.Audit":1,"VM.Audit":1,"Datastore.Audit":1,"VM.PowerMgmt":"1"}}`, "VM.Migrate on /vms"},
		"taken from one VM": {fullToken + `,"/vms/100":{"VM.Audit":1,"VM.Migrate":0}}`, "VM.PowerMgmt on /vms/100"},
	} {
		f := newFakePVE(t).on("GET /access/permissions", ok(c.granted))
		err := f.driver(t, newTree(nil)).CheckPrivileges(context.Background())
		var weak *WeakTokenError
		switch {
		case c.missing == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.missing != "" && (!errors.As(err, &weak) || strings.Join(weak.Missing, ", ") != c.missing):
			t.Errorf("%s: got %v, want missing %s", name, err, c.missing)
		case c.missing != "" && (!strings.Contains(err.Error(), "pveum acl modify / --tokens 'bascule@pve!n1'") ||
			!strings.Contains(err.Error(), "--users bascule@pve")):
			t.Errorf("%s: %v does not say what to run", name, err)
		}
	}
}

func TestWrongTokenIsNoWeakToken(t *testing.T) {
	f := newFakePVE(t).on("GET /access/permissions", answer{code: 401, reason: "Authentication failed!"})
	err := f.driver(t, newTree(nil)).CheckPrivileges(context.Background())
	var weak *WeakTokenError
	if err == nil || errors.As(err, &weak) || !strings.Contains(err.Error(), "Authentication failed!") {
		t.Errorf("got %v", err)
	}
}

// withoutAudit is a token that lost Sys.Audit and Datastore.Audit after the start: PVE shows it no task of others and no storage, with 200.
func withoutAudit(t *testing.T) *fakePVE {
	const rest = `{"VM.Audit":1,"VM.PowerMgmt":1,"VM.Migrate":1}`
	return inventoryPVE(t).on("GET /access/permissions", ok(`{"/":`+rest+`}`)).
		on("GET /nodes/n1/tasks", ok("[]")).on("GET /nodes/n1/storage", ok("[]"))
}

// A list that is shorter than it was is no evidence of absence: what rests on one asks again what the token may see.
func TestShorterListsProveNothing(t *testing.T) {
	tree := newTree(map[string]string{conf100: "tags: ha\nlock: backup\nscsi0: shared:100/a.raw\n"})
	d := withoutAudit(t).driver(t, tree, func(c *Config) { c.Protect.Tags = []string{"ha"} })
	ctx := context.Background()
	for name, call := range map[string]func() error{
		"no worker, so the lock is left over": func() error { _, err := d.ClearLock(ctx, 100, ha.QEMU); return err },
		"no task, so it crashed":              func() error { _, err := d.StopCause(ctx, 100, time.Unix(0, 0)); return err },
		"no such storage":                     func() error { _, err := d.Inventory(ctx); return err },
	} {
		var weak *WeakTokenError
		if err := call(); !errors.As(err, &weak) || !strings.Contains(err.Error(), "Sys.Audit") {
			t.Errorf("%s: got %v, want a WeakTokenError", name, err)
		}
	}
	if data, _ := tree.get(conf100); !strings.Contains(data, "lock: backup") {
		t.Error("the lock was removed")
	}
}

// A storage that is not there at all is no weak token, and no reason to see nothing.
func TestUnknownStorageIsNoWeakToken(t *testing.T) {
	tree := newTree(map[string]string{conf100: "scsi0: nosuch:100/a.raw\nscsi1: /dev/sdb\n"})
	f := inventoryPVE(t)
	d := f.driver(t, tree, func(c *Config) { c.Protect.All = true })
	if inv, err := d.Inventory(context.Background()); err != nil || len(inv.Guests) != 1 {
		t.Errorf("got %+v, %v", inv.Guests, err)
	}
	if f.count("GET /access/permissions") != 1 {
		t.Errorf("asked %q", f.asked)
	}
}
