package node

import (
	"fmt"
	"maps"
	"slices"

	"bascule/ha"
	"bascule/ha/ladder"
)

// These are R5's tests. The shell reads the records (linearizable) and asks here what they allow; every answer but Done means
// that nothing is started.

// MayStart judges the guest's own record, read when the store was at revision `at`: ours, in this generation and incarnation, of the
// store's present epoch, and in a state that allows it. A store behind what this node has seen was rolled back (R8).
func (c Config) MayStart(d Do, rec ha.GuestRecord, at int64, epoch Epoch) (Outcome, string) {
	switch {
	case at < epoch.Rev:
		return NotMine, fmt.Sprintf("the store is at revision %d, this node has seen %d: it was restored or replaced", at, epoch.Rev)
	case rec.Node != c.Self || rec.Incarnation != c.Incarnation || rec.Generation != d.Record.Generation || !sameMove(rec.Move, d.Record.Move):
		return NotMine, fmt.Sprintf("assigned to %s in generation %d", rec.Node, rec.Generation)
	case epoch.WentBack || rec.Epoch != epoch.Taken:
		return NotMine, fmt.Sprintf("its assignment is of epoch %d of the store, this node has taken note of %d", rec.Epoch, epoch.Taken)
	case rec.State == ha.GuestRecovery || rec.State == ha.GuestFence || rec.State == ha.GuestFrozen || rec.State == ha.GuestError:
		return NotMine, fmt.Sprintf("its state is %s: %s", rec.State, rec.Reason)
	case rec.Move == nil:
		for _, h := range rec.Holders { // R1: what runs here may go on beside them, nothing is begun
			if h.Node != c.Self || h.Incarnation != c.Incarnation {
				return Transient, fmt.Sprintf("%s has not let go of it yet", h.Node)
			}
		}
	}
	return Done, ""
}

// MayLive judges this node's own record: it is not being fenced, nor proven dead.
func (c Config) MayLive(own ha.NodeRecord) (Outcome, string) {
	if c.Barred(own, true) || own.State == ha.NodeFencing || own.State == ha.NodeFenced || own.Incarnation != c.Incarnation {
		return NotMine, fmt.Sprintf("this node is %s: %s", own.State, own.Reason)
	}
	return Done, ""
}

// Barred says whether this boot may not come back: a device or a person ended it on record, or took its storages away. One that ended
// its guests itself may, with nothing left of them; while its guests run on (unbroken), not even that.
func (c Config) Barred(own ha.NodeRecord, unbroken bool) bool {
	return slices.ContainsFunc(own.Proofs, func(p ha.Proof) bool {
		return p.Incarnation() == c.Incarnation && (unbroken || p.Kind() != ha.SelfFenceElapsed)
	})
}

// Expected says whether a move's target is still in the boot that the move names, and has told its guard of the guest; before that
// nothing of it may run there (R2). node is the target's record as last seen, the others were
// just read.
func Expected(rec ha.GuestRecord, target ha.LeaseRecord, rep ha.GuestReport, node ha.NodeRecord, cluster ha.ClusterRecord) (Outcome, string) {
	m := rec.Move
	if cluster.Epoch != rec.Epoch {
		return NotMine, fmt.Sprintf("the move is of epoch %d of the store, which is in its epoch %d", rec.Epoch, cluster.Epoch)
	}
	if target.Incarnation != "" && target.Incarnation != m.Inc || provenDead(node, m.Inc) {
		return Failed, string(m.Target) + " is not in the boot any more that was to take it"
	}
	if target.Incarnation != m.Inc || rep.Generation != rec.Generation || rep.Incarnation != m.Inc || rep.Phase != ha.PhaseExpecting {
		return Transient, "waiting for " + string(m.Target) + " to expect it"
	}
	return Done, ""
}

// Announcement is the transaction that makes a start or a move known before it begins (persist before acting): it rests on the guest's and this
// node's record being as they were read, and on the cluster record being as this node took note of it (no newer epoch, R8).
// It never equals an earlier one: an answer that is lost is read back, and what somebody else wrote must not pass for it.
func (c Config) Announcement(now ha.Instant, rec ha.GuestRecord, rev, ownRev, clusterRev int64) ha.Txn {
	rep := ha.GuestReport{Guest: rec.ID, Node: c.Self, Incarnation: c.Incarnation, Generation: rec.Generation, Phase: ha.PhaseStarting, Announced: now}
	if rec.Move != nil {
		rep.Phase = ha.PhaseMigrating // a leader that gives the move up in this moment rests on the report before
	}
	return ha.Txn{Guards: []ha.Guard{{Key: ha.KeyGuest(rec.ID), Rev: rev}, {Key: ha.KeyNode(c.Self), Rev: ownRev},
		{Key: ha.KeyCluster, Rev: clusterRev}},
		Puts: []ha.Put{{Key: ha.KeyGuestReport(c.Self, rec.ID), Value: ha.Encode(rep)}}}
}

