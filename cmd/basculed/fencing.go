package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bascule/config"
	"bascule/fencing"
	"bascule/fencing/methods"
	"bascule/ha"
	"bascule/ha/ladder"
	"bascule/ha/leader"
)

// fencePlans turns the configured devices and levels into the executor's and the ladder's shapes; settings that a method refuses
// are configuration errors with their line.
func fencePlans(cfg *config.Config) ([]fencing.Spec, map[ha.NodeName]ladder.Plan, error) {
	var specs []fencing.Spec
	var problems []config.Problem
	devices := map[string]ladder.Device{}
	all := methods.All()
	for _, d := range cfg.Devices() {
		spec := fencing.Spec{Name: d.Name, Node: d.Node, Method: d.Method, Settings: d.Settings}
		m, ok := all.Find(d.Method)
		if !ok {
			problems = append(problems, d.Problem("method", fmt.Errorf("unknown method %q; there are: %s", d.Method, methodNames(all))))
			continue
		}
		opened, err := all.Open(spec)
		if err != nil {
			problems = append(problems, d.Problem("settings", err))
			continue
		}
		devices[d.Name] = planned(d.Name, m, opened)
		specs = append(specs, spec)
	}
	if len(problems) > 0 {
		return nil, nil, config.Errors(problems)
	}
	plans := map[ha.NodeName]ladder.Plan{}
	for _, m := range cfg.Members {
		plan := ladder.Plan{After: ladder.After(cfg.After(m.Name))}
		for _, level := range cfg.Levels(m.Name) {
			var together []ladder.Device
			for _, name := range level {
				d := devices[name]
				d.Name = name // manual stands in no list
				together = append(together, d)
			}
			plan.Levels = append(plan.Levels, together)
		}
		plans[m.Name] = plan
	}
	return specs, plans, nil
}

// planned is what the ladder has to know of an opened device.
func planned(name string, m fencing.Method, d fencing.Device) ladder.Device {
	p := ladder.Device{Name: name, Kind: m.Kind()}
	if d.Storage != nil {
		p.Storages = d.Storage.Storages()
	}
	if d.Poison != nil {
		p.MsgWait = d.Poison.MsgWait()
	}
	return p
}

func methodNames(all fencing.Methods) string {
	var out []string
	for _, m := range all {
		out = append(out, m.Name)
	}
	return strings.Join(out, ", ")
}

// fenceLimits are the bounds of what the leader switches off on its own.
func fenceLimits(cfg *config.Config) leader.FenceLimits {
	l := leader.FenceLimits{MaxConcurrent: cfg.Fencing.MaxConcurrent, MinHealthy: cfg.Fencing.MinHealthy, PriorityDelay: cfg.Fencing.PriorityDelay}
	counted := cfg.Voters()
	if l.Elsewhere = cfg.External(); l.Elsewhere {
		counted = cfg.Members
	}
	l.Voters = memberNames(counted)
	return l
}

func memberNames(members []ha.Member) (names []ha.NodeName) {
	for _, m := range members {
		names = append(names, m.Name)
	}
	return names
}

// joinEvery is how often this node sees to it that its storage devices know it: a LUN or a path may have appeared, an address changed.
const joinEvery = 10 * time.Second

// watchJoins keeps this node subject to its own storage devices, and publishes by what they know it.
func (p *parts) watchJoins(ctx context.Context) {
	for {
		if p.joiner.Round(ctx, joinEvery, func(device, problem string) { p.agent.Problem("join "+device, problem) }) {
			p.agent.ReportSoon()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(joinEvery):
		}
	}
}
