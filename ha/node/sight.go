package node

import (
	"slices"
	"time"

	"bascule/ha"
)

// lostAfter is how many looks in a row must fail before a storage counts as lost.
const lostAfter = 2

// A look that takes slowLook is slow; so many in a row are told. A slow storage is a good one for all decisions: guests that have to wait a
// little are better off than guests that are stopped and started elsewhere.
const (
	slowLook  = 2500 * time.Millisecond
	slowAfter = 3
)

// slowNote is what is told of a slow storage.
const slowNote = "it answers slowly: the last looks took more than 2.5 s each"

// Sight is what this node's looks at one storage have shown.
type Sight struct {
	State   ha.StorageState
	Since   time.Time // wall clock, for people
	Problem string
	Notes   []string
	Paths   *ha.PathCount
	Fails   int // looks in a row that failed
	Slow    int // looks in a row that succeeded and were slow
}

// After is the sight after one more look. A storage is good after one look that succeeded, lost only after two that failed; a look that
// could not be made says nothing, so what was known is forgotten.
func (s Sight) After(l ha.StorageLook, wall time.Time) Sight {
	n := Sight{State: s.State, Since: s.Since, Problem: l.Problem, Notes: l.Notes, Paths: l.Paths, Fails: s.Fails + 1}
	if l.Paths == nil && (l.Problem != "" || l.Hung) { // a look that fails early does not get as far as the paths
		n.Paths = s.Paths
	}
	switch {
	case l.Skipped:
		n.State, n.Fails = "", 0
	case l.Problem == "" && !l.Hung:
		n.State, n.Fails = ha.StorageGood, 0
		if l.Took >= slowLook {
			n.Slow = s.Slow + 1
		}
		if n.Slow >= slowAfter {
			n.Notes = append(slices.Clone(n.Notes), slowNote)
		}
	case n.Fails < lostAfter:
		n.State = ha.StorageDoubtful
	case l.Hung:
		n.State = ha.StorageHung
	default:
		n.State = ha.StorageBad
	}
	if n.State != s.State || s.Since.IsZero() {
		n.Since = wall.UTC().Truncate(time.Second)
	}
	return n
}

// Next is when to look again, after a look that ended at `ended`.
func (s Sight) Next(ended ha.Instant, t ha.Timing) ha.Instant {
	if s.Fails > 0 {
		return ended.Add(t.StorageAgain())
	}
	return ended.Add(t.StorageEvery())
}

// seenStorages puts this node's own looks beside what Proxmox says.
func seenStorages(list []ha.StorageReport, sights map[string]Sight) []ha.StorageReport {
	if len(sights) == 0 {
		return list
	}
	out := slices.Clone(list)
	for i := range out {
		s, looked := sights[out[i].Name]
		if !looked {
			continue
		}
		out[i].State, out[i].Problem, out[i].Notes, out[i].Paths = s.State, s.Problem, s.Notes, s.Paths
		if s.State != "" {
			out[i].Since = s.Since
		}
	}
	return out
}
