package node

import (
	"slices"

	"bascule/ha"
)

// Ended are the addresses of boots from which a guest was taken over and that are proven dead as a whole: what they left behind on shared
// storages (locks, watchers) may be taken away before the guest starts. Nobody's whose proof is about storages only, nobody's whose machine
// is registered again: it uses the same addresses.
func (c Config) Ended(rec ha.GuestRecord, store *ha.Snapshot) []string {
	var out []string
	if rec.Node != c.Self || rec.Incarnation != c.Incarnation {
		return nil
	}
	for _, n := range rec.ConfigFrom {
		if _, back := store.Leases[n]; back || n == c.Self {
			continue
		}
		node := store.Nodes[n].Rec
		for _, p := range node.Proofs {
			if !p.Complete() || p.Incarnation() != node.Incarnation {
				continue
			}
			if rep := store.Reports[n].Rec; rep.Incarnation == p.Incarnation() {
				out = append(out, rep.Clients...)
			}
			if f := store.Fences[n].Rec; f.Incarnation == p.Incarnation() {
				out = append(out, f.Clients...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
