package gossip

import (
	"encoding/json"

	"bascule/ha"
)

// Meta is what a node tells the others beside being alive.
type Meta struct {
	Incarnation ha.Incarnation
	Leaving     bool   // its daemon is being stopped in order: the silence that follows is no death
	Version     string // of the daemon; the first thing to be cut if the encoding grew too long
}

// wireMeta is Meta as it travels; short names, because memberlist panics over 512 bytes.
type wireMeta struct {
	Incarnation string `json:"i,omitempty"`
	Leaving     bool   `json:"l,omitempty"`
	Version     string `json:"v,omitempty"`
}

// encode returns at most limit bytes; what does not fit is left out, the announcement of leaving last.
func (m Meta) encode(limit int) []byte {
	for _, w := range []wireMeta{
		{string(m.Incarnation), m.Leaving, m.Version},
		{string(m.Incarnation), m.Leaving, ""},
		{"", m.Leaving, ""},
	} {
		b, err := json.Marshal(w)
		if err == nil && len(b) <= limit {
			return b
		}
	}
	return nil
}

// decodeMeta is tolerant: fields of a newer daemon are ignored, and what cannot be read at all is an empty Meta, because
// a node must not look dead for speaking strangely.
func decodeMeta(b []byte) Meta {
	var w wireMeta
	if json.Unmarshal(b, &w) != nil {
		return Meta{}
	}
	return Meta{Incarnation: ha.Incarnation(w.Incarnation), Leaving: w.Leaving, Version: w.Version}
}
