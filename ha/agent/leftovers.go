package agent

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
	"bascule/ha/node"
)

// settle waits until no worker of a guest is left here.
func (a *Agent) settle(d node.Do) (node.Outcome, string) {
	procs, err := a.cfg.Processes.Find([]ha.GuestRef{{ID: d.Guest, Kind: d.Kind}})
	if err != nil {
		return node.Transient, err.Error()
	}
	for _, p := range procs {
		if p.What == "worker" {
			return node.Transient, fmt.Sprintf("worker %d still runs", p.PID)
		}
	}
	return node.Done, ""
}

// remains looks for processes of a guest and, for a kill, ends them; workers first, or they start it again. An abort ends only workers.
func (a *Agent) remains(d node.Do) (node.Outcome, string) {
	procs, err := a.cfg.Processes.Find([]ha.GuestRef{{ID: d.Guest, Kind: d.Kind}})
	if err != nil {
		return node.Unclean, err.Error()
	}
	if d.Step == node.StepScan {
		if slices.ContainsFunc(procs, func(p Process) bool { return p.What == "worker" }) {
			return node.Working, "a Proxmox worker of " + d.Kind.Label(d.Guest) + " still runs"
		}
		if len(procs) > 0 {
			return node.Unclean, fmt.Sprintf("%d processes of %s are left, first PID %d (%s)", len(procs), d.Kind.Label(d.Guest), procs[0].PID, procs[0].What)
		}
		if a.cfg.Storages != nil {
			if held := a.cfg.Storages.Held(d.Guest); len(held) > 0 {
				return node.Unclean, fmt.Sprintf("a file system of %s is still mounted in this node's kernel: %s", d.Kind.Label(d.Guest), strings.Join(held, ", "))
			}
		}
		return node.Done, ""
	}
	for _, workers := range []bool{true, false} {
		for _, p := range procs {
			if !workers && d.Step == node.StepAbort {
				continue
			}
			if (p.What == "worker") == workers && (!p.Incoming || d.Hard) {
				if err := a.cfg.Processes.Kill(p); err != nil {
					return node.Unclean, err.Error()
				}
			}
		}
	}
	return node.Done, ""
}
