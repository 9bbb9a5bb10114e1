// Package etcd is the adapter of the store port: the cluster's only truth, kept in etcd. A voter embeds a server; every
// other node is a client only. All traffic is TLS with certificates on both sides.
//
// # What it promises
//
//   - Every call ends by its context's deadline (and has one of its own without), whatever the endpoints do. Calls that
//     may be repeated are sent to a second endpoint when the first one hesitates; a transaction is sent to another
//     endpoint only if it certainly did not leave this node.
//   - Commit answers "happened", ErrConflict (certainly not, and never will), ErrUnavailable (certainly not sent), or
//     ErrAmbiguous. A lost answer is read back; only what the read proves is claimed (settle.go).
//   - Revisions and lease ids are etcd's own; keys are relative to the cluster's prefix.
//
// # What it may never do
//
// It may never count a lease as alive from an answer's receipt (its caller counts from the sending), never decide who
// leads beyond carrying out Campaign, never repeat a write that may have happened, never wait for quorum at start.
// The view is a copy that follows behind: what is decided from it holds only through the guards of a Commit.
package etcd
