// Package proxmox is the driver with which a node's agent sees and touches its OWN Proxmox VE node: the local API
// (through the go-proxmox client) and the pmxcfs tree, usually mounted at /etc/pve.
//
// What it does: reads the inventory (guests whose configs lie under the node's own directory, storages, memory),
// corosync's membership, whether a guest runs, why one stopped; takes a proven dead node's guest over by renaming
// its config; clears leftover locks and edits onboot byte by byte; starts, stops, shuts down and migrates guests and
// follows the worker to its real exit status. What the files' formats are, package pve knows.
//
// What it may never do:
//
//   - Ask another node's API, or be proxied to one: a dead target hangs 30 s.
//   - Believe /cluster/resources (stale for minutes), migrate preconditions (list dead nodes) or an HTTP 200
//     ("accepted" is not "done"). Truth is status/current on this node, the task's exit status, and .members.
//   - Send a POST twice. A POST whose answer was lost is reported as ErrStillRunning, for the caller to look.
//   - Build a take-over's target name from anything but the same VMID, or rename onto a name that exists: pmxcfs
//     overwrites silently and knows no rename flags.
//   - Touch a guest that Proxmox's own HA manages.
//   - Take silence for absence: a token with too few privileges is shown shorter lists. What rests on a list's silence asks what the token
//     may see.
//   - Change a byte of a config that it was not told to change.
//   - Decide. It answers and obeys; permits, generations and proofs are its callers' business.
//
// docs/lies.md lists what Proxmox and go-proxmox say that is not so, and the test of each.
//
// A system call on pmxcfs blocks while corosync re-forms (2 to 8 s and more). OSTree keeps such a call from blocking
// its caller beyond the context; its result is then unknown (ErrStillRunning).
package proxmox
