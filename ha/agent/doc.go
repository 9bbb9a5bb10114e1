// Package agent is the shell around the pure machines of one node: loops that read clocks, the store, gossip and Proxmox,
// feed ha/node and (on the elected node) ha/leader with what they saw, and carry out what these return.
//
// It decides nothing: which guest goes where, whether a node is dead, when a permit ends is in the pure packages. It
// never sends a device command before its intent is committed, never starts a guest without a linearizable read of its
// assignment and a guard that knows of it, and never blocks the lease's loop on Proxmox, devices or logging.
package agent
