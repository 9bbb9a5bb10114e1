package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"bascule/ha"
	"bascule/ha/journal"
	"bascule/ha/leader"
	"bascule/ha/node"
)

// heading names the machine that an entry is about.
func heading(e *journal.Entry) string {
	if e.Round != nil {
		return fmt.Sprintf("term %d", e.Round.Observation.Term)
	}
	return "node"
}

// didSomething says whether an entry is worth a line: a lease's renewals are not.
func didSomething(e *journal.Entry) bool {
	if e.Round != nil {
		return len(e.Round.Decision.Commits)+len(e.Round.Decision.Reads) > 0
	}
	for _, f := range e.Step.Effects {
		switch f.(type) {
		case node.Renew, node.Permit:
		default:
			return true
		}
	}
	return false
}

// entryText is what an entry did, a line for each.
func entryText(e *journal.Entry) []string {
	if e.Round != nil {
		return decisionText(e.Round.Decision)
	}
	var did []string
	for _, f := range e.Step.Effects {
		did = append(did, effectText(f))
	}
	if len(did) == 0 {
		return []string{happened(e.Step.Event) + " → nothing to do"}
	}
	return []string{happened(e.Step.Event) + " → " + strings.Join(did, "; ")}
}

func decisionText(d leader.Decision) []string {
	var out []string
	for _, c := range d.Commits {
		for _, t := range c.Transitions {
			out = append(out, fmt.Sprintf("%s: %s → %s: %s", t.Subject, orNone(t.From), t.To, t.Reason))
		}
		for _, cmd := range c.Commands {
			out = append(out, fmt.Sprintf("node %s: sends %q to %s", cmd.Node, cmd.Action, cmd.Device))
		}
		for _, id := range c.Revoke {
			out = append(out, fmt.Sprintf("%s: revoke lease %d", c.Subject, id))
		}
		if len(c.Transitions)+len(c.Commands)+len(c.Revoke) == 0 {
			out = append(out, "writes "+strings.Join(keysOf(c.Txn), ", "))
		}
	}
	var reads []string
	for _, r := range d.Reads {
		reads = append(reads, r.Device)
	}
	if len(reads) > 0 {
		out = append(out, "reads "+strings.Join(reads, ", "))
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "(new)"
	}
	return s
}

// keysOf lists what a transaction changes.
func keysOf(t ha.Txn) []string {
	var out []string
	for _, p := range t.Puts {
		out = append(out, p.Key)
	}
	for _, k := range t.Dels {
		out = append(out, k+" (removed)")
	}
	return out
}

// happened is an event of the machine; what has much to say is named only (--print shows it).
func happened(e node.Event) string {
	switch e := e.(type) {
	case node.View:
		return fmt.Sprintf("View of %d guests", len(e.Records))
	case node.Looked:
		return fmt.Sprintf("Looked at %d guests here", len(e.Guests))
	case node.StepDone:
		return strings.TrimSuffix(fmt.Sprintf("guest %d: %s %s: %s", e.Guest, e.Step, e.Outcome, e.Message), ": ")
	}
	return plainText(e)
}

func effectText(f node.Effect) string {
	switch f := f.(type) {
	case node.Do:
		return fmt.Sprintf("%s: %s (generation %d)", f.Kind.Label(f.Guest), f.Step, f.Record.Generation)
	case node.Report:
		return strings.TrimSuffix(fmt.Sprintf("report guest %d %s: %s", f.Report.Guest, f.Report.Phase, f.Report.Message), ": ")
	}
	return plainText(f)
}

// plainText is a value of any type with its fields as JSON.
func plainText(v any) string {
	b, err := json.Marshal(v)
	var fields map[string]any
	if err != nil || json.Unmarshal(b, &fields) != nil || len(fields) == 0 {
		return journal.Name(v)
	}
	return journal.Name(v) + " " + string(b)
}

func differenceText(d *journal.Difference) string {
	return fmt.Sprintf("DIFFERENT: %s: recorded %s, replayed %s", d.Field, d.Recorded, d.Replayed)
}
