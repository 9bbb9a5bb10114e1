package pve

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"bascule/ha"
)

// Members is what /etc/pve/.members says: corosync as this node's pmxcfs sees it now.
type Members struct {
	Node    ha.NodeName // this node
	Known   bool        // corosync has told pmxcfs of a cluster; false on a node without one
	Cluster string      // its name
	Quorate bool        // a node without a cluster is always
	Nodes   []Member    // by id
}

// Member is one node of the cluster.
type Member struct {
	Name   ha.NodeName
	ID     int
	Online bool
	IP     string // the address that its name resolves to; "" until it was there once
}

// ErrMembers is wrapped where .members is not understood.
var ErrMembers = errors.New(".members is not understood")

// ParseMembers reads a .members file. Fields may be missing: what is not said to be quorate or online is not.
func ParseMembers(data []byte) (Members, error) {
	var file struct {
		NodeName Word `json:"nodename"`
		Cluster  *struct {
			Name    Word   `json:"name"`
			Quorate Number `json:"quorate"`
		} `json:"cluster"`
		NodeList map[string]struct {
			ID     Number `json:"id"`
			Online Number `json:"online"`
			IP     Word   `json:"ip"`
		} `json:"nodelist"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return Members{}, fmt.Errorf("%w: %w", ErrMembers, err)
	}
	m := Members{Node: ha.NodeName(file.NodeName), Quorate: true}
	if file.Cluster == nil {
		return m, nil
	}
	m.Known, m.Cluster, m.Quorate = true, string(file.Cluster.Name), file.Cluster.Quorate.Yes()
	for _, name := range slices.Sorted(maps.Keys(file.NodeList)) {
		n := file.NodeList[name]
		m.Nodes = append(m.Nodes, Member{Name: ha.NodeName(name), ID: int(n.ID.Value), Online: n.Online.Yes(), IP: string(n.IP)})
	}
	slices.SortStableFunc(m.Nodes, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return m, nil
}
