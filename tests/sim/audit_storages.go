package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// How long a node's looks at a storage take to tell the truth, at most: a pause, and a look that hangs.
const (
	lookPause   = 10 * time.Second
	lookTakes   = 5 * time.Second
	fleesAgain  = 10 * time.Minute
	fleesHourly = 3
	looksAgree  = 20 * time.Second // what two nodes say differently must stand so long
)

// storagesSeen is what the audit knows of storages and of those who left one.
type storagesSeen struct {
	gone map[onNode]time.Duration    // since when a node physically cannot work with a storage
	back map[onNode]time.Duration    // since when it can again, after so long that it must have noticed
	said map[onNode]time.Duration    // since when its stored report says that it has lost it
	fled map[ha.VMID][]time.Duration // when moves away from a lost storage were planned
}

func newStoragesSeen() storagesSeen {
	return storagesSeen{gone: map[onNode]time.Duration{}, back: map[onNode]time.Duration{}, said: map[onNode]time.Duration{}, fled: map[ha.VMID][]time.Duration{}}
}

// seeStorages notes the truth about storages.
func (a *audit) seeStorages() {
	for _, d := range a.w.machine.disks {
		for _, h := range a.w.machine.hosts {
			key := onNode{ha.NodeName(h.Name), d.Name}
			if since, known := a.storages.gone[key]; d.usable(h) && h.Runs() {
				if known && a.w.loop.Now()-since > looksAgree {
					a.storages.back[key] = a.w.loop.Now()
				}
				delete(a.storages.gone, key)
			} else if !known {
				a.storages.gone[key] = a.w.loop.Now()
			}
		}
	}
}

// sayStorages notes what a stored report says.
func (a *audit) sayStorages(truth *ha.Snapshot, n ha.NodeName) {
	for _, s := range truth.Reports[n].Rec.Storages {
		key := onNode{n, s.Name}
		if _, known := a.storages.said[key]; s.State.Lost() && !known {
			a.storages.said[key] = a.w.loop.Now()
		} else if !s.State.Lost() {
			delete(a.storages.said, key)
		}
	}
}

// flees judges a move away from a node that lost a storage: the node has said for long enough that it has, the target works with it, and nobody
// is chased around.
func (a *audit) flees(x Applied, truth *ha.Snapshot, rec ha.GuestRecord) {
	now, m := a.w.loop.Now(), rec.Move
	if a.w.spec.Stay {
		a.j.violate("storage", "guest %d is moved from %s for a lost storage, which is turned off", rec.ID, m.From)
	}
	lost := ""
	for _, s := range truth.Reports[m.From].Rec.Storages {
		if s.State.Lost() && slices.Contains(rec.Storages, s.Name) {
			lost = s.Name
		}
	}
	if lost == "" {
		a.j.violate("storage", "guest %d is moved from %s for a lost storage, and %s says of none of %v that it has lost it", rec.ID, m.From, m.From, rec.Storages)
		return
	}
	news := lookPause + lookTakes + a.newsTakes(x)
	if since, gone := a.storages.gone[onNode{m.Target, lost}]; gone && now-since > news {
		a.j.violate("storage", "guest %d is moved from %s, which has lost storage %s, to %s, which has not had it for %v either", rec.ID, m.From, lost, m.Target, now-since)
	}
	if since, gone := a.storages.gone[onNode{m.Target, lost}]; gone && since < a.storages.said[onNode{m.From, lost}] && a.newsTakes(x) < 3*time.Second {
		a.j.violate("storage", "guest %d is moved from %s to %s, which had lost storage %s before %s said so", rec.ID, m.From, m.Target, lost, m.From)
	}
	if back, was := a.storages.back[onNode{m.Target, lost}]; was && now-back < looksAgree-time.Second {
		a.j.violate("storage", "guest %d is moved from %s to %s, which has storage %s again for %v only", rec.ID, m.From, m.Target, lost, now-back)
	}
	for _, s := range truth.Reports[m.Target].Rec.Storages {
		if s.Name == lost && s.State != ha.StorageGood {
			a.j.violate("storage", "guest %d is moved to %s for storage %s, which is %q there", rec.ID, m.Target, lost, s.State)
		}
	}
	if state := truth.Nodes[m.From].Rec.State; state != ha.NodeOnline && state != ha.NodeDraining && state != ha.NodeQuarantined {
		a.j.violate("storage", "guest %d is moved from %s, which is %s", rec.ID, m.From, state)
	}
	a.chased(rec, now)
	under := 0
	for _, g := range a.w.spec.Guests {
		if o := truth.Guests[g.ID].Rec; o.Move != nil && o.Move.From == m.From {
			under++
		}
	}
	if most := max(1, a.w.spec.ParallelMoves); under > most {
		a.j.violate("storage", "%d guests leave %s at once, at most %d may", under, m.From, most)
	}
}

// chased looks whether a guest leaves storages too often.
func (a *audit) chased(rec ha.GuestRecord, now time.Duration) {
	before := slices.DeleteFunc(a.storages.fled[rec.ID], func(t time.Duration) bool { return now-t > time.Hour })
	a.storages.fled[rec.ID] = append(before, now)
	if a.restored() || a.j.kinds["clock"] { // the record was taken back, or its times are wrong
		return
	}
	if n := len(before); n > 0 && (now-before[n-1] < fleesAgain-time.Second || n >= fleesHourly) {
		a.j.violate("storage", "guest %d leaves a storage again %v after the last time, %d times within an hour", rec.ID, now-before[n-1], n+1)
	}
}
