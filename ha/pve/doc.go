// Package pve knows the formats of Proxmox VE's own files, and is the one place that does: corosync.conf, .members, storage.cfg, guests'
// configurations, the pools of user.cfg, ha/resources.cfg, and the numbers and words of its JSON. The driver (ha/proxmox), the set-up
// (ha/setup/discover) and the doctor read the files and draw their own conclusions.
//
// Text goes in and values come out. A guest's configuration also comes back as text, with every byte kept that was not to change.
//
// Files are read as Proxmox and corosync read them. Where that leaves a doubt it goes to the safe side: votes that are no number are an error
// and not a guess, of two lines for one disk both count, a guest is rather Proxmox's own HA's than ours.
//
// It may never read or write a file, ask the API, know a clock, start a goroutine or log, and it decides nothing.
package pve
