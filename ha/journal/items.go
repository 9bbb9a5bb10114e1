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
	worth(t *thinner) bool                      // whether it says anything new
	line(alike int, e *encoder) ([]byte, error) // its JSON; alike entries were left out before it
}

type round struct {
	at          time.Time
	now         ha.Instant
	options     leader.Options
	state       leader.State
	observation leader.Observation
	decision    leader.Decision
}

func (r *round) line(alike int, _ *encoder) ([]byte, error) {
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

// line puts the parts together by hand: json.Marshal would read through each of them once more, and most of a large state is in maps that
// the encoder has written before.
func (s *step) line(alike int, e *encoder) ([]byte, error) {
	before, err := e.fieldsOf(s.before)
	if err != nil {
		return nil, err
	}
	after, err := e.fieldsOf(s.after)
	if err != nil {
		return nil, err
	}
	if err := events.known(s.event); err != nil {
		return nil, err
	}
	event, err := e.fieldsOf(s.event)
	if err != nil {
		return nil, err
	}
	l := stepLine{Kind: KindStep, At: s.at.UTC(), Now: s.now, Alike: alike, Config: s.config, Next: s.next}
	if l.Effects, err = effects.encodeAll(s.effects); err != nil {
		return nil, err
	}
	l.After = object(l.shorten(after, before, event))
	l.State, l.Event = object(before), tagged{Type: Name(s.event), Value: object(event)}
	return l.encode()
}
