package sim

import (
	"time"

	"bascule/ha"
)

// Who keeps the store: a voter loses its vote only when it has been gone for its time, one at a time, as it was recorded, and never so that
// the store is left with less than it had.

// votersSeen is what the audit remembers of the voters.
type votersSeen struct {
	worked   map[string]time.Duration // when each was last up, with a majority around it
	silent   map[string]time.Duration // since when one that votes is not; 0: it is
	want     int                      // as many as there were at first
	majority time.Duration            // when there last was one
}

// soonAfter is how much earlier than the audit a leader may have missed a voter: it looks every two seconds, and a network that is cut for
// raft is cut for its questions a little earlier.
const soonAfter = 5 * time.Second

// inTheDark is how long another voter is missed before a change of the voters counts as a mistake: a leader may not have noticed before.
const inTheDark = 20 * time.Second

func (a *audit) watchVoters() {
	v := &a.voters
	v.worked, v.silent, v.want = map[string]time.Duration{}, map[string]time.Duration{}, len(a.w.store.Voters())
	a.w.store.OnVoters(a.votersChanged)
	a.w.loop.Every(time.Second, a.seeVoters)
}

// seeVoters notes who works.
func (a *audit) seeVoters() {
	s, now := a.w.store, a.w.loop.Now()
	if s.majority(func(*storeVoter) bool { return true }) {
		a.voters.majority = now
	}
	for _, v := range s.voters {
		if s.quorate(v) {
			a.voters.worked[v.node] = now
			delete(a.voters.silent, v.node)
		} else if _, known := a.voters.silent[v.node]; !known {
			a.voters.silent[v.node] = now
		}
	}
}

// ordered looks at what a leader asks for.
func (j *Judge) ordered(d *Daemon, o ha.VoterOrder) {
	c := j.w.store.Truth().VoterChange
	if c.Rev == o.Rev && (c.Rec.Old != o.Old || c.Rec.By != o.By) || c.Rev < o.Rev {
		j.violate("voters", "%s orders that %s votes in place of %s, recorded is %+v", d.h.Name, o.By, o.Old, c.Rec)
	}
	if now := j.w.loop.Now(); now-j.audit.voters.majority > inTheDark {
		j.violate("voters", "%s orders a change of the voters without a majority for %v", d.h.Name, now-j.audit.voters.majority)
	}
}

// votersChanged looks at a change that was made.
func (a *audit) votersChanged(change, node string) {
	now, v := a.w.loop.Now(), &a.voters
	if change == "votes" {
		v.worked[node] = now
		delete(v.silent, node)
		return
	}
	wait := 10 * time.Minute
	if gone := now - v.worked[node]; gone < wait-soonAfter {
		a.j.violate("voters", "%s lost its vote, and it worked %v ago", node, gone)
	}
	if n := len(a.w.store.voters); n < v.want-1 {
		a.j.violate("voters", "%d voters are left of %d", n, v.want)
	}
	for _, other := range a.w.store.voters {
		if since, missing := v.silent[other.node]; missing && now-since > inTheDark {
			a.j.violate("voters", "%s lost its vote while %s has been missing for %v", node, other.node, now-since)
		}
	}
}
