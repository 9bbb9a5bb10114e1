package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/fatih/color"

	"bascule/ha"
	"bascule/ha/api"
)

// statusText renders a status for people: head, nodes, guests, then what is wrong and what to do.
func statusText(s *screen, st api.Status) string {
	return head(s, st) + "\n" + nodesText(s, st) + "\n" + guestsText(s, st) + "\n" + storagesText(s, st) + problemsText(s, st)
}

func head(s *screen, st api.Status) string {
	leader := s.paint("none", color.FgRed, color.Bold)
	if st.Leader != "" {
		leader = fmt.Sprintf("%s, term %d", st.Leader, st.Term)
	}
	label := func(l string) string { return s.dim(fmt.Sprintf("%-9s", l)) }
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s  %s   leader: %s\n", label("Cluster"), s.bold(st.Cluster), s.paint(string(st.Health), healthColour(st.Health)...), leader)
	b.WriteString(s.wrapped(label("Store"), storeLine(st.Etcd)))
	b.WriteString(s.wrapped(label("Proxmox"), quorumLine(st)))
	seen := fmt.Sprintf("%s, basculed %s, %s", st.Node, st.Version, st.At.Format("2006-01-02 15:04:05 UTC"))
	b.WriteString(s.wrapped(label("Seen by"), seen))
	if age := time.Duration(st.SnapshotAge * float64(time.Second)); age > 10*time.Second {
		b.WriteString(s.paint(s.wrapped(fmt.Sprintf("%-9s", ""), fmt.Sprintf("The states below are %s old: nothing newer is known while the store is away.", api.Ago(age))), color.FgYellow))
	}
	return b.String()
}

func storeLine(e api.Etcd) string {
	who := "voters"
	if e.External {
		who = "endpoints of the external etcd"
	}
	line := fmt.Sprintf("%d of %d %s answer", len(e.Answering), len(e.Voters), who)
	if len(e.Voters) > 0 && len(e.Answering) == len(e.Voters) {
		line = fmt.Sprintf("all %d %s answer", len(e.Voters), who)
	}
	if len(e.Answering) > 0 {
		line += " (" + strings.Join(e.Answering, " ") + ")"
	}
	if e.RaftLeader != "" {
		line += ", raft leader " + e.RaftLeader
	}
	if !e.Available {
		line = "AWAY: " + line
	}
	return line
}

func quorumLine(st api.Status) string {
	var online []string
	for _, n := range st.Quorum.Online {
		online = append(online, string(n))
	}
	switch {
	case !st.Quorum.Known:
		return "quorum not known"
	case st.Quorum.Quorate:
		return "quorate, online: " + strings.Join(online, " ")
	}
	return "NO QUORUM, online: " + strings.Join(online, " ")
}

func nodesText(s *screen, st api.Status) string {
	t := newTable(s, "NODE", "STATE", "SINCE", "GUESTS", "MEMORY", "FENCING", "WATCHDOG", "NOTE")
	for _, n := range st.Nodes {
		mark := ""
		if n.Name == st.Leader {
			mark = s.dim("*")
		}
		guests, memory := fmt.Sprint(n.Guests), fmt.Sprintf("%s/%s", gib(n.MemoryUsed), gib(n.Memory))
		if n.Witness || n.State == api.StateUnknown {
			guests, memory = "-", "-"
		}
		t.row(s.bold(string(n.Name))+mark, s.paint(string(n.State), nodeColour(n.State)...), ago(st.At, n.Since), guests, memory, powerWord(s, n), watchdogWord(s, n), nodeNote(n))
	}
	return t.render()
}

func powerWord(s *screen, n api.Node) string {
	switch {
	case n.Witness, n.State == ha.NodeFenced, n.State == ha.NodeOffline, n.State == api.StateUnknown:
		return "-"
	case n.State == ha.NodeFencing:
		return s.paint("in use", color.FgYellow)
	case len(n.Power) == 0:
		return s.paint("none", color.FgYellow)
	}
	bad := 0
	for _, d := range n.Power {
		if !d.Ready {
			bad++
		}
	}
	switch {
	case bad == 0:
		return s.paint("ready", color.FgGreen)
	case len(n.Power) == 1:
		return s.paint("NOT READY", color.FgRed, color.Bold)
	}
	return s.paint(fmt.Sprintf("%d of %d ready", len(n.Power)-bad, len(n.Power)), color.FgRed, color.Bold)
}

