package sim

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"bascule/ha"
)

func emptySnapshot(rev int64) *ha.Snapshot {
	s, _ := ha.DecodeSnapshot(rev, nil)
	return &s
}

// nextSnapshot is the snapshot after one revision. Only what was written is decoded, only the maps that change are copied: the
// old snapshot stays as it was, for those who still look at it.
func nextSnapshot(old *ha.Snapshot, rev int64, put []ha.KV, gone []string, all func() []ha.KV) *ha.Snapshot {
	fresh, errs := ha.DecodeSnapshot(rev, put)
	if old.NewerSchema != "" || len(old.Unreadable) > 0 || len(errs) > 0 { // what that means for the rest, only a look at everything tells
		s, _ := ha.DecodeSnapshot(rev, all()) // what cannot be decoded is left out, as the daemon does
		return &s
	}
	s := *old
	s.Revision = rev
	s.NewerSchema = fresh.NewerSchema
	if fresh.Leader != nil {
		s.Leader, s.Term = fresh.Leader, fresh.Term
	}
	if fresh.Cluster.Rev != 0 {
		s.Cluster = fresh.Cluster
	}
	if fresh.VoterChange.Rev != 0 {
		s.VoterChange = fresh.VoterChange
	}
	overlay(&s.Leases, fresh.Leases)
	overlay(&s.Reports, fresh.Reports)
	overlay(&s.Nodes, fresh.Nodes)
	overlay(&s.Guests, fresh.Guests)
	overlay(&s.Fences, fresh.Fences)
	overlay(&s.Requests, fresh.Requests)
	overlay(&s.Onboot, fresh.Onboot)
	overlayReports(&s, fresh.GuestReports)
	for _, k := range fresh.Events {
		s.Events = withKey(s.Events, k)
	}
	for _, k := range gone {
		dropKey(&s, k)
	}
	return &s
}

func overlay[K comparable, T any](m *map[K]ha.Versioned[T], fresh map[K]ha.Versioned[T]) {
	if len(fresh) == 0 {
		return
	}
	next := maps.Clone(*m)
	maps.Copy(next, fresh)
	*m = next
}

func overlayReports(s *ha.Snapshot, fresh map[ha.NodeName]map[ha.VMID]ha.Versioned[ha.GuestReport]) {
	if len(fresh) == 0 {
		return
	}
	next := maps.Clone(s.GuestReports)
	for n, reports := range fresh {
		inner := map[ha.VMID]ha.Versioned[ha.GuestReport]{}
		maps.Copy(inner, next[n])
		maps.Copy(inner, reports)
		next[n] = inner
	}
	s.GuestReports = next
}

// withKey adds a key to a sorted list that others may be reading. Appending is safe: they do not look beyond their own length.
func withKey(keys []string, k string) []string {
	if len(keys) == 0 || keys[len(keys)-1] < k {
		return append(keys, k)
	}
	i, found := slices.BinarySearch(keys, k)
	if found {
		return keys
	}
	return slices.Insert(slices.Clone(keys), i, k)
}

func dropKey(s *ha.Snapshot, key string) {
	prefix, rest, _ := strings.Cut(key, "/")
	switch prefix + "/" {
	case ha.KeyLeader + "/":
		s.Leader, s.Term = nil, 0
	case ha.KeyCluster + "/":
		s.Cluster = ha.Versioned[ha.ClusterRecord]{}
	case ha.KeyVoterChange + "/":
		s.VoterChange = ha.Versioned[ha.VoterChange]{}
	case ha.PrefixLease:
		without(&s.Leases, ha.NodeName(rest))
	case ha.PrefixReport:
		without(&s.Reports, ha.NodeName(rest))
	case ha.PrefixNode:
		without(&s.Nodes, ha.NodeName(rest))
	case ha.PrefixFence:
		without(&s.Fences, ha.NodeName(rest))
	case ha.PrefixRequest:
		without(&s.Requests, rest)
	case ha.PrefixGuest:
		without(&s.Guests, vmid(rest))
	case ha.PrefixOnboot:
		without(&s.Onboot, vmid(rest))
	case ha.PrefixGuestReport:
		dropReport(s, rest)
	case ha.PrefixEvent:
		if i, found := slices.BinarySearch(s.Events, key); found {
			s.Events = slices.Delete(slices.Clone(s.Events), i, i+1)
		}
	}
}

func dropReport(s *ha.Snapshot, rest string) {
	node, num, _ := strings.Cut(rest, "/")
	n := ha.NodeName(node)
	inner := s.GuestReports[n]
	if inner == nil {
		return
	}
	without(&inner, vmid(num))
	next := maps.Clone(s.GuestReports)
	next[n] = inner
	if len(inner) == 0 {
		delete(next, n)
	}
	s.GuestReports = next
}

func without[K comparable, V any](m *map[K]V, k K) {
	if _, ok := (*m)[k]; ok {
		next := maps.Clone(*m)
		delete(next, k)
		*m = next
	}
}

func vmid(text string) ha.VMID {
	n, _ := strconv.Atoi(text)
	return ha.VMID(n)
}
