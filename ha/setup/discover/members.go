package discover

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// Membership is what /etc/pve/.members says: corosync as this node sees it now.
type Membership struct {
	Node    ha.NodeName // this node
	Cluster string      // "" on a node without a cluster
	Quorate bool        // a node without a cluster is always
	Nodes   []MemberNode
}

// MemberNode is one node of the cluster, by id.
type MemberNode struct {
	Name   ha.NodeName
	ID     int
	Online bool
	IP     string // the address that its name resolves to; "" until it was there once
}

// ErrMembers is wrapped where .members is not understood.
var ErrMembers = errors.New("/etc/pve/.members is not understood")

// ParseMembers reads a .members file. Proxmox writes numbers as numbers or as text.
func ParseMembers(data []byte) (Membership, error) {
	var file struct {
		NodeName string `json:"nodename"`
		Cluster  *struct {
			Name    string `json:"name"`
			Quorate word   `json:"quorate"`
		} `json:"cluster"`
		NodeList map[string]struct {
			ID     word   `json:"id"`
			Online word   `json:"online"`
			IP     string `json:"ip"`
		} `json:"nodelist"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return Membership{}, fmt.Errorf("%w: %w", ErrMembers, err)
	}
	m := Membership{Node: ha.NodeName(file.NodeName), Quorate: true}
	if file.Cluster == nil {
		return m, nil
	}
	m.Cluster, m.Quorate = file.Cluster.Name, file.Cluster.Quorate == "1"
	for name, n := range file.NodeList {
		m.Nodes = append(m.Nodes, MemberNode{Name: ha.NodeName(name), ID: number(string(n.ID), 0), Online: n.Online == "1", IP: n.IP})
	}
	slices.SortFunc(m.Nodes, func(a, b MemberNode) int { return a.ID - b.ID })
	return m, nil
}

// word is a JSON number or text, as text.
type word string

func (w *word) UnmarshalJSON(b []byte) error {
	*w = word(strings.Trim(string(b), `"`))
	return nil
}
