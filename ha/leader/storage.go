package leader

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
	"bascule/ha/ladder"
)

// storageProofs makes the node's record say of storages what the fence record says: a revocation that was read back frees guests
// before the machine itself is proven off, one that was found open again frees no further guest. The node's own lease ends with the
// first: its permit must not be renewed.
func (r *round) storageProofs(rec *ha.NodeRecord, mem *NodeMemory, f *ha.FenceRecord) {
	had, has := aboutStorages(rec.Proofs, rec.Incarnation), aboutStorages(f.Proofs, rec.Incarnation)
	if !slices.EqualFunc(had, has, ha.Proof.Same) {
		rec.Proofs = slices.DeleteFunc(rec.Proofs, func(p ha.Proof) bool { return !p.Complete() && p.Incarnation() == rec.Incarnation })
		rec.Proofs = append(rec.Proofs, has...)
		if len(has) > 0 {
			r.rests[rec.Node] = true // it is about the addresses that the report names
			r.note(rec, "storage revoked", has[0].Evidence())
		}
	}
	if len(has) == 0 {
		return
	}
	lease := r.Store.Leases[rec.Node].Rec
	if lease.Lease == 0 || lease.Incarnation != rec.Incarnation {
		return
	}
	if due := mem.Revoked.Add(r.Timing.RenewEvery); mem.Revoked != 0 && r.now < due {
		r.wakeAt(due)
		return
	}
	mem.Revoked = r.now
	f.LeaseRevoked = true
	r.rests[rec.Node] = true
	c := r.follows(rec.Node)
	c.Revoke = append(c.Revoke, lease.Lease)
	r.wakeAt(r.now.Add(r.Timing.RenewEvery))
}

// storageAlarm is what people must hear about storages that were found open again; empty when there is nothing.
func storageAlarm(n ha.NodeName, f *ha.FenceRecord) string {
	if f == nil || len(f.Restored) == 0 {
		return ""
	}
	return fmt.Sprintf("%saccess of %s to %s was taken away and is open again, although its guests may run elsewhere: switch %s off now; it is being taken away again", ha.Alarm, n, strings.Join(f.Restored, ", "), n)
}

// recheck goes on looking at the storages that were taken away from a fenced node, until its power reads off or it boots again (R3).
func (r *round) recheck(rec *ha.NodeRecord, mem *NodeMemory) {
	f := r.fences[rec.Node]
	if f == nil || f.Incarnation != rec.Incarnation || !r.revokable(rec) {
		return
	}
	for _, p := range rec.Proofs {
		if p.Incarnation() == rec.Incarnation && (p.Kind() == ha.PowerOffConfirmed || p.Kind() == ha.NewBoot) {
			return
		}
	}
	out := ladder.Recheck(r.input(rec, mem, f))
	r.took(rec, mem, out)
	r.storageProofs(rec, mem, out.Record)
	if why := storageAlarm(rec.Node, out.Record); why != "" {
		r.setNode(rec, rec.State, why)
	} else if storageAlarm(rec.Node, f) != "" {
		r.setNode(rec, rec.State, "fenced; its access to storages is taken away again")
	}
}

// aboutStorages are the proofs about an incarnation that cover only guests on certain storages.
func aboutStorages(proofs []ha.Proof, inc ha.Incarnation) []ha.Proof {
	var out []ha.Proof
	for _, p := range proofs {
		if !p.Complete() && p.Incarnation() == inc {
			out = append(out, p)
		}
	}
	return out
}

// revoked says whether storages were proven revoked for the recorded incarnation, even if they were opened again since: then only a
// new boot lets it in.
func (r *round) revoked(rec *ha.NodeRecord) bool {
	f := r.fences[rec.Node]
	return len(aboutStorages(rec.Proofs, rec.Incarnation)) > 0 || f != nil && f.Incarnation == rec.Incarnation && len(f.Restored) > 0
}

// revokable says whether a storage device was ever told to take something away from the recorded incarnation.
func (r *round) revokable(rec *ha.NodeRecord) bool {
	return r.revoked(rec) || len(r.told(rec, ha.StorageDevice)) > 0
}

// told are the devices of a kind whose command about the recorded incarnation is committed.
func (r *round) told(rec *ha.NodeRecord, kind ha.DeviceKind) []ladder.Device {
	var out []ladder.Device
	f := r.fences[rec.Node]
	if f == nil || f.Incarnation != rec.Incarnation {
		return nil
	}
	for _, name := range f.Commanded {
		if d, ok := r.Plans[rec.Node].Device(name); ok && d.Kind == kind {
			out = append(out, d)
		}
	}
	return out
}

// untouched says whether every storage device that was told to take something away literally reads open: asked when no command
// of ours could still be under way.
func (r *round) untouched(rec *ha.NodeRecord, mem *NodeMemory) bool {
	for _, d := range r.told(rec, ha.StorageDevice) {
		m := mem.Ladder.Devices[d.Name]
		settled := m.Sent == 0 || m.LastRead >= m.Sent.Add(r.Timing.DeviceTimeout)
		if !settled || len(m.Revoked) > 0 || slices.ContainsFunc(d.Storages, func(s string) bool { return !slices.Contains(m.Open, s) }) {
			return false
		}
	}
	return true
}

// seen says whether this leadership has itself read back what a proof about storages says. The record of an earlier leader is true until
// somebody gives the access back; looking costs one read.
func (r *round) seen(n ha.NodeName, p ha.Proof) bool {
	if p.Complete() {
		return true
	}
	mem := r.state.Nodes[n].Ladder
	var read []string
	for _, name := range sorted(mem.Devices) {
		read = append(read, mem.Devices[name].Revoked...)
	}
	return mem.Incarnation == p.Incarnation() && !slices.ContainsFunc(p.Storages(), func(s string) bool { return !slices.Contains(read, s) })
}
