// Package lab runs a whole Bascule cluster on one machine, without root: nodes that are groups of real processes, a
// simulated Proxmox VE (pvesim), a network that can be cut (netsw), a BMC per node (bmc) or one shared sbd disk, a watchdog per node.
//
// One process, the world (Run), owns everything that is not a node's own: the switch, the BMCs, the simulated
// cluster, the watchdogs and the power. Each node's guard and basculed are its children, started as systemd would.
// Everything else talks to the world over its control socket through Lab: halab, tests, the bench.
//
// A power cut is SIGKILL to every process that carries the node's mark in its environment (MarkVariable), with
// the switch keeping the sudden closing of their sockets to itself. What a guest did is read from the lines it wrote to
// the shared storage, never from what anybody reports.
//
// The package may never kill a process without a mark of its own lab, listen on anything but loopback, or need root.
package lab
