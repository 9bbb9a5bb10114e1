// Package leader is what the elected leader thinks: Decide looks at the whole observation and returns the
// transactions to commit, the device commands to send once their intent is committed, and when to look again.
//
// The package is pure and level-triggered: every round decides from the full view, events only wake the loop;
// equal inputs give equal decisions, byte for byte. It never starts a guest (it commits an assignment, the target's agent
// carries it out), never builds a proof (ha/ladder does), never assigns a guest that MayReassign refuses.
package leader
