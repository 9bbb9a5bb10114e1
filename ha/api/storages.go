package api

import (
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// Storage is one of Proxmox's storages, as each node that has it sees it.
type Storage struct {
	Name   string        `json:"name"`
	Type   string        `json:"type"`
	Shared bool          `json:"shared"`
	Nodes  []StorageSeen `json:"nodes"` // by name; of members that hold their lease
}

// StorageSeen is a storage on one node. State is empty where nobody looks: a type without a way to, or an older basculed.
type StorageSeen struct {
	Node    ha.NodeName     `json:"node"`
	Active  bool            `json:"active"` // Proxmox there would use it
	State   ha.StorageState `json:"state,omitempty"`
	Since   time.Time       `json:"since,omitzero"` // of the state, by that node's clock
	Problem string          `json:"problem,omitempty"`
	Notes   []string        `json:"notes,omitempty"`
	Paths   *ha.PathCount   `json:"paths,omitempty"`
}

// buildStorages lists what the reports of the living members say.
func buildStorages(v View) []Storage {
	by := map[string]*Storage{}
	for n, r := range v.Snapshot.Reports {
		lease, held := v.Snapshot.Leases[n]
		if !held || lease.Rec.Incarnation != r.Rec.Incarnation {
			continue
		}
		for _, s := range r.Rec.Storages {
			if by[s.Name] == nil {
				by[s.Name] = &Storage{Name: s.Name, Type: s.Type, Shared: s.Shared}
			}
			by[s.Name].Nodes = append(by[s.Name].Nodes, StorageSeen{Node: n, Active: s.Active, State: s.State, Since: s.Since,
				Problem: s.Problem, Notes: s.Notes, Paths: s.Paths})
		}
	}
	out := []Storage{}
	for _, s := range by {
		slices.SortFunc(s.Nodes, func(a, b StorageSeen) int { return natural(string(a.Node), string(b.Node)) })
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Storage) int { return strings.Compare(a.Name, b.Name) })
	return out
}
