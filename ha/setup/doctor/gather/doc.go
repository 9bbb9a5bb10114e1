// Package gather looks at one node for hactl doctor: its disk, clock, certificates, watchdogs, configuration, the files of Proxmox, and the
// way to every other member. What it finds are doctor.Facts; it judges nothing.
//
// Every probe runs on its own, within its own time: one that hangs (a dead file system, a frozen API) is a fact, not a hung doctor. A probe
// that has not come back is not begun again, so that hung ones never pile up.
//
// The package may never change anything on a node. It writes only its own small file in data_dir, to measure the disk, and removes it; it
// sends nothing to other members but the opening of connections, greetings of TLS handshakes (padded, to fill a packet) and gossip's own ping.
package gather
