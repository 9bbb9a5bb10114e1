// Package cephblocklist takes an incarnation's access to Ceph away: it puts every address from which the incarnation talks to Ceph
// on the cluster's blocklist, and proves that each placement group of the storages' pools enforces it.
//
// The list alone proves nothing. Monitors hand the map that holds it to the OSDs lazily, and an OSD without it goes on taking
// writes (seconds were measured, see docs/fencing/ceph-blocklist.md). So a reading is AccessRevoked only if, after the
// address was seen on the list, every placement group answered a request that carried that map or a newer one: an OSD answers such a
// request only with that map in force for the group, and a group that changed its OSDs meanwhile answers only after the old ones
// can complete no write. A hung or unreachable OSD, a group that does not answer and a watch that is still held are "unknown".
//
// It may never: use another member's account, remove an entry that it did not add, take away its own member's access, mark OSDs
// down that are not at an address it has just blocked, write to a pool, or read what a guest has on a disk.
//
// It talks through librados, the library of the ceph command, in a process of its own (bridge.py) that dies with the command's
// deadline. The key stays in its file.
package cephblocklist
