package leader

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"bascule/ha"
)

// Decide is one round: settle what all agree on, judge nodes, take up requests, follow guests, place those that are free, move those
// that must leave (a storage that their node lost, a node that is drained), trim the events.
func (l *Leader) Decide(now ha.Instant, s State, o Observation) Decision {
	r := newRound(l, now, s, o)
	if o.Store.NewerSchema != "" {
		return Decision{State: s} // an older daemon does not lead over newer records
	}
	if r.damage.unled() {
		return r.finish()
	}
	if !r.settleCluster() {
		return Decision{State: s, Commits: []Commit{r.clusterCommit()}}
	}
	r.judgeAnew()
	for _, m := range l.Members {
		switch {
		case m.Witness:
		case r.damage.nodes[m.Name] != "":
			r.pass(m.Name)
		default:
			r.judge(m.Name)
		}
	}
	r.handOut()
	r.rebuildGuests()
	r.adoptGuests()
	for _, id := range sorted(r.guests) {
		if g := r.guests[id]; g.Epoch == r.epoch() {
			r.follow(g)
		}
	}
	r.recoverGuests()
	r.leaveStorages()
	r.moveGuests()
	r.keepVoters()
	return r.finish()
}

// round is the working state of one Decide: copies of the records, changed in place and compared at the end.
type round struct {
	*Leader
	Observation
	now    ha.Instant
	state  State
	nodes  map[ha.NodeName]*ha.NodeRecord
	guests map[ha.VMID]*ha.GuestRecord
	fences map[ha.NodeName]*ha.FenceRecord // nil value: to be removed

	guards   map[ha.VMID][]ha.Guard // what a guest's change rests on, beyond its own revision
	rests    map[ha.NodeName]bool   // nodes whose change rests on lease and report being as seen
	after    map[ha.NodeName]*Commit
	requests map[ha.NodeName][]string // keys of requests that the node's commit answers
	waiting  []asking
	trans    map[string][]ha.Transition
	reads    []ha.DeviceCommand
	wake     ha.Instant
	events   int

	managedIDs   map[ha.VMID]bool                         // by Proxmox's own HA, once somebody asked
	lost         map[ha.VMID]ha.Instant                   // State.Lost of the round before
	heard        map[string]ha.Instant                    // State.Told of the round before
	said         map[ha.NodeName]map[string]StorageMemory // State.Seen of the round before
	damage       damage
	cluster      *ha.ClusterRecord // to be stored
	transCluster []ha.Transition
	voters       *Commit
	replace      *ha.VoterOrder
}

func newRound(l *Leader, now ha.Instant, s State, o Observation) *round {
	r := &round{Leader: l, Observation: o, now: now,
		state: State{Began: cmp.Or(s.Began, now), Lost: map[ha.VMID]ha.Instant{}, Nodes: map[ha.NodeName]NodeMemory{}, Voters: s.Voters},
		nodes: map[ha.NodeName]*ha.NodeRecord{}, guests: map[ha.VMID]*ha.GuestRecord{}, fences: map[ha.NodeName]*ha.FenceRecord{},
		guards: map[ha.VMID][]ha.Guard{}, rests: map[ha.NodeName]bool{}, after: map[ha.NodeName]*Commit{}, requests: map[ha.NodeName][]string{},
		trans: map[string][]ha.Transition{},
	}
	maps.Copy(r.state.Nodes, s.Nodes)
	r.lost, r.heard, r.said, r.damage = s.Lost, s.Told, s.Seen, damaged(o.Store.Unreadable)
	for _, n := range sorted(o.Store.Nodes) {
		c := o.Store.Nodes[n].Rec
		c.Devices, c.Proofs = slices.Clone(c.Devices), slices.Clone(c.Proofs)
		r.nodes[n] = &c
	}
	r.seeOutage(s)
	for _, id := range sorted(o.Store.Guests) {
		if r.damage.guests[id] != "" { // its record may be in order, but not what its commits rest on
			continue
		}
		c := o.Store.Guests[id].Rec
		c.Holders, c.Excluded, c.ConfigFrom = slices.Clone(c.Holders), slices.Clone(c.Excluded), slices.Clone(c.ConfigFrom)
		r.guests[id] = &c
	}
	for _, n := range sorted(o.Store.Fences) {
		c := o.Store.Fences[n].Rec
		r.fences[n] = &c
	}
	return r
}

