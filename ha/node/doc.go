// Package node is what one node's agent thinks: it keeps the node's lease and permit, campaigns for the leadership, carries
// out the assignments of its own guests step by step (take-over, start, move, stop, release), and holds the rules of
// the guard process (guard*.go).
//
// The package is pure: Step takes one event and returns the next state and the effects to carry out; every effect is
// answered by an event. It never starts a guest without a valid permit and a verified assignment (R5), never reports a guest
// released before nothing of it was found, and never lets an answer of an older generation count.
package node
