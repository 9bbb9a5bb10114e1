package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// quiet notes until when what was done to the site goes on: only where nothing is wrong may the judge say how long something may take.
type quiet struct {
	hosts   map[string]time.Duration         // by host: until when a fault goes on there
	devices map[string]time.Duration         // by node: until when one of its fencing devices does not do what it should
	given   map[ha.Incarnation]time.Duration // when somebody gave a boot back what was taken away from it
}

func newQuiet() quiet {
	return quiet{hosts: map[string]time.Duration{}, devices: map[string]time.Duration{}, given: map[ha.Incarnation]time.Duration{}}
}

// never is the end of what nobody undoes.
const never = 1000 * time.Hour

// slowOff is how long a stuck device may go on switching off after the fault that made it so is over.
const slowOff = time.Minute

// lasts is until when a command's own doing goes on.
func (j *Judge) lasts(c Command) time.Duration {
	until := j.w.loop.Now() + c.For
	if c.For == 0 && verbs[c.Verb].lasts {
		return never
	}
	for _, a := range c.Args {
		if d, err := time.ParseDuration(a); err == nil && d > 0 && c.Verb != "clock" {
			until = max(until, j.w.loop.Now()+c.For+d)
		}
	}
	if c.Verb == "device-stuck" {
		until += slowOff
	}
	return until
}

// disturb notes what a command disturbs. What names no host, and what slows the whole store, disturbs everybody.
func (j *Judge) disturb(c Command) {
	if slices.Contains([]string{"managed", "unprotect", "set-lock", "set-onboot", "crash-guest"}, c.Verb) { // a guest's own matter
		return
	}
	until, named := j.lasts(c), false
	for _, a := range c.Args {
		if d := j.w.machine.Device(a); d != nil {
			named = true
			n := d.Spec().Node
			j.quiet.devices[n] = max(j.quiet.devices[n], until)
		} else if j.w.machine.Host(a) != nil {
			named = true
			j.quiet.hosts[a] = max(j.quiet.hosts[a], until)
		}
	}
	if c.Verb == "give-access" {
		if h, d := j.w.host(c, 1), j.w.machine.Disk(c.Args[0]); h.Booted() && d != nil && d.Revoked(h.Inc()) {
			j.quiet.given[h.Inc()] = j.w.loop.Now()
		}
	}
	if !named || slices.Contains([]string{"slow-fsync", "voter-down", "move-raft", "device-wrong-machine", "old-list"}, c.Verb) {
		for _, h := range j.w.spec.Hosts {
			j.quiet.hosts[h.Name] = max(j.quiet.hosts[h.Name], until)
		}
	}
}

// givenBack: somebody gave this boot back what was taken away from it; until it is taken away again nothing is safe.
func (j *Judge) givenBack(inc ha.Incarnation) bool {
	at, given := j.quiet.given[inc]
	return given && j.w.loop.Now()-at < recheckEvery+2*j.w.spec.Timing.DeviceTimeout+troubleEcho
}

// quietBut is since when nothing is wrong, but for what happens to this host itself ("": nothing at all).
func (j *Judge) quietBut(host string) time.Duration {
	since := time.Duration(0)
	for _, h := range j.w.spec.Hosts {
		if h.Name != host {
			since = max(since, j.quiet.hosts[h.Name])
		}
		if h.Name == host || host == "" {
			since = max(since, j.quiet.devices[h.Name])
		}
	}
	return since
}

// led is since when one leader has led without a break, with a store that works, and its host; ok is false while nobody does.
func (a *audit) led() (host string, since time.Duration, ok bool) {
	truth := a.w.store.Truth()
	leads := truth.Leader != nil && a.w.store.RaftLeader() != ""
	if leads { // the key may outlive a leadership that its holder gave up, to be able to promise
		d := a.ownerOf(string(truth.Leader.Node))
		leads = d != nil && d.state.Lease.Term == truth.Term
	}
	if !leads {
		a.term = 0
		return "", 0, false
	}
	if truth.Term != a.term {
		a.term, a.termSince = truth.Term, a.w.loop.Now()
	}
	return string(truth.Leader.Node), a.termSince, true
}
