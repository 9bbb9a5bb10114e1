package doctor

import (
	"fmt"
	"strings"
)

const softdog = "softdog" // the kernel's own watchdog, as records name it

// watchdogs: what ends a node that nobody reaches any more.
var watchdogs = check{
	kinds: []Kind{
		{ID: "watchdog-none", Grades: []Severity{Warning, OK}, Title: "A node has no watchdog",
			Why: "cut off from its fencing device, the node's end could be proven by nobody but an operator; and a guard that cannot end the guests has no last resort",
			Do:  "set guard.watchdog in basculed.yaml (docs/fencing/watchdog.md says which driver) and restart bascule-guard"},
		{ID: "watchdog-unarmed", Grades: []Severity{Warning}, Title: "A node's watchdog is not armed",
			Why: "it would not end the node, so its elapsed time proves nothing",
			Do:  "journalctl -u bascule-guard says why; put it right and restart bascule-guard"},
		{ID: "watchdog-held", Grades: []Severity{Warning}, Title: "Another program holds the node's watchdog",
			Why: "a watchdog has one owner; on Proxmox the first one belongs to watchdog-mux",
			Do:  "use driver watchdog-mux, or give the guard a second device of its own (guard.watchdog.device)"},
		{ID: "watchdog-softdog", Grades: []Severity{Warning, Info}, Title: "A node's watchdog is the kernel's own (softdog)",
			Why: "it is a timer of the very kernel that it should end: a hung kernel does not fire it. It counts as a proof only with guard.trust_softdog: true",
			Do:  "load the board's own watchdog (iTCO_wdt, sp5100_tco, ipmi_watchdog; WATCHDOG_MODULE in /etc/default/pve-ha-manager for watchdog-mux), or accept the risk with trust_softdog"},
		{ID: "watchdog-slow", Grades: []Severity{Info}, Title: "The watchdog proves a node's end late",
			Why: "watchdog-mux waits up to 75 s before the reset; without a fencing device guests wait for it",
			Do:  "a second watchdog of the guard's own proves it in a fraction of that; a BMC or another fencing device in seconds"},
	},
	run: func(x *exam) {
		for _, f := range x.agents() {
			x.watchdog(f)
		}
	},
}

func (x *exam) watchdog(f Facts) {
	if f.Config != nil && f.Config.Driver == "none" {
		x.add(Finding{ID: "watchdog-none", Severity: Warning, Node: f.Node, Evidence: "guard.watchdog.driver is none; " + devicesOf(f)})
		return
	}
	if f.Guard == nil {
		return // hactl status, or a silent probe, says that the guard is away
	}
	if held := heldByOthers(f); !f.Guard.Armed && held != "" && f.Config != nil && f.Config.Driver == "device" {
		x.add(Finding{ID: "watchdog-held", Severity: Warning, Node: f.Node, Evidence: held + "; the guard says: " + f.Guard.Detail})
	} else if !f.Guard.Armed {
		x.add(Finding{ID: "watchdog-unarmed", Severity: Warning, Node: f.Node, Evidence: strings.TrimSuffix(fmt.Sprintf("guard in phase %s, watchdog %q not armed; %s", f.Guard.Phase, f.Guard.Driver, f.Guard.Detail), "; ")})
	}
	if f.Guard.Driver == softdog || f.Guard.Identity == "Software Watchdog" {
		sev, how := Warning, "trust_softdog is false: it proves nothing"
		if f.Config != nil && f.Config.Softdog {
			sev, how = Info, "trust_softdog is true: you have accepted that"
		}
		x.add(Finding{ID: "watchdog-softdog", Severity: sev, Node: f.Node, Evidence: "the guard's watchdog is softdog; " + how})
	}
	if w := f.Timing.Through(f.Guard.Driver).SelfFence(); f.Guard.Armed && w > f.Timing.SelfFence() {
		x.add(Finding{ID: "watchdog-slow", Severity: Info, Node: f.Node, Evidence: fmt.Sprintf("through %s a node's end is proven %s after its lease has ended; a device of the guard's own takes %s", f.Guard.Driver, round(w), round(f.Timing.SelfFence()))})
	} else if f.Guard.Armed {
		x.add(Finding{ID: "watchdog-none", Severity: OK, Node: f.Node, Evidence: fmt.Sprintf("%s is armed; it proves the node's end %s after its lease has ended", f.Guard.Driver, round(w))})
	}
}

// devicesOf lists a machine's watchdogs and who holds them.
func devicesOf(f Facts) string {
	if len(f.Watchdogs) == 0 {
		return "the machine shows no watchdog device"
	}
	var out []string
	for _, w := range f.Watchdogs {
		text := w.Path
		if w.Identity != "" {
			text += " (" + w.Identity + ")"
		}
		if w.Holder != "" {
			text += " held by " + w.Holder
		}
		out = append(out, text)
	}
	return "the machine has " + strings.Join(out, ", ")
}

// heldByOthers says who but basculed holds a watchdog; "" when nobody does.
func heldByOthers(f Facts) string {
	var out []string
	for _, w := range f.Watchdogs {
		if w.Holder != "" && w.Holder != "basculed" {
			out = append(out, fmt.Sprintf("%s is held by %s", w.Path, w.Holder))
		}
	}
	return strings.Join(out, "; ")
}