// watchdogWord is a node's watchdog driver and whether it is armed: only then can it prove that the node has ended itself.
func watchdogWord(s *screen, n api.Node) string {
	switch {
	case n.Witness, n.State == api.StateUnknown, n.State == ha.NodeFenced, n.State == ha.NodeOffline:
		return "-"
	case n.Watchdog == "":
		return s.paint("none", color.FgYellow)
	case n.Armed:
		return s.paint(n.Watchdog+" armed", color.FgGreen)
	}
	return s.paint(n.Watchdog+" NOT ARMED", color.FgRed, color.Bold)
}

// nodeNote is the reason of every state that is not plainly well, and what gossip says against it.
func nodeNote(n api.Node) string {
	var notes []string
	if n.Witness {
		notes = append(notes, "witness")
	}
	if n.State != ha.NodeOnline {
		notes = append(notes, n.Reason)
	}
	if n.State == ha.NodeOnline && n.Gossip == "silent" {
		notes = append(notes, "gossip hears nothing of it")
	}
	return strings.Join(notes, "; ")
}

func guestsText(s *screen, st api.Status) string {
	if st.Health == api.HealthUnknown {
		return "Guests are not known yet.\n"
	}
	if len(st.Guests) == 0 {
		return "No protected guests.\n"
	}
	t := newTable(s, "GUEST", "NAME", "STATE", "NODE", "SINCE", "NOTE")
	for _, g := range st.Guests {
		where := string(g.Node)
		if g.Target != "" {
			where += " → " + string(g.Target)
		}
		t.row(s.bold(g.Kind.Label(g.VMID)), g.Name, s.paint(string(g.State), guestColour(g.State)...), where, ago(st.At, g.Since), guestNote(g))
	}
	return t.render()
}

func guestNote(g api.Guest) string {
	switch {
	case g.State != ha.GuestStarted && g.State != ha.GuestStopped:
		return g.Reason
	case api.CannotMove(g) != "":
		return g.Reason
	case g.Pinned != "":
		return "pinned: " + g.Pinned
	case g.State == ha.GuestStopped && g.Requested != ha.RequestedStopped:
		return g.Reason
	}
	return ""
}

func problemsText(s *screen, st api.Status) string {
	if len(st.Problems) == 0 {
		return s.paint("All is well.", color.FgGreen, color.Bold) + "\n"
	}
	var b strings.Builder
	for i, p := range st.Problems {
		if i > 0 {
			b.WriteString("\n")
		}
		// Padded before colouring, so that wrapped lines stand under the first one.
		b.WriteString(s.wrapped(s.paint(fmt.Sprintf("%-10s", strings.ToUpper(string(p.Severity))), severityColour(p.Severity)...), headline(p)))
		if p.Why != "" {
			b.WriteString(s.wrapped(s.dim(fmt.Sprintf("%10s", "why  ")), p.Why))
		}
		if p.Do != "" {
			b.WriteString(s.wrapped(s.bold(fmt.Sprintf("%10s", "do  ")), p.Do))
		}
	}
	return b.String()
}

// headline is what is wrong, after its subject where the text does not name it.
func headline(p api.Problem) string {
	if _, name, _ := strings.Cut(p.Subject, " "); name != "" && strings.Contains(p.What, name) || strings.Contains(p.What, p.Subject) {
		return p.What
	}
	return p.Subject + ": " + p.What
}

// ago is a relative time by the answering node's clock.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return api.Ago(now.Sub(t))
}

// gib words bytes in GiB with at most one decimal: "16G", "1.5G".
func gib(b int64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(b)/(1<<30)), ".0") + "G"
}
