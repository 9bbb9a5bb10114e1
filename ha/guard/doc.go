// Package guard is the shell around the pure machine node.GuardStep: the process `basculed guard`, which ends a
// node's protected guests when the permit to run them ends, and the node when that does not succeed (R2).
//
// It is small, has its own unit, its memory locked and real-time scheduling, and knows one thing: the permit's deadline,
// which the agent renews over a unix socket (Client). Run is the process; Watchdog and Processes are its ports, with
// the drivers in watchdog_*.go and ProcFS behind them.
//
// It also watches the node's own slots on shared disks (Slot): a message there ends the node at once, through the kernel (Ender) and by
// stopping to feed. While a leader may count on that, the watchdog is fed only as long as enough of the disks are seen; the agent can take
// that word back, after it has said so in the store.
//
// Goroutines: one for the machine, which never waits for anything but its next event, and one each for the watchdog, for
// killing and scanning, for the files in the run directory, for each slot, and for the log. What hangs (a watchdog, a /proc file of a
// process stuck in the kernel, journald, a client) hangs alone, and the machine's clock runs on.
//
// What outlives a crash: StateFile, replaced as a whole when guests or watchdog change, and beside it
// StateFile.deadline, a fixed-size line overwritten in place with each renewal. A restarted guard goes on with that
// deadline; it never invents one. If both are lost it is idle and does not touch the watchdog, which then ends the node
// unless the agent comes and arms it.
//
// Ended by its context it leaves the watchdog armed: a guard that is stopped and not started again within
// watchdog_timeout costs the node, by intent. To stop it in order the agent disarms first.
//
// Verified clean means: no worker, no process of a protected guest. Volumes are released by the processes that hold them
// open; mounts and mappings that no process holds (Ceph RBD, iSCSI, container root file systems) are not looked
// at and not undone here.
//
// It may never: kill before deadline + permit_grace, unless a message ends the node; kill a process that it did not identify by PID and start time; feed
// a watchdog after the machine said stop; take a permit from anything but a message that names its deadline; wait
// for its log.
package guard
