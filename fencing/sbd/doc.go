// Package sbd fences by a message on shared disks: the node watches its own slot there and ends itself when it finds one. The
// disks are those of ClusterLabs' sbd, byte for byte, and so are the rules who may write what: `sbd create`, `list`, `dump`,
// `message` and `watch` work on them side by side with this package, in both directions.
//
// Method is the leader's side, a fencing.PoisonDevice: Poison writes `off` into the node's mailbox on every disk, Read counts on how many
// disks a message that ends the node is read back. Neither says that the node has ended: the message is not acknowledged, and only
// ha/ladder counts msgwait. It writes off and nothing else, never reset: a machine that comes back by itself proves nothing.
//
// Watcher and Watch are the node's side: they find or take the node's own slot, clear it once per boot, and report what lies in it and
// until when enough disks have been seen. They end nothing by themselves; who feeds the watchdog does.
//
// A disk can hang inside the kernel, in a state from which no signal frees a thread, and a process with such a thread cannot end:
// it keeps its ports and its place in systemd until the disk answers. So no process of Bascule ever touches these disks itself. Each
// disk is touched by a servant: this binary started again, for one disk, killed at the deadline. What hangs is the servant alone; it is
// left to the kernel, which ends it when the disk answers, and no more than maxHung of them are ever left on one disk.
//
// What cannot be helped: a write that hangs in the kernel may reach the disk much later, when the path comes back, though its servant was
// killed long ago. It may then end a node that has booted again. A servant reads before it writes, so that a path that was gone before hangs
// a read; all the same, paths to these disks must fail, never queue (multipath: no_path_retry fail).
package sbd
