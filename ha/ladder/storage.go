package ladder

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// clients keeps in the record what the incarnation published: its report may be overwritten by another machine's. When it
// published more, what was revoked is not revoked for all of them: all is taken back and done again.
func (w *walk) clients() {
	r := w.out.Record
	if r == nil {
		return
	}
	grown := len(r.Clients) > 0 && !within(w.Facts.Clients, r.Clients)
	r.Clients = distinct(r.Clients, w.Facts.Clients)
	w.Facts.Clients = r.Clients
	if !grown {
		return
	}
	r.Restored = distinct(r.Restored, provenStorages(r, w.Facts.Incarnation))
	r.Proofs = slices.DeleteFunc(r.Proofs, func(p ha.Proof) bool { return !p.Complete() })
	for _, level := range w.Plan.Levels {
		for _, d := range level {
			if m, ok := w.out.Memory.Devices[d.Name]; ok && d.Kind == ha.StorageDevice {
				m.Revoked, m.NextRead, m.NextCommand = nil, w.Now, w.Now
				w.out.Memory.Devices[d.Name] = m
			}
		}
	}
}

// readStorage judges what a storage device says of each of its storages, literally. What it says nothing about stays as it was: a
// proof does not expire because a look at it failed.
func (w *walk) readStorage(d Device, m *DeviceMemory, r ha.DeviceReading) {
	if !within(w.Facts.Clients, r.Clients) {
		r.Problem = fmt.Sprintf("%s answered about %s, but %s published %s: not believed", d.Name, words(r.Clients), w.Facts.Node, words(w.Facts.Clients))
		w.failed(m, r)
		return
	}
	m.Failures, m.LastRead = 0, r.Asked
	before := m.Revoked
	var revoked, open, silent []string
	for _, s := range d.Storages {
		switch access(r, s) {
		case ha.AccessRevoked:
			revoked = append(revoked, s)
		case ha.AccessOpen:
			open = append(open, s)
		default:
			silent = append(silent, s)
			if slices.Contains(before, s) {
				revoked = append(revoked, s)
			}
		}
	}
	m.Revoked, m.Open, m.Problem = revoked, open, ""
	m.NextRead = w.Now.Add(w.Timing.OffReadGap)
	proven := provenStorages(w.out.Record, w.Facts.Incarnation)
	switch {
	case slices.ContainsFunc(open, func(s string) bool { return slices.Contains(before, s) || slices.Contains(proven, s) }):
		m.NextCommand, m.Accepted = w.Now, 0 // somebody gave the access back: take it away at once
		m.Problem = fmt.Sprintf("%s finds that %s can write to %s again", d.Name, w.Facts.Node, words(open))
	case len(open) > 0 && m.Accepted != 0:
		m.NextRead = w.Now.Add(w.Timing.DevicePoll)
		m.Problem = fmt.Sprintf("%s said it took %s away from %s, but reads it open", d.Name, words(open), w.Facts.Node)
	case len(silent) > 0:
		m.Problem = fmt.Sprintf("%s does not say whether %s can still write to %s", d.Name, w.Facts.Node, words(silent))
	case len(open) == 0:
		m.NextRead = w.Now.Add(w.Timing.RevokeRecheck())
	}
	w.step(d.Name, "read", storageResult(revoked, open, silent))
}

// access is a reading's literal answer about one storage; two different answers are none.
func access(r ha.DeviceReading, storage string) ha.StorageAccess {
	got := ha.StorageAccess("")
	for _, s := range r.Storages {
		if s.Storage != storage {
			continue
		}
		if got != "" && got != s.Access {
			return ha.AccessUnknown
		}
		got = s.Access
	}
	return got
}

func storageResult(revoked, open, silent []string) string {
	var parts []string
	for _, x := range []struct {
		what string
		list []string
	}{{"revoked", revoked}, {"open", open}, {"no answer about", silent}} {
		if len(x.list) > 0 {
			parts = append(parts, x.what+" "+words(x.list))
		}
	}
	return strings.Join(parts, "; ")
}

func words(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// wantsRevoke: until all of its storages are read as revoked. A leader that took over looks first: the work may be done.
func (w *walk) wantsRevoke(d Device, m DeviceMemory) bool {
	if commanded(w.out.Record, d) && m.LastAnswer == 0 {
		return false
	}
	return !within(d.Storages, m.Revoked)
}

// storageProof keeps the record's one StorageRevoked true to what was read: it grows with storages read back as revoked, and what
// is literally open leaves it. Failed reads change nothing, and no time that passes does.
func (w *walk) storageProof() {
	r := w.out.Record
	if r == nil {
		return
	}
	var verified, open, by []string
	for _, level := range w.Plan.Levels {
		for _, d := range level {
			if d.Kind != ha.StorageDevice || !commanded(r, d) {
				continue // what we did not take away proves nothing
			}
			m := w.out.Memory.Devices[d.Name]
			verified, open = append(verified, m.Revoked...), append(open, m.Open...)
			if len(m.Revoked) > 0 {
				by = append(by, d.Name)
			}
		}
	}
	isOpen := func(s string) bool { return slices.Contains(open, s) }
	proven := provenStorages(r, w.Facts.Incarnation)
	want := slices.DeleteFunc(distinct(proven, verified), isOpen)
	lost := slices.DeleteFunc(slices.Clone(proven), func(s string) bool { return !isOpen(s) })
	r.Restored = slices.DeleteFunc(distinct(r.Restored, lost), func(s string) bool { return slices.Contains(verified, s) && !isOpen(s) })
	if slices.Equal(want, proven) {
		return
	}
	r.Proofs = slices.DeleteFunc(r.Proofs, func(p ha.Proof) bool { return !p.Complete() })
	if len(want) > 0 {
		w.prove(ha.StorageRevoked, want, fmt.Sprintf("%s read back that %s (%s) cannot write to %s", words(distinct(by, nil)), w.Facts.Node, words(w.Facts.Clients), words(want)))
	}
}

// provenStorages are the storages that the record holds as proven revoked, in order.
func provenStorages(r *ha.FenceRecord, inc ha.Incarnation) []string {
	var out []string
	if r != nil {
		for _, p := range r.Proofs {
			if p.Kind() == ha.StorageRevoked && p.Incarnation() == inc {
				out = append(out, p.Storages()...)
			}
		}
	}
	return distinct(out, nil)
}

// distinct merges two lists: in order, each once.
func distinct(a, b []string) []string {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}
