package node

import (
	"bascule/ha"
)

// Granted answers Grant.
type Granted struct {
	Sent ha.Instant
	ID   ha.LeaseID
	OK   bool
}

// Registered answers Register: the lease key and the report are written. Dead: this incarnation is recorded as proven dead; it must
// not live on.
type Registered struct {
	ID   ha.LeaseID
	OK   bool
	Dead bool
	Rev  int64 // of the write
}

// Renewed answers Renew. Gone: the store says that the lease does not exist any more.
type Renewed struct {
	ID   ha.LeaseID
	Sent ha.Instant
	OK   bool
	Gone bool
}

// LeaderSeen is the leader key in the store's view: Term 0 when there is none; Mine when it carries our lease.
type LeaderSeen struct {
	Term ha.Term
	Mine bool
	Rev  int64      // revision of the view: one older than our own term says nothing about it
	Own  ha.LeaseID // that this node's lease key carries in the view; 0: there is no such key
}

// Campaigned answers Campaign: the term won, 0 when not.
type Campaigned struct{ Term ha.Term }

// Leave begins an orderly stop.
type Leave struct{}

// Grant asks for a new lease of Timing.LeaseTTL.
type Grant struct{}

// Register asks to bind the lease key to the lease and to write the node report.
type Register struct{ ID ha.LeaseID }

// Renew asks for one renewal.
type Renew struct{ ID ha.LeaseID }

// Campaign asks for one try at the leadership.
type Campaign struct{ ID ha.LeaseID }

// Resign asks to give the leadership of a term back.
type Resign struct{ Term ha.Term }

// Permit tells the guard the permit's deadline.
type Permit struct{ Deadline ha.Instant }

// EndPermit tells the guard that the permit ended now, before its deadline: the store says that the lease is gone.
type EndPermit struct{}

func (Granted) event()    {}
func (Registered) event() {}
func (Renewed) event()    {}
func (LeaderSeen) event() {}
func (Campaigned) event() {}
func (Leave) event()      {}
func (Grant) effect()     {}
func (Register) effect()  {}
func (Renew) effect()     {}
func (Campaign) effect()  {}
func (Resign) effect()    {}
func (Permit) effect()    {}
func (EndPermit) effect() {}
