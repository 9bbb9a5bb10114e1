// Package storage looks at Proxmox's storages as this node reaches them: a read, and a write where there is a place for one. Proxmox's own
// word (active) says that a storage was set up, not that it answers.
//
// A storage that hangs takes whoever touches it into the kernel, out of reach of every signal. So the daemon itself never touches
// one: each look is a process of its own, which is killed at the look's deadline; one that cannot even be killed is left behind, and as long as it
// is there no other look at the same storage begins. What a look needs to know beforehand comes from /sys, /run and /proc, which do not
// hang with a storage.
//
// The package decides nothing: what a row of looks means is ha/node's (Sight), what follows from it ha/leader's. It never writes outside of a
// directory of its own on a storage (.bascule), never writes to a block device, and never repairs anything.
package storage
