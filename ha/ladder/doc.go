// Package ladder walks the fencing levels of one node and is the only place that builds proofs (R3): from raw
// device readings, from an operator's confirmation, from a new boot, from the time that an armed node has had to end
// itself.
//
// Levels are tried in order (OR); all switching devices of a level must read off (AND). Reading a device's
// power is always allowed; switching off is asked for only in an active walk, only for a device that was identified
// during this incarnation's live lease, and only while the leader's own deadline minus the device's time-out lies
// ahead (R4). There is no power cycle.
//
// The package is pure: it returns the commands to send and the record to commit before they are sent. It never believes
// a device's "done": only a literal "off" that it read back counts.
package ladder
