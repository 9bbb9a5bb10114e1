package leader

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bascule/ha"
)

// A key that cannot be decoded stops nobody but whom it is about: nothing is decided about that node or guest, because what is not known
// of it may be what matters (a holder, a command that is under way), and because a commit that rests on "there is no such key" would take
// all others in its transaction down with it. People hear of it until they have put it right.
const unreadableEvery = time.Hour

// damage is what this round cannot know.
type damage struct {
	keys   []string
	nodes  map[ha.NodeName]string // node: one of its keys
	guests map[ha.VMID]string
	record bool // of a guest: holders of somebody's are not known
}

// damaged sorts the store's unreadable keys by whom they are about. Requests and onboot notes are about nobody: they wait.
func damaged(keys []string) damage {
	d := damage{keys: keys, nodes: map[ha.NodeName]string{}, guests: map[ha.VMID]string{}}
	for _, k := range keys {
		about := ha.DamageOf(k)
		if about.Node != "" {
			d.nodes[about.Node] = cmp.Or(d.nodes[about.Node], k)
		}
		if id, err := strconv.Atoi(about.Guest); err == nil {
			d.guests[ha.VMID(id)] = cmp.Or(d.guests[ha.VMID(id)], k)
		}
		d.record = d.record || strings.HasPrefix(k, ha.PrefixGuest)
	}
	return d
}

// unled says whether nothing at all can be decided: the cluster record holds the epoch that every assignment belongs to.
func (d damage) unled() bool { return slices.Contains(d.keys, ha.KeyCluster) }

// pass leaves a node alone in this round. What was seen of its lease and gossip does not count when it is looked at again.
func (r *round) pass(n ha.NodeName) {
	mem := r.state.Nodes[n]
	mem.LeaseGone, mem.GossipGone = 0, 0
	r.state.Nodes[n] = mem
}

// tellDamage says once an hour what cannot be read and what to do.
func (r *round) tellDamage() *Commit {
	const subject = "unreadable"
	var c *Commit
	for _, k := range r.damage.keys {
		due := r.heard[k]
		if r.now >= due {
			if c == nil {
				c = &Commit{Subject: "unreadable records", Txn: ha.Txn{Term: r.Term}}
			}
			r.trans[subject] = append(r.trans[subject], ha.Transition{Subject: "store key " + k, From: "readable", To: "unreadable", Reason: ha.Alarm + adviceFor(k)})
			due = r.now.Add(unreadableEvery)
		}
		if r.state.Told == nil {
			r.state.Told = map[string]ha.Instant{}
		}
		r.state.Told[k] = due
		r.wakeAt(due)
	}
	if c != nil {
		r.storeEvents(c, subject)
	}
	return c
}

func adviceFor(key string) string {
	d := ha.DamageOf(key)
	return fmt.Sprintf("the record %s in the store cannot be read, so %s. If a newer basculed wrote it, upgrade this one. Only if it is damaged: %s",
		key, d.Effect, d.Repair("remove it (etcdctl del, under the cluster's prefix)"))
}
