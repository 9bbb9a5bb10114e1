// Package ha is the vocabulary of Bascule: identifiers, node and guest states, the records kept in the
// store, proofs that a dead node cannot write any more, the timing derived from a profile, and the value
// types that pass through the ports between the pure machines and the outside.
//
// The package is pure: it knows no clock, no I/O, no goroutine, no log, no global randomness, and it imports
// nothing but the standard library. The machines built on it are as pure: ha/leader decides, ha/node keeps a
// node's lease, permit and guests, ha/ladder walks the fencing levels, ha/placement chooses nodes. The shells
// (ha/agent, ha/guard, cmd) read clocks and devices, feed the machines and carry out what they return.
//
// # The safety argument in short
//
// A guest is never able to write in two places at once (R1):
//
//   - A guest's record lists its holders: every (node, incarnation) that may have a process, a PVE worker or a
//     mapped volume of it. A target becomes a holder in the commit that assigns it, before it may act.
//   - The leader (ha/leader) re-assigns a guest only when each holder is covered by a Proof naming that node
//     and incarnation (R3) or has itself committed released(generation). MayReassign is the one test of that.
//   - Proofs are built from raw readings in ha/ladder only; an architecture test enforces it.
//   - A node runs guests only under its permit (R2): its deadline counts from the sending of the last good lease
//     renewal (Timing.PermitDeadline), and the guard, a separate process, kills what is left when it ends.
//   - Every write of a leader is one transaction guarded by its term and by the records' revisions (R4); device
//     commands are sent only while the leader's own deadline minus the device's time-out lies ahead.
//   - An agent starts a guest only after a linearizable read says: mine, this generation, my incarnation, and
//     the permit is valid now (R5, ha/node).
package ha
