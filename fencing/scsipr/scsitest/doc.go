// Package scsitest is a disk in memory with persistent reservations as SPC-4 has them, and an iSCSI target that serves it, with
// faults. It is written from the standard and independently of the decoders that it is used to test; it is imported by tests only.
package scsitest
