// Package fencing is what touches fencing devices: the methods that switch and read one machine behind one device
// (one folder each), and the Executor that carries out the commands of a leader on them.
//
// It never decides and never proves: levels, retries, races and proofs live in ha/ladder, which gets raw
// readings from here. Only the device's own word for off becomes ha.PowerOff; an accepted switch-off is no
// reading at all; an error, a time-out or an unknown word is never anything but ha.PowerUnknown. There is no
// power cycle (R4).
//
// A leader's switching commands must not outlive its leadership. Each is sent by a process of its own
// (Child, RunChild), which first makes the kernel kill it at the leader's deadline: it dies on time even if it or
// its leader is stopped, swapped out or suspended meanwhile. Dialer keeps bytes of a dead process from being
// retransmitted by the kernel afterwards. Secrets reach that process over a pipe or are read by it from
// files, never by arguments or environment, and appear in no error or reading.
package fencing
