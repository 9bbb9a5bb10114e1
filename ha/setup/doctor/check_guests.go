package doctor

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// guests: what stands against protecting a guest.
var guests = check{
	kinds: []Kind{
		{ID: "guest-onboot", Grades: []Severity{Warning}, Title: "Proxmox would start a protected guest at boot",
			Why: "a node that comes back would start it while it runs elsewhere; the boot check then lets Proxmox start no guest at all",
			Do:  "wait: protecting a guest sets it within seconds. If it stays: Options, \"Start at boot\": No, or qm set ID --onboot 0 (pct set)"},
		{ID: "guest-two-stacks", Grades: []Severity{Warning}, Title: "A guest is in both HA stacks",
			Why: "Proxmox's own HA manages it, so Bascule leaves it alone: two managers would start it twice",
			Do:  "let one of the two have it: ha-manager remove vm:ID (ct:ID), or do not select it for Bascule (tag, pool, vmids)"},
		{ID: "guest-cannot-move", Grades: []Severity{Warning}, Title: "A protected guest could not be recovered elsewhere",
			Why: "if its node died, it would stay down until the node is back",
			Do:  "move its disks to shared storage or replicate them (pvesr), remove passed-through devices, make the missing storage active elsewhere"},
	},
	run: func(x *exam) {
		managed := map[ha.VMID]bool{}
		for _, f := range x.agents() {
			if f.Inventory != nil {
				for _, id := range f.Inventory.Managed {
					managed[id] = true
				}
			}
		}
		for _, f := range x.agents() {
			if f.Inventory == nil {
				continue
			}
			for _, g := range f.Inventory.Guests {
				x.guest(f, g, managed[g.ID])
			}
		}
	},
}

func (x *exam) guest(f Facts, g ha.GuestSeen, managed bool) {
	subject := g.Kind.Label(g.ID)
	if (g.Protected || g.Refused != "") && managed {
		x.add(Finding{ID: "guest-two-stacks", Severity: Warning, Node: f.Node, Subject: subject, Evidence: fmt.Sprintf("selected for Bascule, and in /etc/pve/ha/resources.cfg%s", name(g))})
	}
	if !g.Protected {
		return
	}
	if g.Onboot {
		x.add(Finding{ID: "guest-onboot", Severity: Warning, Node: f.Node, Subject: subject, Evidence: fmt.Sprintf("onboot: 1 in its configuration on %s%s", f.Node, name(g))})
	}
	if why := x.stuck(f, g); why != "" {
		x.add(Finding{ID: "guest-cannot-move", Severity: Warning, Node: f.Node, Subject: subject, Evidence: why + name(g)})
	}
}

func name(g ha.GuestSeen) string {
	if g.Name == "" {
		return ""
	}
	return " (" + g.Name + ")"
}

// stuck is why a guest could run on no other node however empty these were, in placement's words; "" when it could, or when nothing is known
// of any other node.
func (x *exam) stuck(f Facts, g ha.GuestSeen) string {
	nodes := x.candidates(f.Node)
	if len(nodes) == 0 {
		return ""
	}
	for i := range nodes {
		nodes[i].MemoryFree = x.Facts[nodes[i].Node].Inventory.Memory
	}
	p := place(g, f.Node, nodes)
	if p.Node != "" {
		return ""
	}
	if g.Pinned != "" {
		return "it is tied to " + string(f.Node) + ": " + g.Pinned
	}
	return rejections(p.Rejected)
}

// rejections words why no node was good enough; nodes with the same reason stand together.
func rejections(all []ha.Rejection) string {
	var reasons, parts []string
	by := map[string][]ha.NodeName{}
	for _, r := range all {
		if !slices.Contains(reasons, r.Why) {
			reasons = append(reasons, r.Why)
		}
		by[r.Why] = append(by[r.Why], r.Node)
	}
	for _, why := range reasons {
		parts = append(parts, words(by[why])+": "+why)
	}
	return strings.Join(parts, "; ")
}
