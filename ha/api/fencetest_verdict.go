package api

import (
	"fmt"
	"strconv"

	"bascule/ha"
)

// judge sums a node up from its levels: whether a device could prove it off today, and how it would go, in one sentence.
func (n *FenceTestNode) judge() {
	best, storages, resets, broken := "", "", []string{}, []string{}
	for _, level := range n.Levels {
		reached := best == "" // a level after the one that proves it is not
		if how := complete(level); how != "" && reached {
			best = how
		}
		for _, d := range level {
			switch {
			case d.Kind == ha.ManualDevice:
			case !d.Usable:
				broken = append(broken, d.Name)
			case d.Kind == ha.ResetDevice && reached:
				resets = append(resets, d.Name)
			case d.Proof == ha.StorageRevoked && storages == "" && reached:
				storages = fmt.Sprintf("guests with all their disks on %s would be free as soon as %s reads them revoked (StorageRevoked)", list(d.Storages), d.Name)
			}
		}
	}
	n.Provable = best != "" || len(resets) > 0
	defer func() {
		if n.State == ha.NodeFenced {
			n.Verdict = fmt.Sprintf("%s is fenced: this boot's end is proven already. Were it not: %s", n.Node, n.Verdict)
		}
	}()
	switch {
	case n.Incarnation == "":
		n.Verdict = fmt.Sprintf("%s has never registered: there is nothing to prove about it yet", n.Node)
	case n.Busy():
		n.Verdict = fmt.Sprintf("%s is %s: its devices are left to the leader, which needs them now; hactl status shows what they say", n.Node, n.State)
	case n.Provable:
		n.Verdict = fmt.Sprintf("%s would be proven off by %s", n.Node, best)
		if best == "" {
			n.Verdict = fmt.Sprintf("%s would be reset by %s, and proven ended by its next boot (NewBoot) if it comes up again", n.Node, list(resets))
		}
		if storages != "" {
			n.Verdict += "; " + storages
		}
		n.Verdict += "; without it by " + n.otherwise()
	case n.SelfFence.Armed:
		n.Verdict = fmt.Sprintf("no device could prove %s off%s; it would be proven ended by %s", n.Node, because(broken), n.otherwise())
		if storages != "" {
			n.Verdict += "; " + storages
		}
	default:
		n.Verdict = fmt.Sprintf("nothing could prove %s's end%s: its guests would wait for %s", n.Node, because(broken), n.otherwise())
		if storages != "" {
			n.Verdict += "; but " + storages
		}
	}
}

// Busy says whether the leader needs the node's devices now, so that a test leaves them alone.
func (n *FenceTestNode) Busy() bool { return n.State == ha.NodeSuspect || n.State == ha.NodeFencing }

// complete says by what a level would prove the whole node off, "" when it could not.
func complete(level []FenceTestDevice) string {
	for _, kind := range []ha.DeviceKind{ha.PowerDevice, ha.PoisonDevice} {
		var names []string
		how, all, wait := "", true, 0.0
		for _, d := range level {
			if d.Kind == kind {
				names, how = append(names, d.Name), string(d.Proof)
				all, wait = all && d.Usable, max(wait, d.After)
			}
		}
		if !all || len(names) == 0 {
			continue
		}
		if wait > 0 {
			how += ", " + Seconds(wait) + " after its message is read back"
		}
		if len(names) > 1 {
			how = "all of them; " + how
		}
		return fmt.Sprintf("%s (%s)", list(names), how)
	}
	return ""
}

// otherwise is what proves the node's end without a device.
func (n *FenceTestNode) otherwise() string {
	if n.SelfFence.Armed {
		return fmt.Sprintf("its own watchdog %s after its lease has ended", Seconds(n.SelfFence.After))
	}
	return fmt.Sprintf("a person only (hactl confirm-off %s), or its next boot", n.Node)
}

func because(broken []string) string {
	if len(broken) == 0 {
		return ""
	}
	return " today (" + list(broken) + " could not)"
}

// Seconds words seconds as people read them, with at most one decimal: "14.5 s", "20 s".
func Seconds(s float64) string {
	return strconv.FormatFloat(float64(int(s*10+0.5))/10, 'f', -1, 64) + " s"
}
