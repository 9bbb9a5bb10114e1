package doctor

import (
	"slices"
	"time"

	"bascule/ha"
)

// Cluster is everything that is examined: what each member told, and what hactl saw while it asked.
type Cluster struct {
	Members  []ha.Member                  `json:"members"` // as the asked node has them
	Local    bool                         `json:"local"`   // only one node's facts were gathered, on purpose
	Facts    map[ha.NodeName]Facts        `json:"facts"`
	Silent   map[ha.NodeName]string       `json:"silent"`   // members that gave no facts, and why
	Clocks   map[ha.NodeName]Reading      `json:"clocks"`   // their wall clocks against that of the machine that asked
	States   map[ha.NodeName]ha.NodeState `json:"states"`   // as the leader has them
	Guests   []Guest                      `json:"guests"`   // protected, as the leader has them
	Problems []Problem                    `json:"problems"` // of hactl status, those of all members together
	Fencing  []FenceTest                  `json:"fencing"`  // by each node that read the devices
}

// Reading is one look at another machine's wall clock: its clock less the asker's, and how wrong that may be.
type Reading struct {
	Offset time.Duration `json:"offset"`
	Error  time.Duration `json:"error"` // half of the round trip
}

// Guest is a protected guest as the leader has it.
type Guest struct {
	ID        ha.VMID       `json:"id"`
	Kind      ha.GuestKind  `json:"kind"`
	Name      string        `json:"name,omitempty"`
	State     ha.GuestState `json:"state"`
	Node      ha.NodeName   `json:"node"`
	Requested ha.Requested  `json:"requested,omitempty"`
	Pinned    string        `json:"pinned,omitempty"`
	Memory    int64         `json:"memory"`
}

// Problem is one of the problems of `hactl status`.
type Problem struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject"`
	What     string   `json:"what"`
	Why      string   `json:"why,omitempty"`
	Do       string   `json:"do,omitempty"`
}

// FenceTest is how the nodes would be fenced, as one of them read the devices.
type FenceTest struct {
	By    ha.NodeName `json:"by"`
	Nodes []FenceNode `json:"nodes"`
}

// FenceNode is how one node would be fenced.
type FenceNode struct {
	Node     ha.NodeName   `json:"node"`
	State    ha.NodeState  `json:"state"`
	Provable bool          `json:"provable"` // at least one device could prove it off
	Busy     bool          `json:"busy"`     // its devices were left to the leader
	Armed    bool          `json:"armed"`    // it would end itself
	Verdict  string        `json:"verdict"`
	Devices  []FenceDevice `json:"devices"` // without the operator's hand
}

// FenceDevice is one device of a node.
type FenceDevice struct {
	Name    string `json:"name"`
	Method  string `json:"method"`
	Usable  bool   `json:"usable"`
	Problem string `json:"problem,omitempty"` // why it said nothing, or what is wrong with what it said
	Fault   string `json:"fault,omitempty"`   // what kind of problem it is: FaultRights …
	Why     string `json:"why,omitempty"`     // why it would not lead to a proof
}

// position is a node's place among the members; the cluster itself comes first, strangers last.
func (c Cluster) position(n ha.NodeName) int {
	if n == "" {
		return -1
	}
	if i := slices.IndexFunc(c.Members, func(m ha.Member) bool { return m.Name == n }); i >= 0 {
		return i
	}
	return len(c.Members)
}

// nodes are the members that gave facts, in their order.
func (c Cluster) nodes() []Facts {
	var out []Facts
	for _, m := range c.Members {
		if f, ok := c.Facts[m.Name]; ok {
			out = append(out, f)
		}
	}
	return out
}

// agents are those of nodes that run guests.
func (c Cluster) agents() []Facts {
	return slices.DeleteFunc(c.nodes(), func(f Facts) bool { return f.Witness })
}
