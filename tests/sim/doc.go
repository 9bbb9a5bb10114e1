// Package sim is a deterministic world for the shipped decision code: ha/leader, ha/node (with the guard's machine), ha/ladder and
// ha/placement run unchanged in a simulated machine room where everything goes wrong, and a judge who knows the physical truth
// looks at it after every event.
//
// One loop runs events in the order of (time, sequence) on virtual time. All randomness comes from one seed through named
// streams, so that a seed replays to the same trace, byte for byte. The package imports the pure packages only; it never
// starts a goroutine, reads a wall clock, or lets the order of a map decide anything.
package sim
