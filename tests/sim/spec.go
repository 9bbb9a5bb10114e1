package sim

import (
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// Spec is a whole site, its people and its faults. Equal specs run to equal traces.
type Spec struct {
	Seed     uint64
	Timing   ha.Timing
	Hosts    []HostSpec
	Storages []StorageSpec
	Guests   []GuestSpec
	Devices  []DeviceSpec
	Plans    map[ha.NodeName]ladder.Plan // fencing levels per node
	QDevice  string                      // host that gives corosync one more vote; "": none
	Token    time.Duration               // corosync's; 0: drawn
	Length   time.Duration               // when commands end; the settling time comes after it
	Settle   time.Duration               // how long the world has to be in order again
	Commands []Command                   // faults and people, by time
	Keep     bool                        // isolation: keep
	Old      []string                    // hosts that run the older version of the daemon
	Looks    bool                        // daemons look at storages themselves
	Stay     bool                        // guests do not leave lost storages

	MaxRestart, MaxRelocate, ParallelStarts, ParallelMoves int

	MaxConcurrent, MinHealthy int // of fencing: nodes at once, percent of the voters
	PriorityDelay             time.Duration
}

// hostReserve is the memory that guests never get, as basculed sets it.
const hostReserve = 1 << 30

// members is the cluster's member list.
func (s Spec) members() []ha.Member {
	var out []ha.Member
	for _, h := range s.Hosts {
		out = append(out, ha.Member{Name: ha.NodeName(h.Name), Witness: h.Witness})
	}
	return out
}

// voters are the members that hold the store: all of them up to three, five from five on, a witness always.
func (s Spec) voters() []string {
	most := 3
	if len(s.Hosts) >= 5 {
		most = 5
	}
	var out []string
	for _, h := range s.Hosts {
		if h.Witness {
			out = append(out, h.Name)
		}
	}
	for _, h := range s.Hosts {
		if !h.Witness && len(out) < most {
			out = append(out, h.Name)
		}
	}
	return out
}

// spares are the members that may vote beyond those.
func (s Spec) spares() []ha.NodeName {
	var out []ha.NodeName
	for _, h := range s.Hosts {
		if !slices.Contains(s.voters(), h.Name) {
			out = append(out, ha.NodeName(h.Name))
		}
	}
	return out
}

// memberNames are the names of all members.
func (s Spec) memberNames() []ha.NodeName {
	var out []ha.NodeName
	for _, h := range s.Hosts {
		out = append(out, ha.NodeName(h.Name))
	}
	return out
}
