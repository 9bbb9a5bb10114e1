package api

import (
	"fmt"
	"strings"
)

// permit tells that the answering node may not run guests.
func (f *finder) permit() {
	if f.v.Permit.Valid || f.v.Role == RoleWitness {
		return
	}
	f.add(Critical, nodeSubject(f.v.Self), fmt.Sprintf("%s has no permit: its protected guests are stopped and it starts none", f.v.Self),
		f.v.Permit.Reason, "bring its network or the store back: it takes up its guests by itself. Do not start them by hand: another node may be running them")
}

// guard tells that the process is missing that would stop guests when the permit ends.
func (f *finder) guard() {
	if f.v.Role == RoleWitness {
		return
	}
	if f.v.Guard.Connected {
		f.about("guard-version").olderGuard()
		return
	}
	f.add(Critical, nodeSubject(f.v.Self), fmt.Sprintf("basculed on %s does not reach its guard: nothing would stop its guests in time, so it takes no new ones", f.v.Self),
		f.v.Guard.Detail, "systemctl status bascule-guard; systemctl start bascule-guard")
}

// olderGuard tells that an upgrade has left the guard as it was, because its end would have cost guests or the node.
func (f *finder) olderGuard() {
	if g := f.v.Guard.Version; g != "" && g != f.v.Version {
		f.add(Info, nodeSubject(f.v.Self), fmt.Sprintf("the guard on %s still is version %s; basculed is %s", f.v.Self, g, f.v.Version),
			"an upgrade does not end a guard that is in charge of guests or holds a watchdog",
			"nothing: it is renewed when the node boots. At once: systemctl stop basculed; systemctl restart bascule-guard; systemctl start basculed")
	}
}

// hint adds the next step to a node's own complaint where one is known.
func hint(problem string) string {
	if p := strings.ToLower(problem); strings.Contains(p, "token") && !strings.Contains(p, "vm.audit") {
		return tokenDo
	}
	return ""
}
