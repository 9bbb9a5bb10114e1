package journal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

const shortened = 120 // runes of either side of a difference

// storedValue is a record inside of a transaction: Go writes bytes as base64.
var storedValue = regexp.MustCompile(`"Value":\s*"([A-Za-z0-9+/]+=*)"`)

// readable writes the records inside of transactions as the JSON that they are.
func readable(b []byte) []byte {
	return storedValue.ReplaceAllFunc(b, func(m []byte) []byte {
		raw, err := base64.StdEncoding.DecodeString(string(storedValue.FindSubmatch(m)[1]))
		if err != nil || !json.Valid(raw) {
			return m
		}
		return append([]byte(`"Value": `), raw...)
	})
}

// Readable is an entry's line for people: indented, with the records inside of transactions as the JSON that they are.
func (e *Entry) Readable() ([]byte, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, readable(e.Line), "", "  "); err != nil {
		return nil, fmt.Errorf("entry of %s: %w", e.At, err)
	}
	return append(b.Bytes(), '\n'), nil
}

// firstDifference finds the first place, by names in order, where two values differ; nil when only their writing does.
func firstDifference(recorded, replayed []byte) *Difference {
	a, errA := parse(readable(recorded))
	b, errB := parse(readable(replayed))
	if errA != nil || errB != nil {
		return nil
	}
	return diff("", a, b)
}

func parse(b []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	err = dec.Decode(&v)
	return v, err
}

// absent stands for what one side does not have.
type absent struct{}

func diff(path string, a, b any) *Difference {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			return diffObjects(path, x, y)
		}
	case []any:
		if y, ok := b.([]any); ok {
			return diffLists(path, x, y)
		}
	default:
		if a == b && isLeaf(b) {
			return nil
		}
	}
	if path == "" {
		path = "(all)"
	}
	return &Difference{Field: path, Recorded: show(a), Replayed: show(b)}
}

func isLeaf(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

func diffObjects(path string, a, b map[string]any) *Difference {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		p := n
		if path != "" {
			p = path + "." + n
		}
		if d := diff(p, member(a, n), member(b, n)); d != nil {
			return d
		}
	}
	return nil
}

func member(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	return absent{}
}

func diffLists(path string, a, b []any) *Difference {
	for i := range max(len(a), len(b)) {
		var x, y any = absent{}, absent{}
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if d := diff(fmt.Sprintf("%s[%d]", path, i), x, y); d != nil {
			return d
		}
	}
	return nil
}

func show(v any) string {
	if v == (any)(absent{}) {
		return "(nothing)"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return short(string(b))
}

func short(s string) string {
	if r := []rune(s); len(r) > shortened {
		return string(r[:shortened]) + "…"
	}
	return s
}
