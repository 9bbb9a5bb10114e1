package journal

import (
	"encoding/json"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
	"bascule/ha/node"
)

// format is the version of the lines; a reader refuses newer ones.
const format = 1

// Kind is what a line is.
type Kind string

// The kinds of lines. Rounds and steps are entries, the others are about them.
const (
	KindStart Kind = "start"
	KindRound Kind = "round"
	KindStep  Kind = "step"
	KindGap   Kind = "gap"
)

// Start says who wrote the entries that follow.
type Start struct {
	Kind    Kind           `json:"kind"`
	Format  int            `json:"format"`
	Version string         `json:"version"`
	Node    ha.NodeName    `json:"node"`
	Boot    ha.Incarnation `json:"boot"`
	At      time.Time      `json:"at"`
}

// gapLine says what is missing here.
type gapLine struct {
	Kind    Kind      `json:"kind"`
	At      time.Time `json:"at"`
	Dropped int64     `json:"dropped"`
	Alike   int       `json:"alike,omitempty"` // at the end: entries left out since the last one
}

type roundLine struct {
	Kind        Kind               `json:"kind"`
	At          time.Time          `json:"at"`
	Now         ha.Instant         `json:"now"`
	Alike       int                `json:"alike,omitempty"`
	Options     leader.Options     `json:"options"`
	State       leader.State       `json:"state"`
	Observation leader.Observation `json:"observation"`
	Decision    json.RawMessage    `json:"decision"` // raw: a replay is compared with these bytes
}

type stepLine struct {
	Kind     Kind            `json:"kind"`
	At       time.Time       `json:"at"`
	Now      ha.Instant      `json:"now"`
	Alike    int             `json:"alike,omitempty"`
	Config   node.Config     `json:"config"`
	State    json.RawMessage `json:"state"`
	Event    tagged          `json:"event"`
	After    json.RawMessage `json:"after"`
	AsBefore []string        `json:"as_before,omitempty"` // fields of After that are as in State
	AsEvent  []string        `json:"as_event,omitempty"`  // fields of After that are as in Event
	Effects  json.RawMessage `json:"effects"`
	Next     ha.Instant      `json:"next"`
}

// encode is what json.Marshal makes of the line, whose raw parts it made already.
func (l *stepLine) encode() ([]byte, error) {
	var fs []field
	var failed error
	add := func(name string, v any) {
		raw, err := json.Marshal(v)
		if err != nil && failed == nil {
			failed = err
		}
		fs = append(fs, field{name, raw})
	}
	add("kind", l.Kind)
	add("at", l.At)
	add("now", l.Now)
	if l.Alike != 0 {
		add("alike", l.Alike)
	}
	add("config", l.Config)
	fs = append(fs, field{"state", l.State})
	kind, err := json.Marshal(l.Event.Type)
	if err != nil {
		return nil, err
	}
	fs = append(fs, field{"event", object([]field{{"type", kind}, {"value", l.Event.Value}})}, field{"after", l.After})
	if len(l.AsBefore) > 0 {
		add("as_before", l.AsBefore)
	}
	if len(l.AsEvent) > 0 {
		add("as_event", l.AsEvent)
	}
	fs = append(fs, field{"effects", l.Effects})
	add("next", l.Next)
	if failed != nil {
		return nil, failed
	}
	return object(fs), nil
}

// outcome is what a step is compared by.
type outcome struct {
	After   json.RawMessage `json:"after"`
	Effects json.RawMessage `json:"effects"`
	Next    ha.Instant      `json:"next"`
}
