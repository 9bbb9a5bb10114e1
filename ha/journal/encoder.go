package journal

import (
	"encoding/json"
	"reflect"
)

// maxWritten bounds how many maps of one age an encoder keeps: a state and an event have a dozen.
const maxWritten = 16

// encoder writes states and events as json.Marshal does, but for the maps that it has written before: most of a large state is in maps
// that stay the very same from step to step, and nobody changes a map that was handed over (see Journal). Its zero value is ready.
type encoder struct {
	young, old map[uintptr]writtenMap
}

// writtenMap holds the map too: while it lives, nothing else has its address.
type writtenMap struct {
	raw  json.RawMessage
	held reflect.Value
}

// fieldsOf returns the members of v's JSON object in order. The machine's states and events have exported fields without tags; a test
// compares the result with json.Marshal's.
func (e *encoder) fieldsOf(v any) ([]field, error) {
	s := reflect.ValueOf(v)
	out := make([]field, 0, s.NumField())
	for i := range s.NumField() {
		raw, err := e.value(s.Field(i))
		if err != nil {
			return nil, err
		}
		out = append(out, field{s.Type().Field(i).Name, raw})
	}
	return out, nil
}

func (e *encoder) value(v reflect.Value) (json.RawMessage, error) {
	if v.Kind() != reflect.Map || v.IsNil() {
		return json.Marshal(v.Interface())
	}
	at := v.Pointer()
	w, known := e.young[at]
	if known {
		return w.raw, nil
	}
	if w, known = e.old[at]; !known {
		raw, err := json.Marshal(v.Interface())
		if err != nil {
			return nil, err
		}
		w = writtenMap{raw: raw, held: v}
	}
	if e.young == nil || len(e.young) >= maxWritten {
		e.old, e.young = e.young, map[uintptr]writtenMap{}
	}
	e.young[at] = w
	return w.raw, nil
}
