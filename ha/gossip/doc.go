// Package gossip is the adapter that hears, through memberlist (SWIM), which nodes seem alive and which have announced
// that they leave in order.
//
// It also carries the members' messages to each other while the store is away (peer permits); what they mean is ha/node's business.
//
// What it says is a hint that makes detection fast: false deaths come from scheduling stalls, and it knows nothing
// about guests. It may never fence, recover or decide anything, never block memberlist from its delegates, never
// talk without encryption, and never write a key into a log or an error.
package gossip
