package node

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

// Peers is how a node gets on without the store (DESIGN part 5): it asks every other member for a peer permit, round after round.
type Peers struct {
	Failing bool       // the last call to the store about the lease failed: what the store last showed is old
	Round   int64      // answers to another round count for nothing
	Asking  bool       // a round is under way
	Sent    ha.Instant // when its requests were sent: the permit counts from then
	Until   ha.Instant // the round ends without a permit
	Again   ha.Instant // who has not answered is asked once more: it may have been restarted
	Next    ha.Instant
	Waiting []ha.NodeName // whose promise is missing in this round, ascending
	Refused string        // why the last round gave no permit, for people
}

// PeerAsked is another member's request for a peer permit.
type PeerAsked struct {
	From        ha.NodeName
	Incarnation ha.Incarnation // of the asker; the answer repeats it
	Round       int64
	List        int64         // revision of the member list that the asker goes by
	TTL         time.Duration // the asker's lease TTL, the length of its permits; 0: of an older version, like ours
}

// PeerAnswered is a member's answer to our request.
type PeerAnswered struct {
	From        ha.NodeName
	Incarnation ha.Incarnation // that asked
	Round       int64
	Promise     bool
	Why         string // of a refusal
}

// AskPeers asks to send a request to each of these members, once.
type AskPeers struct {
	To    []ha.NodeName
	Round int64
	List  int64
}

// AnswerPeer asks to send an answer.
type AnswerPeer struct {
	To          ha.NodeName
	Incarnation ha.Incarnation
	Round       int64
	Promise     bool
	Why         string
}

func (PeerAsked) event()    {}
func (PeerAnswered) event() {}
func (AskPeers) effect()    {}
func (AnswerPeer) effect()  {}

// stepPeers handles what comes from the other members.
func (m *machine) stepPeers(e Event) {
	switch e := e.(type) {
	case PeerAsked:
		why := m.refusal(e)
		if why == "" {
			m.promise(e.From, e.TTL)
		}
		m.out = append(m.out, AnswerPeer{To: e.From, Incarnation: e.Incarnation, Round: e.Round, Promise: why == "", Why: why})
	case PeerAnswered:
		m.answered(e)
	}
}

// refusal says why no promise can be given: "" when it can. The promise is: I hold no leadership, I see no leader, and I will take no
// part in recovering your guests before its end. A leader that has itself lost the store steps down to be able to give it.
func (m *machine) refusal(e PeerAsked) string {
	l := &m.s.Lease
	switch {
	case !slices.Contains(m.s.Members, e.From):
		return string(e.From) + " is no member of this cluster"
	case e.List < m.s.ListRev:
		return "it goes by an old member list"
	case e.TTL > ha.MaxLeaseTTL:
		return fmt.Sprintf("its lease_ttl %v is longer than any that is allowed", e.TTL)
	case m.s.Quiet(m.now) && !m.s.Peers.Failing && !m.s.Synced:
		return "just started, the store has not been seen yet"
	case m.s.Peers.Failing:
		m.resign() // what is on its way ends with this leadership's own deadline
		return ""
	case l.Term != 0:
		return "it leads the cluster"
	case !l.NoLeader:
		return "it sees a leader"
	}
	return ""
}

// promise gives the word: until its end this node takes no part in recovering the asker's guests. It never shortens an earlier one.
func (m *machine) promise(to ha.NodeName, ttl time.Duration) {
	p := map[ha.NodeName]ha.Instant{}
	for _, n := range sorted(m.s.Promises) {
		if until := m.s.Promises[n]; until > m.now {
			p[n] = until
		}
	}
	p[to] = max(p[to], m.c.Timing.PromiseEnd(m.now, ttl))
	m.s.Promises, m.s.Longest = p, max(m.s.Longest, ttl)
}

// answered takes in an answer. With the last one missing the permit goes on, counted from the sending of the round.
func (m *machine) answered(e PeerAnswered) {
	p := &m.s.Peers
	if !p.Asking || e.Round != p.Round || e.Incarnation != m.c.Incarnation || !slices.Contains(p.Waiting, e.From) {
		return
	}
	if !e.Promise {
		p.Refused = string(e.From) + ": " + e.Why
		m.endRound(false)
		return
	}
	m.stands(e.From)
}

// stands notes that a member's promise is there, or that it is proven unable to break one.
func (m *machine) stands(n ha.NodeName) {
	p := &m.s.Peers
	p.Waiting = slices.DeleteFunc(slices.Clone(p.Waiting), func(o ha.NodeName) bool { return o == n })
	if len(p.Waiting) > 0 {
		return
	}
	if m.s.Lease.Valid(m.now) { // continues an unbroken permit, never begins one
		p.Refused = ""
		m.permit(m.c.Timing.PermitDeadline(p.Sent))
	}
	m.endRound(true)
}

func (m *machine) endRound(good bool) {
	p := &m.s.Peers
	p.Asking, p.Waiting = false, nil
	p.Next = m.now.Add(m.c.Timing.PeerTimeout / 2)
	if good {
		p.Next = max(m.now, p.Sent.Add(m.c.Timing.RenewEvery))
	}
}

// asks says whether this node needs peer permits now: it holds an unbroken permit, and the store does not answer.
func (m *machine) asks() bool {
	l := m.s.Lease
	return m.s.Peers.Failing && l.Valid(m.now) && !l.Leaving && !m.c.Witness && m.s.ListRev != 0 && slices.Contains(m.s.Members, m.c.Self)
}

// drivePeers begins and ends rounds. A member that was silent in the last round may be off: its power is read along.
func (m *machine) drivePeers() {
	p := &m.s.Peers
	if p.Asking && (m.now >= p.Until || !m.asks()) {
		if len(p.Waiting) > 0 {
			p.Refused = "no answer from " + string(p.Waiting[0])
			m.s.Silent = slices.Clone(p.Waiting)
		}
		m.endRound(false)
	}
	if !m.asks() {
		if !p.Failing {
			m.s.Silent = nil
		}
		return
	}
	switch {
	case p.Asking && m.now >= p.Again:
		p.Again = m.now.Add(m.c.Timing.PeerTimeout)
		m.out = append(m.out, AskPeers{To: p.Waiting, Round: p.Round, List: m.s.ListRev})
		fallthrough
	case p.Asking:
		m.wakeAt(min(p.Again, p.Until))
		return
	case m.now < p.Next:
		m.wakeAt(p.Next)
		return
	}
	p.Round = max(p.Round+1, int64(m.now)) // no two rounds of one boot share a number, whatever was restarted
	p.Asking, p.Sent, p.Until, p.Again = true, m.now, m.now.Add(m.c.Timing.PeerTimeout), m.now.Add(m.c.Timing.PeerTimeout)
	if len(m.missing()) > 0 { // a device may take its time to say that they are off
		p.Until = m.now.Add(m.c.Timing.DeviceTimeout)
		m.readAgain()
	}
	p.Waiting = slices.DeleteFunc(slices.Clone(m.s.Members), func(n ha.NodeName) bool { return n == m.c.Self })
	if len(p.Waiting) == 0 {
		m.endRound(false) // alone: nobody can promise, the lease is all there is
		return
	}
	m.out = append(m.out, AskPeers{To: p.Waiting, Round: p.Round, List: m.s.ListRev})
	m.wakeAt(p.Until)
}

// OnPeers says whether the permit that holds now came from the other members: what runs goes on, nothing is begun.
func (l Lease) OnPeers(now ha.Instant) bool { return l.Valid(now) && now >= l.Leased }
