package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// recoveryGrace is how long a guest may look for a place before that is a problem.
const recoveryGrace = 5 * time.Second

// guests tells of guests that do not run as they should, and of those that would not be recovered.
func (f *finder) guests() {
	frozen := map[string][]string{}
	var reasons, pinned, refused []string
	for _, g := range f.s.Guests {
		switch {
		case g.State == ha.GuestError:
			f.about("guest-error").failed(g)
		case g.State == ha.GuestRecovery:
			f.about("guest-recovery").inRecovery(g)
		case g.State == ha.GuestFrozen:
			if !slices.Contains(reasons, g.Reason) {
				reasons = append(reasons, g.Reason)
			}
			frozen[g.Reason] = append(frozen[g.Reason], guestName(g))
		case g.State == ha.GuestUnprotected:
			if g.Reason != "" && !strings.Contains(g.Reason, "template") {
				refused = append(refused, guestName(g)+": "+g.Reason)
			}
		case g.Pinned != "" && (g.State == ha.GuestFence || g.State == ha.GuestStarted):
			if !f.about("guest-pinned").pinnedDown(g) {
				pinned = append(pinned, fmt.Sprintf("%s on %s: %s", guestName(g), g.Node, g.Pinned))
			}
		}
	}
	for _, r := range reasons {
		f.about("guest-frozen").add(Warning, subjectOf(frozen[r]), fmt.Sprintf("%s frozen: nothing is done to them now", count(len(frozen[r]))), joined(r, bounded(frozen[r])),
			frozenDo(r))
	}
	if len(refused) > 0 {
		f.about("guest-refused").add(Warning, "guests", fmt.Sprintf("%s selected but not protected", count(len(refused))), bounded(refused),
			"remove what stands against it (for guests of Proxmox's own HA: ha-manager remove vm:ID), or do not select them")
	}
	if len(pinned) > 0 {
		f.about("guest-pinned").add(Info, "guests", fmt.Sprintf("%s could not be recovered if their node died", count(len(pinned))), bounded(pinned),
			"move their disks to shared storage or replicate them (pvesr), and remove passed-through devices")
	}
}

func guestName(g Guest) string {
	if g.Name == "" {
		return g.Kind.Label(g.VMID)
	}
	return fmt.Sprintf("%s (%s)", g.Kind.Label(g.VMID), g.Name)
}

func subjectOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return "guests"
}

func frozenDo(reason string) string {
	if strings.Contains(reason, "resources.cfg") || strings.Contains(reason, "Proxmox HA") || strings.Contains(reason, "Proxmox's HA") {
		return "let one of the two manage them: ha-manager remove vm:ID, or do not select them for Bascule"
	}
	return ""
}

// failed tells of a guest that was given up, in the words of the Proxmox task that failed.
func (f *finder) failed(g Guest) {
	var said []string
	for _, n := range f.s.Nodes {
		r, ok := f.v.Snapshot.GuestReports[n.Name][g.VMID]
		if ok && r.Rec.Phase == ha.PhaseFailed && r.Rec.Message != "" && !strings.Contains(g.Reason, r.Rec.Message) {
			said = append(said, fmt.Sprintf("%s said: %s", n.Name, r.Rec.Message))
		}
	}
	f.add(Critical, guestName(g), fmt.Sprintf("%s does not run: given up%s", guestName(g), f.since(g.Since)), joined(g.Reason, bounded(said)),
		fmt.Sprintf("repair what Proxmox names above, then start it on %s: %s start %d", g.Node, g.Kind.Tool(), g.VMID))
}

// inRecovery tells of a guest that is free to run elsewhere and finds no place.
func (f *finder) inRecovery(g Guest) {
	if f.v.Wall.Sub(g.Since) < recoveryGrace {
		f.add(Warning, guestName(g), guestName(g)+" is being recovered", g.Reason, "wait: it gets its place within seconds")
		return
	}
	why, do := g.Reason, "make room for it (memory, an active storage, a quorate node), or bring "+string(g.Node)+" back"
	if g.Pinned != "" {
		why, do = joined(g.Reason, "it is pinned: "+g.Pinned), "bring "+string(g.Node)+" back, or restore the guest from its backup"
	}
	f.add(Critical, guestName(g), fmt.Sprintf("%s does not run: no place for it%s", guestName(g), f.since(g.Since)), why, do)
}

// pinnedDown tells of a pinned guest whose node is dead: it is down and stays down.
func (f *finder) pinnedDown(g Guest) bool {
	i := slices.IndexFunc(f.s.Nodes, func(n Node) bool { return n.Name == g.Node })
	if i < 0 || (f.s.Nodes[i].State != ha.NodeFenced && f.s.Nodes[i].State != ha.NodeFencing) {
		return false
	}
	f.add(Critical, guestName(g), fmt.Sprintf("%s does not run and cannot be recovered elsewhere", guestName(g)),
		fmt.Sprintf("its node %s is %s and it is pinned there: %s", g.Node, f.s.Nodes[i].State, g.Pinned),
		fmt.Sprintf("bring %s back, or restore the guest from its backup", g.Node))
	return true
}
