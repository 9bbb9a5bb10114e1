package doctor

import (
	"fmt"
	"slices"
	"time"
)

// How far wall clocks may be apart. Leases, permits and proofs count on no wall clock; records, logs, certificates and watchdog-mux do.
const (
	clocksApart = time.Second
	clocksFar   = 5 * time.Minute
)

// clocks: whether the nodes agree what time it is.
var clocks = check{
	kinds: []Kind{
		{ID: "clock-apart", Grades: []Severity{Warning, Critical, OK}, Title: "The members' clocks are apart",
			Why: "Bascule's own deadlines use no wall clock, but corosync, Ceph, certificates and whoever reads the logs do; a clock that is set back while watchdog-mux runs voids its proof",
			Do:  "run chrony on every node with the same servers: apt install chrony; chronyc tracking"},
		{ID: "clock-unsynchronised", Grades: []Severity{Warning}, Title: "A node's clock is not synchronised",
			Why: "it drifts, by seconds a week on usual boards, until certificates, Ceph and logs disagree",
			Do:  "systemctl status chrony; chronyc sources shows whether it reaches its time servers (UDP port 123)"},
		{ID: "clock-wrong", Grades: []Severity{Critical}, Title: "A node's clock is obviously wrong",
			Why: "it is before something that already exists: certificates count as not valid yet, and members refuse each other. A dead battery on the board does this at a cold start",
			Do:  "set it (chronyc makestep, or date -s), then hwclock --systohc; replace the board's battery"},
	},
	run: func(x *exam) {
		for _, f := range x.nodes() {
			if f.Clock == nil {
				continue
			}
			if !f.Clock.Built.IsZero() && f.At.Before(f.Clock.Built) {
				x.add(Finding{ID: "clock-wrong", Severity: Critical, Node: f.Node, Evidence: fmt.Sprintf("it says %s, but its certificate was made %s", f.At.UTC().Format(time.DateTime), f.Clock.Built.UTC().Format(time.DateTime))})
			}
			if f.Clock.Known && !f.Clock.Synchronised {
				x.add(Finding{ID: "clock-unsynchronised", Severity: Warning, Node: f.Node, Evidence: "the kernel says that its clock is not synchronised"})
			}
		}
		x.apart()
	},
}

// apart compares each clock with the middle one, so that one wrong clock is named and not all the others.
func (x *exam) apart() {
	var offsets []time.Duration
	for _, m := range x.Members {
		if r, ok := x.Clocks[m.Name]; ok {
			offsets = append(offsets, r.Offset)
		}
	}
	if len(offsets) < 2 {
		return
	}
	slices.Sort(offsets)
	middle := offsets[(len(offsets)-1)/2]
	worst := time.Duration(0)
	for _, m := range x.Members {
		r, ok := x.Clocks[m.Name]
		if !ok {
			continue
		}
		off := (r.Offset - middle).Abs()
		worst = max(worst, off)
		if off-r.Error <= clocksApart {
			continue
		}
		sev := Warning
		if off > clocksFar {
			sev = Critical
		}
		way := "ahead of"
		if r.Offset < middle {
			way = "behind"
		}
		x.add(Finding{ID: "clock-apart", Severity: sev, Node: m.Name, Evidence: fmt.Sprintf("it is %s %s the others (± %s)", round(off), way, round(r.Error))})
	}
	if worst <= clocksApart {
		x.add(Finding{ID: "clock-apart", Severity: OK, Evidence: fmt.Sprintf("%d clocks agree within %s", len(offsets), round(worst))})
	}
}
