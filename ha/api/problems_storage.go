package api

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// storages tells of storages that nodes have lost, of guests that cannot leave one, and of what is weak although it works.
func (f *finder) storages() {
	for _, s := range f.s.Storages {
		var lost, good []StorageSeen
		for _, n := range s.Nodes {
			switch {
			case n.State.Lost():
				lost = append(lost, n)
			case n.State == ha.StorageGood:
				good = append(good, n)
			}
		}
		if len(lost) > 0 {
			f.lostStorage(s, lost, good)
		}
		f.storageNotes(s)
	}
	for _, g := range f.s.Guests {
		if g.State == ha.GuestRelocating && strings.Contains(g.Reason, "does not end although") {
			f.add(Critical, guestName(g), fmt.Sprintf("%s does not run: it leaves %s for %s and cannot be ended there%s", guestName(g), g.Node, g.Target, f.since(g.Since)), g.Reason,
				fmt.Sprintf("bring its storage back on %s, or restart that node: hactl fence %s frees all its guests", g.Node, g.Node))
		}
	}
}

// lostStorage tells that nodes have lost a storage. Lost on all of them it is the storage that is down; nobody is moved for that.
func (f *finder) lostStorage(s Storage, lost, good []StorageSeen) {
	subject := "storage " + s.Name
	var where, why []string
	for _, n := range lost {
		where = append(where, string(n.Node))
		why = append(why, fmt.Sprintf("%s%s: %s", n.Node, f.since(n.Since), n.Problem))
	}
	affected := f.affected(s.Name, where)
	switch {
	case s.Shared && len(good) == 0:
		f.add(Critical, subject, fmt.Sprintf("storage %s works on no node that looks at it; guests stay where they are%s", s.Name, affected), bounded(why),
			fmt.Sprintf("repair %s itself (its server, its network); moving guests would not help, and none is moved", s.Name))
	case s.Shared:
		f.add(Critical, subject, fmt.Sprintf("%s lost storage %s, which works elsewhere%s", have(where), s.Name, affected), bounded(why),
			fmt.Sprintf("look at the way from %s to it (cable, switch port, multipath -ll, the mount); its guests leave when there is a place for them, and hactl status says of each that stays why", where[0]))
	default:
		f.add(Warning, subject, fmt.Sprintf("local storage %s does not work on %s%s", s.Name, strings.Join(where, ", "), affected), bounded(why),
			fmt.Sprintf("look at the disks of %s: dmesg, smartctl", where[0]))
	}
}

// have is who has done something.
func have(names []string) string {
	if len(names) == 1 {
		return names[0] + " has"
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " have"
}

// affected counts the protected guests on these nodes that use a storage.
func (f *finder) affected(storage string, nodes []string) string {
	n := 0
	for _, g := range f.v.Snapshot.Guests {
		if slices.Contains(nodes, string(g.Rec.Node)) && slices.Contains(g.Rec.Storages, storage) && g.Rec.Requested == ha.RequestedStarted {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(": %s affected", count(n))
}

// storageAdvice is what to do about a note, by a part of its words.
var storageAdvice = []struct{ part, do string }{
	{"monitors", "bring the lost monitor back (systemctl status ceph-mon@HOST); one more may be too many"},
	{"FULL", "make room now: delete what is not needed, add OSDs; while it is full guests stand still"},
	{"nearly full", "make room or add OSDs before it is full: a cluster that is full stops all its guests"},
	{"noout", "ceph osd unset noout when the maintenance is over"},
	{"multipath", "multipath -ll names the path; look at its cable, port and switch"},
	{"free", "make room: a storage that is full stops its guests"},
	{"slowly", "look at what keeps it busy (its disks, its network, a backup or a rebuild that runs); no guest moves for that"},
	{"not written to", "if guests are to write there, look at the export's rights and at dmesg"},
}

// storageNotes tells what is weak on a storage that works: once for all nodes that say the same.
func (f *finder) storageNotes(s Storage) {
	by := map[string][]string{}
	var notes []string
	for _, n := range s.Nodes {
		for _, note := range n.Notes {
			if len(by[note]) == 0 {
				notes = append(notes, note)
			}
			by[note] = append(by[note], string(n.Node))
		}
	}
	for _, note := range notes {
		do := ""
		for _, a := range storageAdvice {
			if strings.Contains(note, a.part) {
				do = a.do
				break
			}
		}
		f.add(Warning, "storage "+s.Name, fmt.Sprintf("storage %s: %s", s.Name, note), "seen by "+strings.Join(by[note], ", "), do)
	}
}
