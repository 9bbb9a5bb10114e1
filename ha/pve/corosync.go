package pve

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
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
	Name      ha.NodeName // never empty
	ID        int         // 0: none is given
	Votes     int
	Addresses map[int]string // link number → address or host name (ring0_addr …)
}

// QDevice is corosync's quorum device, the third vote of a two-node site.
type QDevice struct {
	Model     string // "net"
	Host      string // of a net device
	Algorithm string // "ffsplit", "lms"
	Votes     int    // 1 where the file says nothing, the least
}

// Corosync's defaults (corosync.conf(5), corosync 3.1 as Proxmox VE 8 and 9 ship it). Newer builds use a coefficient of 125 ms, older ones 650 ms.
const (
	DefaultToken       = 3 * time.Second
	DefaultCoefficient = 650 * time.Millisecond
)

// The most that is believed. Corosync refuses what is no number as well.
const (
	maxVotes  = 1 << 16
	maxID     = 1<<32 - 1
	maxMillis = 1 << 27 // more than a day
)

// ErrCorosync is wrapped where corosync.conf is not understood.
var ErrCorosync = errors.New("corosync.conf is not understood")

// ParseCorosync reads a corosync.conf(5). It is strict, because votes that were guessed would be believed: a block that does not end, a number that
// is none, a node without a name (Proxmox gives each one), and a file without nodes are ErrCorosync.
func ParseCorosync(data []byte) (Corosync, error) {
	root, err := parseBlocks(string(data))
	if err != nil {
		return Corosync{}, fmt.Errorf("%w: %w", ErrCorosync, err)
	}
	c, err := corosyncOf(root)
	if err != nil {
		return Corosync{}, fmt.Errorf("%w: %w", ErrCorosync, err)
	}
	return c, nil
}

func corosyncOf(root block) (Corosync, error) {
	two := root.text("two_node", "quorum")
	c := Corosync{Cluster: root.text("cluster_name", "totem"), Transport: cmp.Or(root.text("transport", "totem"), "knet"), TwoNode: two == "1" || two == "yes"}
	var err error
	if c.Token, c.TokenSet, err = millis(root, "token", DefaultToken); err != nil {
		return c, err
	}
	if c.Coefficient, c.CoefficientSet, err = millis(root, "token_coefficient", DefaultCoefficient); err != nil {
		return c, err
	}
	for _, b := range root.all("nodelist", "node") {
		n, err := corosyncNode(b)
		if err != nil {
			return c, err
		}
		c.Nodes = append(c.Nodes, n)
		c.Links = append(c.Links, slices.Sorted(maps.Keys(n.Addresses))...)
	}
	if len(c.Nodes) == 0 {
		return c, errors.New("it lists no node")
	}
	slices.Sort(c.Links)
	c.Links = slices.Compact(c.Links)
	slices.SortStableFunc(c.Nodes, func(a, b CorosyncNode) int { return a.ID - b.ID })
	if len(root.all("quorum", "device")) > 0 {
		d := QDevice{Model: root.text("model", "quorum", "device"), Host: root.text("host", "quorum", "device", "net"),
			Algorithm: root.text("algorithm", "quorum", "device", "net")}
		if d.Votes, err = whole(root, 1, maxVotes, "votes", "quorum", "device"); err != nil {
			return c, err
		}
		c.Device = &d
	}
	return c, nil
}

func corosyncNode(b block) (n CorosyncNode, err error) {
	n = CorosyncNode{Name: ha.NodeName(b.text("name")), Addresses: map[int]string{}}
	if n.Name == "" {
		return n, errors.New("one of its nodes has no name")
	}
	if n.ID, err = whole(b, 0, maxID, "nodeid"); err == nil {
		n.Votes, err = whole(b, 1, maxVotes, "quorum_votes")
	}
	if err != nil {
		return n, fmt.Errorf("node %s: %w", n.Name, err)
	}
	for _, key := range slices.Sorted(maps.Keys(b.values)) {
		ring, ok := strings.CutPrefix(key, "ring")
		if ring, isAddr := strings.CutSuffix(ring, "_addr"); ok && isAddr {
			if link, err := strconv.Atoi(ring); err == nil {
				n.Addresses[link] = b.values[key]
			}
		}
	}
	return n, nil
}

// whole reads a number from 0 to most, or gives the default where there is none.
func whole(b block, def, most int, key string, path ...string) (int, error) {
	text, ok := b.value(key, path...)
	if !ok {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s: %q is no number from 0 to %d", key, text, most)
	}
	return n, nil
}

// millis reads a time of the totem section.
func millis(root block, key string, def time.Duration) (d time.Duration, set bool, err error) {
	n, err := whole(root, int(def.Milliseconds()), maxMillis, key, "totem")
	_, set = root.value(key, "totem")
	return time.Duration(n) * time.Millisecond, set, err
}

// Block is how long /etc/pve may block, on the side that keeps the majority, while corosync re-forms after a node's death: the token's
// time and the consensus' (1.2 × the token's).
func (c Corosync) Block() time.Duration {
	token := c.Token + time.Duration(max(0, len(c.Nodes)-2))*c.Coefficient
	return token * 22 / 10
}

// Votes is what the file says of votes, the nodes by name.
func (c Corosync) Votes() *ha.CorosyncVotes {
	v := &ha.CorosyncVotes{TwoNode: c.TwoNode}
	for _, n := range c.Nodes {
		v.Nodes = append(v.Nodes, ha.CorosyncVote{Node: n.Name, Votes: n.Votes})
	}
	slices.SortFunc(v.Nodes, func(a, b ha.CorosyncVote) int { return cmp.Compare(a.Node, b.Node) })
	if c.Device != nil {
		v.QDevice, v.QDeviceHost = c.Device.Votes, c.Device.Host
	}
	return v
}
