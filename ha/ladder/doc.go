// Package ladder walks the fencing levels of one node and is the only place that builds proofs (R3): from raw
// device readings, from an operator's confirmation, from a new boot, from the time that an armed node has had to end
// itself.
//
// Levels are tried in order (OR); all power devices of a level must read off (AND), and all poison devices of a level must have
// proven. Storage devices race with them: a StorageRevoked frees the guests on its storages at once, and the walk goes on for a
// complete proof. A reset device proves nothing by itself: the boot that follows does, when it registers, beside the levels (reset.go).
// Reading a device's power is always allowed; off, revoke, poison and reset are asked for only in an active walk, only for a device that
// was looked at without doubt during this incarnation's live lease, and only while the leader's own deadline minus
// the device's time-out lies ahead (R4). On is asked for apart from all walks, of a device that this fencing switched off, when the end
// is recorded. There is no power cycle.
//
// The package is pure: it returns the commands to send and the record to commit before they are sent. It never believes
// a device's "done": only what was read back counts.
package ladder
