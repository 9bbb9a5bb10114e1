package proxmox

import (
	"context"
	"errors"
	"strings"
	"testing"
)

const (
	allPrivileges = `{"Sys.Audit":1,"VM.Audit":1,"Datastore.Audit":1,"VM.PowerMgmt":1,"VM.Migrate":1}`
	fullToken     = `{"/":` + allPrivileges + `,"/nodes":` + allPrivileges + `,"/vms":` + allPrivileges + `,"/storage":` + allPrivileges
)

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
