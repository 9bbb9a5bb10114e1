package peer

import (
	"slices"
	"strings"

	"bascule/ha"
)

// exception is a deliberate difference between Bascule and the peer's manager: what it applies to, and the reason.
type exception struct {
	applies func(r *run, m Mismatch) bool
	reason  string
}

// exceptions explain properties first; a scenario by its name only where a property cannot be told from the data.
var exceptions = []exception{
	{func(r *run, m Mismatch) bool {
		want := r.s.Expected.Guests[m.Guest]
		return want.State != nil && *want.State == "error" && m.State == ha.GuestStarted
	}, "Bascule goes on with a guest that the peer gives up: one in error is recovered when its node dies, and one that runs again is in order"},
	{func(_ *run, m Mismatch) bool {
		return m.State == ha.GuestRecovery && strings.Contains(m.Reason, "MiB free")
	}, "Bascule refuses to over-commit a node's memory; the guest waits for a place"},
	{func(r *run, m Mismatch) bool {
		g := r.s.Expected.Guests[m.Guest]
		return g.State != nil && *g.State == "stopped" && len(g.Running) > 0 && slices.Contains([]ha.GuestState{ha.GuestStopping, ha.GuestStarted, ha.GuestError}, m.State) && m.Got == m.Expected
	}, "the guest cannot be stopped: Bascule says that it still runs, the peer calls it stopped"},
	{func(r *run, m Mismatch) bool {
		return m.Guest != "" && m.Placement && r.movedWhileDisarmed(m.Guest) == m.Got
	}, "a migration that an operator began goes on while Bascule is disarmed; the peer forgets the request"},
	{func(r *run, m Mismatch) bool {
		onIt := m.State == ha.GuestFrozen && r.unwatched[m.Got]
		return onIt || m.Guest == "" && r.onlyMissing(func(n string) bool { return r.unwatched[n] })
	}, "a node that went down while Bascule was disarmed had no armed watchdog: nothing proves its end before it boots again"},
	{func(r *run, m Mismatch) bool {
		return r.halved && (m.Placement || m.Guest == "")
	}, "with half of the nodes away nobody has the peer's quorum; Bascule counts the voters of its store, an odd number, and needs corosync's quorum for starting only"},
	{func(r *run, m Mismatch) bool {
		return r.named(m.Guest).Fault.Missing
	}, "a guest without a config is never protected by Bascule; the peer keeps it in error"},
}

// byName are scenarios whose difference has a reason that their data do not show.
var byName = map[string]string{}

// excused takes away the differences that have a written reason, and returns the reasons.
func (r *run) excused(diff []Mismatch) (reasons []string, open []Mismatch) {
	add := func(why string) {
		if !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
	}
	for _, m := range diff {
		i := slices.IndexFunc(exceptions, func(e exception) bool { return e.applies(r, m) })
		switch {
		case i >= 0:
			add(exceptions[i].reason)
		case byName[r.s.Name] != "":
			add(byName[r.s.Name])
		default:
			open = append(open, m)
		}
	}
	return reasons, open
}

// onlyMissing says whether nothing but such nodes is missing among those that the peer recovered from, and no other node is there.
func (r *run) onlyMissing(such func(node string) bool) bool {
	for n := range r.recovered {
		if !slices.Contains(r.s.Expected.Recovered, n) {
			return false
		}
	}
	missing := slices.DeleteFunc(slices.Clone(r.s.Expected.Recovered), func(n string) bool { return r.recovered[n] })
	return len(missing) > 0 && !slices.ContainsFunc(missing, func(n string) bool { return !such(n) })
}

// named is the scenario's guest of this id.
func (r *run) named(id string) Guest {
	i := slices.IndexFunc(r.s.Guests, func(g Guest) bool { return g.ID == id })
	if i < 0 {
		return Guest{}
	}
	return r.s.Guests[i]
}

// movedWhileDisarmed is where a migration of the guest goes that was asked for in the same moment as a disarming, "" for none.
func (r *run) movedWhileDisarmed(id string) string {
	for _, step := range r.s.Steps {
		disarm := slices.ContainsFunc(step, func(c Command) bool { return c.Verb == "crm disarm-ha" })
		for _, c := range step {
			if disarm && c.Subject == id && (c.Verb == "service migrate" || c.Verb == "service relocate") {
				return c.arg(0)
			}
		}
	}
	return ""
}
