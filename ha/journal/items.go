package journal

import (
	"encoding/json"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
	"bascule/ha/node"
)

// item is an entry on its way to the disk.
type item interface {
	worth(t *thinner) bool          // whether it says anything new
	line(alike int) ([]byte, error) // its JSON; alike entries were left out before it
}

type round struct {
	at          time.Time
	now         ha.Instant
	options     leader.Options
	state       leader.State
	observation leader.Observation
	decision    leader.Decision
}

func (r *round) line(alike int) ([]byte, error) {
	d, err := json.Marshal(r.decision)
	if err != nil {
		return nil, err
	}
	return json.Marshal(roundLine{Kind: KindRound, At: r.at.UTC(), Now: r.now, Alike: alike,
		Options: r.options, State: r.state, Observation: r.observation, Decision: d})
}

type step struct {
	at      time.Time
	now     ha.Instant
	config  node.Config
	before  node.State
	event   node.Event
	after   node.State
	effects []node.Effect
	next    ha.Instant
}

func (s *step) line(alike int) ([]byte, error) {
	l := stepLine{Kind: KindStep, At: s.at.UTC(), Now: s.now, Alike: alike, Config: s.config, Next: s.next}
	var err error
	if l.Event, err = events.encode(s.event); err != nil {
		return nil, err
	}
	if l.Effects, err = effects.encodeAll(s.effects); err != nil {
		return nil, err
	}
	if l.State, err = json.Marshal(s.before); err != nil {
		return nil, err
	}
	after, err := json.Marshal(s.after)
	if err != nil {
		return nil, err
	}
	if err := l.shorten(after); err != nil {
		return nil, err
	}
	return json.Marshal(l)
}
