package proxmox

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bascule/ha"
)

// haResources returns the state in ha/resources.cfg of every guest listed there, by kind and VMID. "ignored" guests
// are left out: PVE's HA leaves them alone.
func (d *Driver) haResources(ctx context.Context) (map[string]string, error) {
	data, err := d.read(ctx, "ha/resources.cfg")
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	states := parseHAResources(string(data))
	for key, state := range states {
		if state == "ignored" {
			delete(states, key)
		}
	}
	return states, nil
}

// parseHAResources reads sections "vm: 102" with indented properties; no state means started. A blank line ends a section, and of a
// property's lines the first counts, as PVE reads it. In doubt a guest is managed.
func parseHAResources(text string) map[string]string {
	states := make(map[string]string)
	section, told := "", false
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
			section = ""
		case strings.HasPrefix(f[0], "#"):
		case line[0] != ' ' && line[0] != '\t':
			section, told = haSection(line), false
			if section != "" {
				states[section] = "started"
			}
		case section != "" && f[0] == "state" && !told:
			told = true
			states[section] = strings.Join(f[1:], " ")
		}
	}
	return states
}

// haSection reads a section's header; empty when it is no guest's.
func haSection(line string) string {
	kind, id, _ := strings.Cut(line, ":")
	kind = strings.ToLower(kind)
	vmid, err := strconv.Atoi(strings.TrimSpace(id))
	if err != nil || (kind != "vm" && kind != "ct") {
		return ""
	}
	return haKey(kindOf(kind), ha.VMID(vmid))
}

func kindOf(haType string) ha.GuestKind {
	if haType == "ct" {
		return ha.LXC
	}
	return ha.QEMU
}

func haKey(kind ha.GuestKind, id ha.VMID) string { return kind.Label(id) }

// notManaged refuses a guest that PVE's HA manages: commands about it would be diverted there (R7).
func (d *Driver) notManaged(ctx context.Context, id ha.VMID, kind ha.GuestKind) error {
	managed, err := d.haResources(ctx)
	if err != nil {
		return fmt.Errorf("reading ha/resources.cfg: %w; `systemctl status pve-cluster`", err)
	}
	if state, ok := managed[haKey(kind, id)]; ok {
		return fmt.Errorf("%w (state %s); %s", ErrManagedByHA, state, haAdvice(kind, id))
	}
	return nil
}

// haAdvice is how an operator takes a guest out of PVE's HA.
func haAdvice(kind ha.GuestKind, id ha.VMID) string {
	sid := fmt.Sprintf("vm:%d", id)
	if kind == ha.LXC {
		sid = fmt.Sprintf("ct:%d", id)
	}
	return fmt.Sprintf("choose one of the two: `ha-manager remove %s`, or take the guest out of Bascule's protection", sid)
}

// managedIDs are the numbers of the guests in haResources' answer, ascending.
func managedIDs(managed map[string]string) []ha.VMID {
	var ids []ha.VMID
	for key := range managed {
		_, num, _ := strings.Cut(key, " ")
		if id, err := strconv.Atoi(num); err == nil {
			ids = append(ids, ha.VMID(id))
		}
	}
	slices.Sort(ids)
	return ids
}
