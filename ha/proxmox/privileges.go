package proxmox

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bascule/ha/pve"
)

// privilegesBelow says where each of pve.Privileges is needed. PVE lists these paths in every answer, and deeper ones where an ACL or a
// pool says something of its own, which may take privileges away.
var privilegesBelow = map[string][]string{
	"/":        {"Sys.Audit"},
	"/nodes":   {"Sys.Audit"},
	"/vms":     {"VM.Audit", "VM.Migrate", "VM.PowerMgmt"},
	"/storage": {"Datastore.Audit"},
}

// CheckPrivileges asks PVE what the token may do. PVE answers a weak token with shorter lists instead of errors, so
// that guests and storages would only seem to be absent. *WeakTokenError names what is missing and what to run.
func (d *Driver) CheckPrivileges(ctx context.Context) error {
	var granted map[string]map[string]pve.Number
	if err := d.get(ctx, "/access/permissions", &granted); err != nil {
		return fmt.Errorf("asking PVE on %s what token %s may do: %w", d.node, d.tokenID, err)
	}
	var missing []string
	for path, needed := range privilegesBelow {
		for _, privilege := range needed {
			if !allowedBelow(granted, path, privilege) {
				missing = append(missing, privilege+" on "+path)
			}
		}
	}
	for path, privileges := range granted {
		for _, privilege := range privilegesBelow[parentOf(path)] {
			if _, ok := privileges[privilege]; !ok {
				missing = append(missing, privilege+" on "+path)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return &WeakTokenError{TokenID: d.tokenID, Missing: missing}
}

// allowedBelow says whether a privilege holds at a path and below it: 1 means that it propagates.
func allowedBelow(granted map[string]map[string]pve.Number, path, privilege string) bool {
	at, listed := granted[path]
	if !listed && path != "/" {
		at = granted["/"]
	}
	return at[privilege].Yes()
}

// parentOf returns the listed path that a deeper one belongs to ("/vms" of "/vms/100"), or "".
func parentOf(path string) string {
	for _, parent := range []string{"/nodes", "/vms", "/storage"} {
		if strings.HasPrefix(path, parent+"/") {
			return parent
		}
	}
	return ""
}
