package node

import (
	"testing"

	"bascule/ha"
	"bascule/ha/ladder"
)

// What isolation: keep leaves running is not in the guard's list; a guest that is being moved is: the worker of its move may start it on
// a node that has no permit any more (simulator, seed 31660).
func TestAKeptGuestThatIsMovedIsGuarded(t *testing.T) {
	plan := ladder.Plan{Levels: [][]ladder.Device{{{Name: "ceph", Kind: ha.StorageDevice, Storages: []string{"ceph"}}}}}
	c := Config{Self: "node1", Incarnation: "i1", Isolation: ha.IsolationKeep, Plans: map[ha.NodeName]ladder.Plan{"node1": plan}}
	rec := ha.GuestRecord{ID: 101, Kind: ha.LXC, Node: "node1", Incarnation: "i1", Storages: []string{"ceph"}, Holders: []ha.Holder{{Node: "node1", Incarnation: "i1"}}}
	inv := ha.Inventory{Guests: []ha.GuestSeen{{ID: 101, Kind: ha.LXC, Protected: true, Running: true, Storages: []string{"ceph"}}}}
	for _, tt := range []struct {
		name string
		move *ha.Move
		want int
	}{{"at rest", nil, 0}, {"moved", &ha.Move{Target: "node2", Inc: "i2"}, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			rec.Move = tt.move
			store := &ha.Snapshot{Guests: map[ha.VMID]ha.Versioned[ha.GuestRecord]{101: {Rec: rec}}}
			if got := c.PermitGuests(store, inv, true, nil, Said{}, ha.GuestRef{ID: 101, Kind: ha.LXC}); len(got) != tt.want {
				t.Errorf("the guard is told of %v, want %d", got, tt.want)
			}
		})
	}
}