func (r *round) wakeAt(at ha.Instant) {
	if at != 0 && (r.wake == 0 || at < r.wake) {
		r.wake = at
	}
}

// setNode changes a node's state with its reason, as a transition.
func (r *round) setNode(n *ha.NodeRecord, to ha.NodeState, reason string) {
	if n.State == to && n.Reason == reason {
		return
	}
	if n.State != to || strings.HasPrefix(reason, ha.Alarm) {
		if n.State != to {
			n.Since, n.Outage = r.Wall.UTC(), false
		}
		r.trans[ha.KeyNode(n.Node)] = append(r.trans[ha.KeyNode(n.Node)],
			ha.Transition{Subject: "node " + string(n.Node), Node: n.Node, From: string(n.State), To: string(to), Reason: reason})
	}
	n.State, n.Reason = to, reason
}

// setGuest changes a guest's state with its reason, as a transition.
func (r *round) setGuest(g *ha.GuestRecord, to ha.GuestState, reason string) {
	if g.State == to && g.Reason == reason {
		return
	}
	if g.State != to {
		g.Since = r.Wall.UTC()
		r.noteGuest(g, g.State, to, reason)
	}
	g.State, g.Reason = to, reason
}

func (r *round) noteGuest(g *ha.GuestRecord, from, to ha.GuestState, reason string) {
	k := ha.KeyGuest(g.ID)
	r.trans[k] = append(r.trans[k], ha.Transition{Subject: g.Kind.Label(g.ID), Node: g.Node, Guest: g.ID, From: string(from), To: string(to), Reason: reason})
}

// rest notes that a guest's change rests on a key's present revision.
func (r *round) rest(id ha.VMID, key string, rev int64) {
	g := ha.Guard{Key: key, Rev: rev}
	if !slices.Contains(r.guards[id], g) {
		r.guards[id] = append(r.guards[id], g)
	}
}

// follows returns the commit that carries what must happen after the node's record is stored.
func (r *round) follows(n ha.NodeName) *Commit {
	if r.after[n] == nil {
		r.after[n] = &Commit{Subject: "node " + string(n)}
	}
	return r.after[n]
}

// registered returns a node's report when its lease stands and both are of one incarnation.
func (r *round) registered(n ha.NodeName) (ha.NodeReport, bool) {
	lease, ok := r.Store.Leases[n]
	rep, ok2 := r.Store.Reports[n]
	return rep.Rec, ok && ok2 && lease.Rec.Incarnation == rep.Rec.Incarnation
}

// living says whether a node may carry and be given guests in this incarnation.
func (r *round) living(n ha.NodeName, inc ha.Incarnation) bool {
	rec := r.nodes[n]
	rep, ok := r.registered(n)
	stored := r.Store.Nodes[n].Rec.Incarnation // a boot that is let in in this round is not on record yet
	return rec != nil && ok && !rep.Leaving && rep.Incarnation == inc && rec.Incarnation == inc && stored == inc &&
		(rec.State == ha.NodeOnline || rec.State == ha.NodeDraining || rec.State == ha.NodeMaintenance || rec.State == ha.NodeSuspect || rec.State == ha.NodeQuarantined)
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// eventKey orders events by wall time, then by their order in the round.
func (r *round) eventKey() string {
	r.events++
	return fmt.Sprintf("%s%020d-%04d", ha.PrefixEvent, r.Wall.UnixNano(), r.events)
}
