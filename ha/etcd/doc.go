// Package etcd is the adapter of the store port: the cluster's only truth, kept in etcd. A voter embeds a server; every
// other node is a client only, and with an external etcd all are. All traffic is TLS: with certificates on both sides
// towards embedded servers, with a certificate or a user's password towards an external etcd.
//
// # What it promises
//
//   - Every call ends by its context's deadline (and has one of its own without), whatever the endpoints do. Calls that
//     may be repeated are sent to a second endpoint when the first one hesitates; a transaction is sent to another
//     endpoint only if it certainly did not leave this node.
//   - Commit answers "happened", ErrConflict (certainly not, and never will), ErrUnavailable (certainly not sent), or
//     ErrAmbiguous. A lost answer is read back; only what the read proves is claimed (settle.go).
//   - A lease is as long as it was asked for, or there is none. Answers of another etcd cluster than the first are not taken.
//   - Voters change one at a time, learner first, never below a majority (members_plan.go). Only initial voters form a cluster, and only
//     when no other voter knows of one (admit.go).
//   - Connections go to etcd's members only, whoever they are by now: a spare, which may vote and does not, costs nothing (follow.go).
//   - A lost voter's vote goes to a spare only on the leader's recorded order, and never while the lost one answers (ReplaceLost). A member
//     that the others took out while it was away goes on as a client; its data are set aside.
//   - Revisions and lease ids are etcd's own; keys are relative to the cluster's prefix.
//
// # What it may never do
//
// It may never count a lease as alive from an answer's receipt (its caller counts from the sending), never decide who
// leads beyond carrying out Campaign, never repeat a write that may have happened, never wait for quorum at start.
// The view is a copy that follows behind: what is decided from it holds only through the guards of a Commit.
package etcd
