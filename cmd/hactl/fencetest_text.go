package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/fatih/color"

	"bascule/ha"
	"bascule/ha/api"
)

// fenceTestText renders a fence test for people: per node what it comes to and each step, then the sum and who looked.
func fenceTestText(s *screen, t api.FenceTest) string {
	var b strings.Builder
	for _, n := range t.Nodes {
		b.WriteString(s.bold(string(n.Node)) + "  " + s.paint(string(n.State), nodeColour(n.State)...) + "\n")
		mark := s.paint("PROVABLE  ", color.FgGreen, color.Bold)
		switch {
		case n.Busy():
			mark = s.paint("NOT ASKED ", color.FgYellow, color.Bold)
		case !n.Provable:
			mark = s.paint("NO DEVICE ", color.FgRed, color.Bold)
		}
		b.WriteString(s.wrapped(mark, n.Verdict))
		b.WriteString(stepsText(s, n) + "\n")
	}
	b.WriteString(sumText(s, t))
	return b.String()
}

func stepsText(s *screen, n api.FenceTestNode) string {
	t := newTable(s, "LEVEL", "DEVICE", "WOULD", "PROOF", "TOOK", "NOW")
	for i, level := range n.Levels {
		for _, d := range level {
			took := "-"
			switch {
			case d.Took >= 1000:
				took = api.Seconds(float64(d.Took) / 1000)
			case d.Read:
				took = fmt.Sprintf("%d ms", d.Took)
			}
			t.row(fmt.Sprint(i+1), d.Name, d.Would, deviceProof(s, n, d), took, deviceNote(n.Node, d))
		}
	}
	self := n.SelfFence
	note := self.Why
	if self.Armed {
		note = fmt.Sprintf("armed (%s); proven %s after its lease has ended", self.Watchdog, api.Seconds(self.After))
	}
	t.row("beside", "watchdog", "self-fence", proofWord(s, ha.SelfFenceElapsed, self.Armed), "-", note)
	return t.render()
}

// proofWord is the proof that a step would give today.
func proofWord(s *screen, p ha.ProofKind, usable bool) string {
	if !usable {
		return s.paint("none", color.FgRed, color.Bold)
	}
	return s.paint(string(p), color.FgGreen)
}

// deviceProof is proofWord for a device; of one that was left alone nothing is known.
func deviceProof(s *screen, n api.FenceTestNode, d api.FenceTestDevice) string {
	if n.Busy() && d.Kind != ha.ManualDevice {
		return s.paint("not known", color.FgYellow)
	}
	return proofWord(s, d.Proof, d.Usable)
}

// deviceNote is what a device says now, and what stands in the way.
func deviceNote(node ha.NodeName, d api.FenceTestDevice) string {
	var parts []string
	if d.Answer != "" {
		parts = append(parts, d.Answer)
	}
	if d.Problem != "" && d.Problem != d.Why {
		parts = append(parts, d.Problem)
	}
	switch {
	case d.Why != "":
		parts = append(parts, d.Why)
	case d.Kind == ha.ManualDevice:
		parts = append(parts, fmt.Sprintf("a person looks, then hactl confirm-off %s", node))
	case d.Kind == ha.ResetDevice:
		parts = append(parts, "proven when it has booted and registers again")
	case d.After > 0:
		parts = append(parts, fmt.Sprintf("proven %s after the message is read back", api.Seconds(d.After)))
	}
	return strings.Join(parts, "; ")
}

// sumText says how many nodes could be proven off, and what the test cannot say.
func sumText(s *screen, t api.FenceTest) string {
	var not []string
	own := false
	for _, n := range t.Nodes {
		if !n.Provable {
			not = append(not, string(n.Node))
		}
		own = own || n.Node == t.Node
	}
	sum := s.paint(fmt.Sprintf("All %d nodes could be proven off by a device today.", len(t.Nodes)), color.FgGreen, color.Bold)
	switch {
	case len(t.Nodes) == 0:
		sum = "There is no node to test."
	case len(t.Nodes) == 1: // it stands just above
		sum = ""
	case len(not) > 0:
		sum = s.paint("Not shown to be provable by a device today: "+strings.Join(not, ", "), color.FgRed, color.Bold)
	}
	if sum != "" {
		sum += "\n"
	}
	who := fmt.Sprintf("Nothing was switched. Read by %s at %s", t.Node, t.At.Format("15:04:05 UTC"))
	if t.Leader != "" && t.Leader != t.Node {
		who += fmt.Sprintf("; %s leads and would use the devices: what it can reach may differ", t.Leader)
	}
	if own {
		who += fmt.Sprintf("; the devices of %s by itself, though another node would use them", t.Node)
	}
	sum += s.wrapped("", who+". To ask from another node: hactl fence test --node ADDRESS.")
	if age := time.Duration(t.SnapshotAge * float64(time.Second)); age > 10*time.Second {
		sum += s.paint(s.wrapped("", fmt.Sprintf("The records behind it are %s old: nothing newer is known while the store is away.", api.Ago(age))), color.FgYellow)
	}
	return sum
}
