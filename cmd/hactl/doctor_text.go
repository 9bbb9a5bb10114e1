package main

import (
	"fmt"
	"strings"

	"github.com/fatih/color"

	"bascule/ha/setup/doctor"
)

// doctorText renders a report for people: the gravest first, then the sum.
func doctorText(s *screen, r doctorReport) string {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(findingText(s, f) + "\n")
	}
	return b.String() + doctorSum(s, r)
}

func findingText(s *screen, f doctor.Finding) string {
	var b strings.Builder
	// Padded before colouring, so that wrapped lines stand under the first one.
	mark := s.paint(fmt.Sprintf("%-10s", strings.ToUpper(string(f.Severity))), gradeColour(f.Severity)...)
	b.WriteString(mark + s.bold(f.ID) + "  " + about(f) + "\n")
	b.WriteString(s.wrapped(strings.Repeat(" ", 10), f.Evidence))
	if f.Why != "" {
		b.WriteString(s.wrapped(s.dim(fmt.Sprintf("%10s", "why  ")), f.Why))
	}
	if f.Remedy != "" {
		b.WriteString(s.wrapped(s.bold(fmt.Sprintf("%10s", "do  ")), f.Remedy))
	}
	return b.String()
}

// about is what a finding is about: its subject, and whose it is where the subject does not say.
func about(f doctor.Finding) string {
	if f.Node == "" || strings.Contains(f.Subject, string(f.Node)) {
		return f.Subject
	}
	return f.Subject + " on " + string(f.Node)
}

func gradeColour(sev doctor.Severity) []color.Attribute {
	switch sev {
	case doctor.Critical:
		return []color.Attribute{color.FgRed, color.Bold}
	case doctor.Warning:
		return []color.Attribute{color.FgYellow, color.Bold}
	case doctor.OK:
		return []color.Attribute{color.FgGreen}
	}
	return []color.Attribute{color.FgCyan}
}

// doctorSum says in one line what it comes to.
func doctorSum(s *screen, r doctorReport) string {
	var parts []string
	for _, c := range []struct {
		sev       doctor.Severity
		one, many string
	}{{doctor.Critical, "critical", "critical"}, {doctor.Warning, "warning", "warnings"}, {doctor.Info, "info", "info"}, {doctor.OK, "well", "well"}} {
		n := r.Counts[c.sev]
		if n == 0 && c.sev != doctor.Critical && c.sev != doctor.Warning {
			continue
		}
		word := c.many
		if n == 1 {
			word = c.one
		}
		text := fmt.Sprintf("%d %s", n, word)
		if n > 0 && (c.sev == doctor.Critical || c.sev == doctor.Warning) {
			text = s.paint(text, gradeColour(c.sev)...)
		}
		parts = append(parts, text)
	}
	who := fmt.Sprintf("%d of %d members examined", len(r.Examined), len(r.Examined)+len(r.Silent))
	if r.Local {
		who = "this machine alone examined"
	}
	return fmt.Sprintf("%s in %.1f s: %s.\n", who, r.Took, strings.Join(parts, ", "))
}

// explainText is a finding's page.
func explainText(s *screen, k doctor.Kind) string {
	var grades []string
	for _, g := range k.Grades {
		grades = append(grades, s.paint(string(g), gradeColour(g)...))
	}
	return s.bold(k.ID) + "  " + strings.Join(grades, ", ") + "\n" + s.wrapped("", k.Title+".") +
		s.wrapped(s.dim(fmt.Sprintf("%6s", "why  ")), k.Why+".") + s.wrapped(s.bold(fmt.Sprintf("%6s", "do  ")), k.Do+".")
}
