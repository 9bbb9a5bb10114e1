package discover

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bascule/ha"
)

// Corosync is what /etc/pve/corosync.conf says.
type Corosync struct {
	Cluster   string         // cluster_name
	Transport string         // "knet", "udpu", "udp"; knet where the file says nothing
	Nodes     []CorosyncNode // by node id
	Links     []int          // numbers of the links that any node has an address on, ascending
	TwoNode   bool           // quorum.two_node: 1: each of two nodes is quorate alone

	Token          time.Duration // totem.token; corosync's default where TokenSet is false
	TokenSet       bool
	Coefficient    time.Duration // totem.token_coefficient; corosync's default where CoefficientSet is false
	CoefficientSet bool
	Device         *QDevice // nil: no quorum device
}

// CorosyncNode is one entry of the node list.
type CorosyncNode struct {
	Name      ha.NodeName
	ID        int
	Votes     int
	Addresses map[int]string // link number → address or host name (ring0_addr …)
}

// QDevice is corosync's quorum device, the third vote of a two-node site.
type QDevice struct {
	Model     string // "net"
	Host      string // of a net device
	Algorithm string // "ffsplit", "lms"
	Votes     int    // 1 where the file says nothing
}

// Corosync's defaults (corosync.conf(5), corosync 3.1 as Proxmox VE 8 and 9 ship it). Newer builds use a coefficient of 125 ms, older ones 650 ms.
const (
	DefaultToken       = 3 * time.Second
	DefaultCoefficient = 650 * time.Millisecond
)

// ErrCorosync is wrapped where corosync.conf is not understood.
var ErrCorosync = errors.New("corosync.conf is not understood")

// ParseCorosync reads a corosync.conf.
func ParseCorosync(data []byte) (Corosync, error) {
	root, err := parseSections(string(data))
	if err != nil {
		return Corosync{}, fmt.Errorf("%w: %w", ErrCorosync, err)
	}
	totem, quorum := root.first("totem"), root.first("quorum")
	c := Corosync{Cluster: totem.values["cluster_name"], Transport: totem.values["transport"], Token: DefaultToken, Coefficient: DefaultCoefficient,
		TwoNode: number(quorum.values["two_node"], 0) == 1}
	if c.Transport == "" {
		c.Transport = "knet"
	}
	if ms, err := strconv.Atoi(totem.values["token"]); err == nil {
		c.Token, c.TokenSet = time.Duration(ms)*time.Millisecond, true
	}
	if ms, err := strconv.Atoi(totem.values["token_coefficient"]); err == nil {
		c.Coefficient, c.CoefficientSet = time.Duration(ms)*time.Millisecond, true
	}
	for _, n := range root.first("nodelist").all("node") {
		node := corosyncNode(n)
		for link := range node.Addresses {
			if !slices.Contains(c.Links, link) {
				c.Links = append(c.Links, link)
			}
		}
		c.Nodes = append(c.Nodes, node)
	}
	slices.Sort(c.Links)
	slices.SortFunc(c.Nodes, func(a, b CorosyncNode) int { return a.ID - b.ID })
	if d := quorum.all("device"); len(d) > 0 {
		net := d[0].first("net")
		c.Device = &QDevice{Model: d[0].values["model"], Votes: number(d[0].values["votes"], 1), Host: net.values["host"], Algorithm: net.values["algorithm"]}
	}
	if len(c.Nodes) == 0 {
		return c, fmt.Errorf("%w: it lists no node", ErrCorosync)
	}
	return c, nil
}

func corosyncNode(s section) CorosyncNode {
	n := CorosyncNode{ID: number(s.values["nodeid"], 0), Votes: number(s.values["quorum_votes"], 1), Addresses: map[int]string{}}
	for key, value := range s.values {
		ring, ok := strings.CutPrefix(key, "ring")
		if ring, isAddr := strings.CutSuffix(ring, "_addr"); ok && isAddr {
			if link, err := strconv.Atoi(ring); err == nil {
				n.Addresses[link] = value
			}
		}
	}
	n.Name = ha.NodeName(s.values["name"])
	if n.Name == "" {
		n.Name = ha.NodeName(n.Addresses[0]) // as corosync does
	}
	return n
}

// Block is how long /etc/pve may block, on the side that keeps the majority, while corosync re-forms after a node's death: the token's
// time and the consensus' (1.2 × the token's).
func (c Corosync) Block() time.Duration {
	token := c.Token + time.Duration(max(0, len(c.Nodes)-2))*c.Coefficient
	return token * 22 / 10
}

// Votes counts the nodes' votes and the device's.
func (c Corosync) Votes() int {
	sum := 0
	for _, n := range c.Nodes {
		sum += n.Votes
	}
	if c.Device != nil {
		sum += c.Device.Votes
	}
	return sum
}

// Node returns a node's entry.
func (c Corosync) Node(name ha.NodeName) (CorosyncNode, bool) {
	i := slices.IndexFunc(c.Nodes, func(n CorosyncNode) bool { return n.Name == name })
	if i < 0 {
		return CorosyncNode{}, false
	}
	return c.Nodes[i], true
}

// number reads an integer, or gives the default.
func number(s string, def int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return def
}