// ClaimFrom says what to do about a guest whose config lies at `at` ("" nowhere): Done when it is here already, or with the node whose
// directory it may be taken from. It is taken only from a node that the record names, and not while that node reports it running.
func (c Config) ClaimFrom(rec ha.GuestRecord, at ha.NodeName, store *ha.Snapshot, quorate bool) (from ha.NodeName, o Outcome, msg string) {
	switch {
	case at == c.Self:
		return "", Done, ""
	case at == "" && !quorate:
		return "", Transient, "no config found, but this node has no corosync quorum"
	case at == "":
		return "", ConfigGone, fmt.Sprintf("no node's directory has the config of %s", rec.Kind.Label(rec.ID))
	case slices.Contains(rec.ConfigFrom, at) && !runsAt(store, at, rec.ID):
		return at, Done, ""
	}
	return "", Elsewhere, fmt.Sprintf("the config of %s lies under %s, which nobody proved dead", rec.Kind.Label(rec.ID), at)
}

// runsAt says whether a registered node reports that the guest runs there: somebody started it by hand.
func runsAt(s *ha.Snapshot, n ha.NodeName, id ha.VMID) bool {
	_, lease := s.Leases[n]
	return lease && slices.ContainsFunc(s.Reports[n].Rec.Guests, func(g ha.GuestSeen) bool { return g.ID == id && g.Running })
}

// Keeps says whether a guest with these writable storages runs on here when the permit ends: the node is told to (isolation: keep), and
// each of its storages can be taken away from this node from outside. Nobody takes such a guest over before that, or before the node is
// off: a node that keeps guests promises no end of its own (Report). While it is being moved a guest is not kept (PermitGuests).
func (c Config) Keeps(storages []string) bool {
	if c.Isolation != ha.IsolationKeep || len(storages) == 0 {
		return false
	}
	for _, s := range storages {
		if !slices.ContainsFunc(c.Plans[c.Self].Levels, func(level []ladder.Device) bool {
			return slices.ContainsFunc(level, func(d ladder.Device) bool { return d.Kind == ha.StorageDevice && slices.Contains(d.Storages, s) })
		}) {
			return false
		}
	}
	return true
}

// PermitGuests lists the guests that a permit covers, ascending: all that this incarnation holds, all protected ones that run here, and
// extra, which is about to be started. watched is what the guard watches now: as long as it is not known what runs here, none of it is
// dropped; and what runs is dropped only when the leader cannot count on its end any more (said, forgotten).
func (c Config) PermitGuests(store *ha.Snapshot, inv ha.Inventory, known bool, watched []ha.GuestRef, said Said, extra ...ha.GuestRef) []ha.GuestRef {
	keeps := func(id ha.VMID, storages []string) bool { // not what is being moved: its worker may start it on a node without a permit
		return store.Guests[id].Rec.Move == nil && c.Keeps(storages)
	}
	refs := map[ha.VMID]ha.GuestRef{}
	for _, id := range sorted(store.Guests) {
		g := store.Guests[id]
		if !keeps(id, g.Rec.Storages) && slices.ContainsFunc(g.Rec.Holders, func(h ha.Holder) bool { return h.Node == c.Self && h.Incarnation == c.Incarnation }) {
			refs[id] = ha.GuestRef{ID: id, Kind: g.Rec.Kind}
		}
	}
	for _, s := range inv.Guests {
		if s.Protected && s.Running && !keeps(s.ID, s.Storages) {
			refs[s.ID] = ha.GuestRef{ID: s.ID, Kind: s.Kind}
		}
	}
	for _, g := range watched {
		if !known || runs(inv, g.ID) && !c.forgotten(g.ID, store, said) {
			refs[g.ID] = g
		}
	}
	for _, g := range extra {
		if !keeps(g.ID, store.Guests[g.ID].Rec.Storages) {
			refs[g.ID] = g
		}
	}
	var list []ha.GuestRef
	for _, id := range slices.Sorted(maps.Keys(refs)) {
		list = append(list, refs[id])
	}
	return list
}

// Said is this node's report as the store holds it, and the revision that it was written at.
type Said struct {
	Report ha.NodeReport
	Rev    int64
}

// forgotten says whether nobody holds this node to end a guest: its stored report says that the guest is not protected here, and a view of
// the store that is newer than that report has no record of it. A record may exist that an older view does not show.
func (c Config) forgotten(id ha.VMID, store *ha.Snapshot, said Said) bool {
	_, recorded := store.Guests[id]
	protected := slices.ContainsFunc(said.Report.Guests, func(g ha.GuestSeen) bool { return g.ID == id && g.Protected })
	return !recorded && !protected && said.Rev > 0 && said.Report.Incarnation == c.Incarnation && store.Revision >= said.Rev
}

func runs(inv ha.Inventory, id ha.VMID) bool {
	return slices.ContainsFunc(inv.Guests, func(g ha.GuestSeen) bool { return g.ID == id && g.Running })
}

// StrayCandidates are the guests to look for among this node's processes: protected, their config not here, no move under way.
func StrayCandidates(store *ha.Snapshot, inv ha.Inventory) []ha.GuestRef {
	var refs []ha.GuestRef
	for _, id := range sorted(store.Guests) {
		g := store.Guests[id].Rec
		if g.Move == nil && !slices.ContainsFunc(inv.Guests, func(s ha.GuestSeen) bool { return s.ID == id }) {
			refs = append(refs, ha.GuestRef{ID: id, Kind: g.Kind})
		}
	}
	return refs
}

func sameMove(a, b *ha.Move) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}
