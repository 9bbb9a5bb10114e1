package placement

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bascule/ha"
)

const gib = int64(1) << 30

func node(name string, free int64, guests int, storages ...string) ha.Candidate {
	return ha.Candidate{Node: ha.NodeName(name), Incarnation: "b", Usable: true, MemoryFree: free, Guests: guests, Storages: storages}
}

func TestPlace(t *testing.T) {
	down := node("n1", 8*gib, 0, "ceph")
	down.Usable, down.Why = false, "fenced"
	for _, c := range []struct {
		name  string
		guest ha.GuestRecord
		nodes []ha.Candidate
		want  ha.NodeName
		why   string // part of the first rejection
	}{
		{"fewest guests", ha.GuestRecord{Memory: gib}, []ha.Candidate{node("n1", 8*gib, 3), node("n2", 4*gib, 1)}, "n2", ""},
		{"then memory", ha.GuestRecord{Memory: gib}, []ha.Candidate{node("n1", 4*gib, 1), node("n2", 8*gib, 1)}, "n2", ""},
		{"then name", ha.GuestRecord{Memory: gib}, []ha.Candidate{node("n2", 4*gib, 1), node("n1", 4*gib, 1)}, "n1", ""},
		{"never over-commit", ha.GuestRecord{Memory: 2 * gib}, []ha.Candidate{node("n1", gib, 0)}, "", "needs 2048 MiB, 1024 MiB free"},
		{"negative free", ha.GuestRecord{Memory: gib}, []ha.Candidate{node("n1", -gib, 0)}, "", "0 MiB free"},
		{"storage", ha.GuestRecord{Storages: []string{"ceph"}}, []ha.Candidate{node("n1", gib, 0, "local"), node("n2", gib, 9, "ceph")}, "n2", "storage ceph is not active"},
		{"not usable", ha.GuestRecord{}, []ha.Candidate{down}, "", "fenced"},
		{"tried", ha.GuestRecord{Excluded: []ha.NodeName{"n1"}}, []ha.Candidate{node("n1", gib, 0)}, "", "already tried"},
		{"pinned elsewhere", ha.GuestRecord{Node: "n9", Pinned: "hostpci0"}, []ha.Candidate{node("n1", gib, 0)}, "", "tied to n9: hostpci0"},
		{"pinned at home", ha.GuestRecord{Node: "n1", Pinned: "hostpci0"}, []ha.Candidate{node("n1", gib, 0)}, "n1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Placer{}.Place(&c.guest, c.nodes)
			if p.Node != c.want {
				t.Fatalf("placed on %q, want %q (%v)", p.Node, c.want, p.Rejected)
			}
			if c.why != "" && !strings.Contains(p.Rejected[0].Why, c.why) {
				t.Fatalf("rejected because %q, want %q", p.Rejected[0].Why, c.why)
			}
		})
	}
}

// TestPlaceNeverOvercommits: whatever the nodes, the chosen one is usable, has the memory and the storage, and the
// order of the candidates does not matter.
func TestPlaceNeverOvercommits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var nodes []ha.Candidate
		for i := range rapid.IntRange(0, 6).Draw(t, "n") {
			n := node(string(rune('a'+i)), rapid.Int64Range(-4, 8).Draw(t, "free")*gib, rapid.IntRange(0, 5).Draw(t, "guests"))
			n.Usable = rapid.Bool().Draw(t, "usable")
			if rapid.Bool().Draw(t, "ceph") {
				n.Storages = []string{"ceph"}
			}
			nodes = append(nodes, n)
		}
		g := ha.GuestRecord{Memory: rapid.Int64Range(0, 8).Draw(t, "mem") * gib, Storages: []string{"ceph"}}
		p := Placer{}.Place(&g, nodes)
		for _, n := range nodes {
			fits := n.Usable && n.MemoryFree >= g.Memory && len(n.Storages) == 1
			if p.Node == n.Node && !fits {
				t.Fatalf("placed on %+v", n)
			}
			if p.Node == "" && fits {
				t.Fatalf("no place although %s fits", n.Node)
			}
		}
		if q := (Placer{}).Place(&g, rapid.Permutation(nodes).Draw(t, "order")); q.Node != p.Node {
			t.Fatalf("order of candidates matters: %s, %s", p.Node, q.Node)
		}
	})
}
