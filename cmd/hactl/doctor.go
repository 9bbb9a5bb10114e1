package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/setup/doctor"
)

// Exit codes of hactl doctor, for monitoring.
const (
	exitWarnings    = 1
	exitCritical    = 2
	exitNotExamined = 3
)

// doctorFlags are hactl doctor's own.
type doctorFlags struct {
	severity  string
	local     bool
	config    string
	noFencing bool
}

func newDoctor(h *hactl) *cobra.Command {
	f := &doctorFlags{}
	cmd := &cobra.Command{
		Use:   "doctor [NODE]",
		Short: "Find what is weak before it matters",
		Long: "Has every member look at itself and at its way to the others (disk, clock, ports, certificates, watchdog, Proxmox, fencing devices), and says\n" +
			"what is weak, why that matters and what to do. Nothing is changed or switched. With NODE only what concerns that node is shown.\n\n" +
			"The other members are asked over TLS with this machine's certificate. Without a running basculed, --local looks at this machine alone.\n\n" +
			"Exit code: 0 nothing above info, 1 warnings, 2 critical, 3 it could not be examined. It takes some seconds, at most half a minute and the time of\n" +
			"the fencing devices; in monitoring, once an hour is plenty. Each finding: hactl doctor explain ID, or docs/findings.md.",
		RunE: func(cmd *cobra.Command, args []string) error { return h.doctor(cmd, f, args) },
	}
	h.nodeArgs(cmd, cobra.MaximumNArgs(1))
	cmd.Flags().StringVar(&f.severity, "severity", string(doctor.Info), "show findings of at least this `SEVERITY`: ok, info, warning, critical")
	cmd.Flags().BoolVar(&f.local, "local", false, "look at this machine only, without asking a basculed")
	cmd.Flags().StringVar(&f.config, "config", config.DefaultPath, "with --local: basculed's configuration `FILE`")
	cmd.Flags().BoolVar(&f.noFencing, "no-fencing", false, "leave the fencing devices alone")
	cmd.AddCommand(newExplainFinding(h))
	return cmd
}

func newExplainFinding(h *hactl) *cobra.Command {
	return &cobra.Command{
		Use: "explain ID", Short: "Say what a finding means and what to do about it", Args: usageArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, k := range doctor.Kinds() {
				ids = append(ids, k.ID+"\t"+k.Title)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			k, ok := doctor.Explain(args[0])
			if !ok {
				return usagef("no finding has the id %q; hactl doctor shows ids, and docs/findings.md lists them all", args[0])
			}
			if done, err := h.structured(k, false); done {
				return err
			}
			_, err := io.WriteString(h.out, explainText(h.out, k))
			return err
		},
	}
}

// doctorReport is what hactl doctor -o json prints.
type doctorReport struct {
	At       time.Time               `json:"at"`
	Local    bool                    `json:"local,omitempty"`
	Examined []ha.NodeName           `json:"examined"`
	Silent   map[ha.NodeName]string  `json:"not_examined,omitempty"`
	Took     float64                 `json:"took_seconds"`
	Worst    doctor.Severity         `json:"worst"`
	Counts   map[doctor.Severity]int `json:"counts"`
	Findings []doctor.Finding        `json:"findings"` // those that were asked for, the gravest first
}

// doctor examines and shows.
func (h *hactl) doctor(cmd *cobra.Command, f *doctorFlags, args []string) error {
	least := doctor.Severity(f.severity)
	if !slices.Contains(doctor.Severities(), least) {
		return usagef("--severity %s: the severities are ok, info, warning and critical", f.severity)
	}
	if !cmd.Flags().Changed("timeout") { // probes take their time
		h.timeout = max(h.timeout, api.DoctorLimit+5*time.Second)
	}
	began := time.Now()
	cluster, err := h.gather(cmd.Context(), f)
	if err != nil {
		return notExamined(err)
	}
	r := doctorReport{At: began.UTC(), Local: f.local, Silent: cluster.Silent, Counts: map[doctor.Severity]int{}, Findings: []doctor.Finding{}}
	for _, m := range cluster.Members {
		if _, ok := cluster.Facts[m.Name]; ok {
			r.Examined = append(r.Examined, m.Name)
		}
	}
	all := doctor.Examine(cluster)
	if len(args) > 0 {
		node := ha.NodeName(args[0])
		if !slices.ContainsFunc(cluster.Members, func(m ha.Member) bool { return m.Name == node }) {
			return &exitError{exitNotExamined, fmt.Sprintf("no member is called %q", node)}
		}
		all = slices.DeleteFunc(all, func(x doctor.Finding) bool { return x.Node != node })
	}
	r.Took, r.Worst = time.Since(began).Seconds(), doctor.Worst(all)
	for _, x := range all {
		r.Counts[x.Severity]++
		if x.Severity.AtLeast(least) {
			r.Findings = append(r.Findings, x)
		}
	}
	if done, err := h.structured(r, false); err != nil {
		return err
	} else if !done {
		if _, err := io.WriteString(h.out, doctorText(h.out, r)); err != nil {
			return err
		}
	}
	switch r.Worst {
	case doctor.Critical:
		return &exitError{code: exitCritical}
	case doctor.Warning:
		return &exitError{code: exitWarnings}
	}
	return nil
}

// notExamined ends hactl with the code that says that nothing is known; wrong usage stays wrong usage.
func notExamined(err error) error {
	var refused *api.Error
	var ended *exitError
	switch {
	case errors.As(err, &ended):
		return err
	case errors.As(err, &refused):
		return &exitError{exitNotExamined, strings.TrimSuffix(refused.Message+": "+refused.Do, ": ")}
	case errors.Is(err, api.ErrNoAnswer):
		return &exitError{exitNotExamined, err.Error() + "; hactl doctor --local looks at this machine without it"}
	case errors.Is(err, context.Canceled):
		return err
	}
	return &exitError{exitNotExamined, err.Error()}
}
