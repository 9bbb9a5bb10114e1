// Package discover says what stands on a site, as one of its nodes shows it: the nodes and their addresses, corosync's timing and quorum
// device, storages, Ceph, watchdogs, the own BMC, guests.
//
// It reads files (under /etc/pve, /etc, /sys, /proc, /dev, /run of a tree that is given) and what ipmitool prints; what the formats of Proxmox's files are, package pve knows.
// What cannot be read is missing in the Facts and said in Facts.Unread; a site is never refused here.
//
// It may never write, decide, or open a device: opening a watchdog arms it. It looks at no other machine.
package discover
