package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// field is one member of a JSON object with its bytes as they stand.
type field struct {
	name string
	raw  json.RawMessage
}

var errNoObject = errors.New("it is no JSON object")

// fieldsOf splits an object in order; null has no fields. It looks for the ends of the fields only, many times faster than a decoder:
// what it is given was made by json.Marshal, or read by json.Unmarshal before.
func fieldsOf(object []byte) ([]field, error) {
	b := bytes.TrimSpace(object)
	if string(b) == "null" {
		return nil, nil
	}
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return nil, errNoObject
	}
	var out []field
	for b = b[1 : len(b)-1]; len(b) > 0; {
		colon := endOf(b, ':')
		if colon == len(b) {
			return nil, errNoObject
		}
		var f field
		if err := json.Unmarshal(b[:colon], &f.name); err != nil {
			return nil, err
		}
		b = b[colon+1:]
		comma := endOf(b, ',')
		f.raw = json.RawMessage(bytes.TrimSpace(b[:comma]))
		out = append(out, f)
		b = b[min(comma+1, len(b)):]
	}
	return out, nil
}

// endOf is where a character stands first that is in no string and in no inner object or list; len(b) when nowhere.
func endOf(b []byte, char byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case quoted && c == '\\':
			i++ // the next character is not what it seems
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == char && depth == 0:
			return i
		}
	}
	return len(b)
}

// object puts fields together as json.Marshal would.
func object(fs []field) []byte {
	size := 2
	for _, f := range fs {
		size += len(f.name) + len(f.raw) + 4
	}
	b := append(make([]byte, 0, size), '{')
	for i, f := range fs {
		if i > 0 {
			b = append(b, ',')
		}
		name, _ := json.Marshal(f.name) // of a string: cannot fail
		b = append(append(append(b, name...), ':'), f.raw...)
	}
	return append(b, '}')
}

func find(fs []field, name string) (json.RawMessage, bool) {
	i := slices.IndexFunc(fs, func(f field) bool { return f.name == name })
	if i < 0 {
		return nil, false
	}
	return fs[i].raw, true
}

// shorten returns After without what stands in State or in the event already: most steps change little of a large state.
func (l *stepLine) shorten(after, before, event []field) (rest []field) {
	for _, f := range after {
		if raw, ok := find(before, f.name); ok && bytes.Equal(raw, f.raw) {
			l.AsBefore = append(l.AsBefore, f.name)
		} else if raw, ok := find(event, f.name); ok && bytes.Equal(raw, f.raw) {
			l.AsEvent = append(l.AsEvent, f.name)
		} else {
			rest = append(rest, f)
		}
	}
	return rest
}

// full is After with all fields again, in the order of like.
func (l *stepLine) full(like []field) ([]byte, error) {
	have, err := fieldsOf(l.After)
	if err != nil {
		return nil, fmt.Errorf("after: %w", err)
	}
	for _, from := range []struct {
		names []string
		raw   []byte
		what  string
	}{{l.AsBefore, l.State, "state"}, {l.AsEvent, l.Event.Value, "event"}} {
		fs, err := fieldsOf(from.raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from.what, err)
		}
		for _, name := range from.names {
			raw, ok := find(fs, name)
			if !ok {
				return nil, fmt.Errorf("after: it shall have %s of %s, which has none", name, from.what)
			}
			have = append(have, field{name, raw})
		}
	}
	place := func(f field) int { return slices.IndexFunc(like, func(x field) bool { return x.name == f.name }) }
	slices.SortStableFunc(have, func(a, b field) int { return place(a) - place(b) })
	return object(have), nil
}
