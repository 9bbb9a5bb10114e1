// Package pvesim is a simulated Proxmox VE cluster inside one process: per node an HTTPS API in the shapes
// recorded from a real cluster, tasks that are real worker processes, guests that are real processes, and one
// pmxcfs-like tree whose writes obey corosync's own quorum.
//
// It is made to be as awkward as the real thing: "accepted" is not "done", /cluster/resources is stale for
// minutes, a minority keeps reading its old copy of the tree, writes hang while corosync re-forms, booleans are
// 0/1, and messages travel in the HTTP reason phrase. What a driver gets wrong against Proxmox it must get
// wrong here.
//
// How strict and how misleading it is has been compared with a real cluster: recorded requests are replayed value by
// value, and what it accepts is the real API's schema (make pve-conformance, docs/lab.md).
//
// It may never be friendlier than the recordings, may never touch anything outside the lab directory and the
// loopback addresses it is given, and may never kill a process that it did not start.
package pvesim
