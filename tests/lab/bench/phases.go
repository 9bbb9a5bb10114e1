package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/tests/lab"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Phase is one part of a failover's time. Each begins where the one before it ends.
type Phase int

// The phases of a guest's failover.
const (
	Detection Phase = iota // from the cut until the leader calls the node suspect
	Lease                  // until its lease no longer stands in the way: the election of a new leader, or the wait before fencing
	Proof                  // until the node is proven dead
	Decision               // until the guest is assigned, and its new node has verified that
	Rename                 // until its config lies on its new node: /etc/pve blocks while corosync re-forms
	Checks                 // lock, storages, the wait for a slot of parallel_starts, the second look
	Start                  // from Proxmox's start task to the guest's own first line
	phases
)

var phaseNames = [phases]string{"detection", "lease", "proof", "decision", "rename", "checks, slot", "start"}

// String names a phase as the table does.
func (p Phase) String() string { return phaseNames[p] }

// Profile is how long each phase of one guest's failover took.
type Profile [phases]time.Duration

// milestones are the moments at which a guest's phases end, as the daemons logged them and the lab saw them; zero for those that did not
// come, or came while an earlier phase was not over.
type milestones struct {
	leads    time.Time // another node leads, if the victim did
	suspect  time.Time
	fencing  time.Time
	fenced   time.Time
	verified time.Time
	claimed  time.Time
	task     time.Time
	first    time.Time
}

// profile divides the time from the cut to the first line. What ended before its turn cost nothing.
func (m milestones) profile(cut time.Time) Profile {
	var p Profile
	at := cut
	until := func(phase Phase, end time.Time) {
		if end.After(at) {
			p[phase] += end.Sub(at)
			at = end
		}
	}
	until(Lease, m.leads)
	until(Detection, m.suspect)
	until(Lease, m.fencing)
	until(Proof, m.fenced)
	until(Decision, m.verified)
	until(Rename, m.claimed)
	until(Checks, m.task)
	until(Start, m.first)
	return p
}

// profiles reads the logs and the tasks of the survivors for the milestones of one round's guests.
func profiles(l *lab.Lab, mark lab.LogMark, r Round) (map[int]Profile, []lab.Task, error) {
	lines, err := l.LogsSince(mark)
	if err != nil {
		return nil, nil, err
	}
	var starts []lab.Task
	for _, node := range l.Names() {
		tasks, err := l.Tasks(node)
		if err != nil {
			return nil, nil, err
		}
		for _, t := range tasks {
			if node != r.Victim && t.Start.After(r.Cut) && (t.Type == "qmstart" || t.Type == "vzstart") {
				starts = append(starts, t)
			}
		}
	}
	return profilesOf(lines, starts, r), starts, nil
}

func profilesOf(lines []lab.LogLine, starts []lab.Task, r Round) map[int]Profile {
	var common milestones
	guests := map[string]*milestones{}
	for id := range r.Guests {
		guests[fmt.Sprint(id)] = &milestones{}
	}
	slices.SortStableFunc(lines, func(a, b lab.LogLine) int { return a.At.Compare(b.At) })
	for _, line := range lines {
		if line.Node == r.Victim || line.At.Before(r.Cut) {
			continue
		}
		if line.Msg == "this node leads now" && r.Kind == Leader {
			first(&common.leads, line.At)
		}
		if line.Fields["node"] == r.Victim && line.Fields["guest"] == "" {
			common.node(line)
		}
		if m := guests[line.Fields["guest"]]; m != nil && line.Msg == "step done" {
			m.step(line)
		}
	}
	out := map[int]Profile{}
	for id, took := range r.Guests {
		m := guests[fmt.Sprint(id)]
		m.leads, m.suspect, m.fencing, m.fenced = common.leads, common.suspect, common.fencing, common.fenced
		m.first = r.Cut.Add(took)
		for _, t := range starts { // the last one that began before the guest's first line
			if t.VMID == id && t.Start.Before(m.first) {
				m.task = t.Start
			}
		}
		out[id] = m.profile(r.Cut)
	}
	return out
}

// node notes what became of the victim.
func (m *milestones) node(line lab.LogLine) {
	_, to, ok := strings.Cut(line.Msg, " -> ")
	switch {
	case !ok:
	case to == "suspect":
		first(&m.suspect, line.At)
	case to == "fencing":
		first(&m.fencing, line.At)
	case to == "fenced":
		first(&m.fenced, line.At)
	}
}

// step notes a step of the new node's agent: of several the last one, which succeeded.
func (m *milestones) step(line lab.LogLine) {
	switch line.Fields["step"] {
	case "verify":
		first(&m.verified, line.At)
	case "claim":
		m.claimed = line.At
	}
}

func first(at *time.Time, now time.Time) {
	if at.IsZero() {
		*at = now
	}
}

// The floor: how long the same takes by hand on real Proxmox, from the death of a node to the running guest.
var byHand = map[string]time.Duration{"tuned": 2770 * time.Millisecond, "default": 8800 * time.Millisecond}

// phaseTable shows where the milliseconds of these guests went. The shares are of the sum of all guests' times.
func phaseTable(title, corosync string, guests []Profile) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.SetTitle("%s", title)
	t.AppendHeader(table.Row{"phase", "p50 ms", "p95 ms", "share"})
	var sum time.Duration
	var totals []time.Duration
	for _, g := range guests {
		total := time.Duration(0)
		for _, d := range g {
			total += d
		}
		totals, sum = append(totals, total), sum+total
	}
	row := func(name string, values []time.Duration) {
		own := time.Duration(0)
		for _, d := range values {
			own += d
		}
		t.AppendRow(table.Row{name, milliseconds(values, 0.5), milliseconds(values, 0.95), fmt.Sprintf("%.0f %%", 100*float64(own)/float64(max(1, sum)))})
	}
	for p := range phases {
		var values []time.Duration
		for _, g := range guests {
			values = append(values, g[p])
		}
		row(p.String(), values)
	}
	row("all", totals)
	if floor, ok := byHand[corosync]; ok {
		t.AppendSeparator()
		t.AppendRow(table.Row{"by hand", floor.Milliseconds(), "", fmt.Sprintf("p50 %+d ms", (percentile(totals, 0.5) - floor).Milliseconds())})
	}
	return t.Render()
}

func milliseconds(values []time.Duration, share float64) string {
	if len(values) == 0 {
		return "-"
	}
	return fmt.Sprint(percentile(values, share).Milliseconds())
}
