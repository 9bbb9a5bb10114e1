package sim

import (
	"slices"

	"bascule/ha"
	"bascule/ha/node"
)

// settle waits until no worker of a guest is left here.
func (d *Daemon) settle(f node.Do) (node.Outcome, string) {
	procs, err := d.pve.Find([]ha.GuestRef{{ID: f.Guest, Kind: f.Kind}})
	if err != nil {
		return node.Transient, err.Error()
	}
	for _, p := range procs {
		if p.What == whatWorker {
			return node.Transient, "a worker still runs"
		}
	}
	return node.Done, ""
}

// remains looks for processes of a guest and, for a kill, ends them, workers first.
func (d *Daemon) remains(f node.Do) (node.Outcome, string) {
	procs, err := d.pve.Find([]ha.GuestRef{{ID: f.Guest, Kind: f.Kind}})
	if err != nil {
		return node.Unclean, err.Error()
	}
	if f.Step == node.StepScan {
		if slices.ContainsFunc(procs, func(p Process) bool { return p.What == whatWorker }) {
			return node.Working, "worker left"
		}
		if len(procs) > 0 {
			return node.Unclean, procs[0].What + " left"
		}
		return node.Done, ""
	}
	for _, workers := range []bool{true, false} {
		for _, p := range procs {
			if !workers && f.Step == node.StepAbort {
				continue
			}
			if (p.What == whatWorker) == workers && (!p.Incoming || f.Hard) {
				if err := d.pve.Kill(p.PID); err != nil {
					return node.Unclean, err.Error()
				}
			}
		}
	}
	return node.Done, ""
}
