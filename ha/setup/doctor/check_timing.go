package doctor

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

// timing: which timing profile the hardware carries.
var timing = check{
	kinds: []Kind{
		{ID: "timing-too-fast", Grades: []Severity{Warning, OK}, Title: "The timing profile is faster than the hardware",
			Why: "a slow disk or network makes etcd change its leader and renewals come late: nodes lose their permit, and healthy guests are stopped",
			Do:  "set a more patient profile on every member (timing: normal or patient), or give etcd a faster disk: data_dir on an SSD with power-loss protection"},
		{ID: "hardware-too-slow", Grades: []Severity{Critical}, Title: "The hardware carries no timing profile",
			Why: "even with timing: patient etcd would change its leader again and again, and healthy guests would be stopped",
			Do:  "move data_dir to another local disk (an SSD), or make a machine with a better one the voter; look what else writes to the disk (iostat -x 1)"},
	},
	run: func(x *exam) {
		m, ok := x.measured()
		if !ok {
			return
		}
		nodes := x.nodes()
		t := nodes[0].Timing
		lacks := m.lacks(t)
		if lacks == "" {
			x.add(Finding{ID: "timing-too-fast", Severity: OK, Evidence: fmt.Sprintf("%s; profile %s is carried, the fastest that would be: %s", m, t.Profile, m.fastest())})
			return
		}
		best := m.fastest()
		if best == "" {
			x.add(Finding{ID: "hardware-too-slow", Severity: Critical, Evidence: fmt.Sprintf("%s; %s", m, lacks)})
			return
		}
		f := Finding{ID: "timing-too-fast", Severity: Warning, Evidence: fmt.Sprintf("%s; with profile %s %s; %s would be carried", m, t.Profile, lacks, best)}
		f.Remedy = fmt.Sprintf("set timing: %s on every member and restart basculed, one node after the other; or give etcd a faster disk (data_dir on an SSD with power-loss protection)", best)
		x.add(f)
	},
}

// measured is what the store's writes take: the slowest voter's disk, the longest way.
type measured struct {
	sync, slowest time.Duration // p99 and longest of one small durable write
	trip          time.Duration // p99 of a round trip to a voter
	disk, from    ha.NodeName   // whose disk, who measured the trip
	to            ha.NodeName
}

func (m measured) String() string {
	s := fmt.Sprintf("a durable write takes %s at worst (p99 %s, %s)", round(m.slowest), round(m.sync), m.disk)
	if m.to != "" {
		s += fmt.Sprintf(", a round trip %s (%s to %s)", round(m.trip), m.from, m.to)
	}
	return s
}

// measured finds the worst of what the voters' disks and the ways to them took.
func (x *exam) measured() (m measured, ok bool) {
	for _, f := range x.nodes() {
		voter := f.Config != nil && slices.Contains(f.Config.Voters, f.Node)
		if f.Disk != nil && voter && len(f.Disk.Syncs) > 0 {
			ok = true
			if p := p99(f.Disk.Syncs); p > m.sync {
				m.sync, m.disk = p, f.Node
			}
			m.slowest = max(m.slowest, f.Disk.Syncs[len(f.Disk.Syncs)-1])
		}
		for _, p := range f.Ports {
			if len(p.Trips) == 0 || p.Service != EtcdPeer && p.Service != EtcdClient {
				continue
			}
			if t := p99(p.Trips); t > m.trip {
				m.trip, m.from, m.to = t, f.Node, p.To
			}
		}
	}
	return m, ok
}

// p99 is the 99th percentile of ascending values: of fewer than a hundred the largest.
func p99(sorted []time.Duration) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*99/100)]
}

// lacks says which of a timing's waits the measured hardware does not keep; "" when it carries the timing. The rules are etcd's own (its
// tuning guide: a heartbeat is at least a round trip, an election at least ten) and what a renewal must do in its time.
func (m measured) lacks(t ha.Timing) string {
	commit := 2*m.trip + 2*m.sync // from a member to raft's leader, its disk, a follower and its disk
	for _, q := range []struct {
		broken bool
		text   string
	}{
		{m.trip > t.EtcdHeartbeat, fmt.Sprintf("a round trip (%s) is longer than etcd's heartbeat (%s)", round(m.trip), round(t.EtcdHeartbeat))},
		{10*m.trip > t.EtcdElection, fmt.Sprintf("ten round trips (%s) are longer than etcd's election time-out (%s)", round(10*m.trip), round(t.EtcdElection))},
		{m.sync > t.EtcdHeartbeat, fmt.Sprintf("a durable write (p99 %s) delays etcd's heartbeats, due every %s", round(m.sync), round(t.EtcdHeartbeat))},
		{m.slowest+m.trip >= t.EtcdElection, fmt.Sprintf("one slow write (%s) is taken for the death of etcd's leader (%s)", round(m.slowest), round(t.EtcdElection))},
		{commit > t.RenewTimeout/2, fmt.Sprintf("a commit (%s) needs more than half of the %s that a renewal may take", round(commit), round(t.RenewTimeout))},
	} {
		if q.broken {
			return q.text
		}
	}
	return ""
}

// fastest names the fastest profile that the hardware carries; "" for none.
func (m measured) fastest() string {
	for _, name := range []string{"fast", "normal", "patient"} {
		if t, err := ha.Profile(name); err == nil && m.lacks(t) == "" {
			return name
		}
	}
	return ""
}
