package node

import (
	"time"

	"bascule/ha"
)

// Kept is what a starting daemon knows of the one before it.
type Kept struct {
	// Lease and Deadline continue a permit of this boot that the guard still holds; they count only while it is unbroken.
	Lease    ha.LeaseID
	Deadline ha.Instant
	Members  []ha.NodeName // the cluster's list as last seen
	ListRev  int64
	Epoch    ha.Epoch // of the store, and how far it had come (R8)
	Rev      int64
	// Longest is the longest lease TTL by which the process before this one may have promised anything: its own or an asker's.
	Longest time.Duration
}

// Start returns the state of a starting daemon.
func Start(now ha.Instant, c Config, k Kept) State {
	s := State{Guests: map[ha.VMID]Guest{}, Records: map[ha.VMID]ha.GuestRecord{}, Onboot: map[ha.VMID]bool{},
		Members: k.Members, ListRev: k.ListRev, Epoch: Epoch{Known: k.Epoch, Rev: k.Rev}}
	s.Lease = Lease{Phase: LeaseEnding, Quiet: now.Add(c.Timing.QuietTime(k.Longest))}
	if k.Lease != 0 && now < k.Deadline {
		s.Lease.ID, s.Lease.Phase, s.Lease.Deadline = k.Lease, LeaseHeld, k.Deadline
	}
	return s
}
