package pve

import (
	"encoding/json"
	"math"
	"testing"
)

// PVE sends numbers as strings in places, fractions where counts belong, and null for what it does not know.
func TestNumbersComeAsAnything(t *testing.T) {
	for text, want := range map[string]Number{
		`12`: {12, true}, `"12"`: {12, true}, `1.5`: {1, true}, `"1.5"`: {1, true}, `12.0`: {12, true}, `1e3`: {1000, true}, `-3`: {-3, true},
		`true`: {1, true}, `false`: {0, true}, `null`: {}, `""`: {}, `0`: {0, true}, `"0"`: {0, true}, `9223372036854775807`: {math.MaxInt64, true},
	} {
		got := Number{99, true}
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{`"many"`, `[]`, `{}`, `1e30`, `"NaN"`, `"inf"`} {
		var got Number
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: got %+v and no error", text, got)
		}
	}
}

func TestWordsComeAsAnything(t *testing.T) {
	for text, want := range map[string]Word{`"x"`: "x", `12`: "12", `1.5`: "1.5", `null`: "", `true`: "true", `"ä"`: "ä", `""`: ""} {
		got := Word("before")
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %q, %v", text, got, err)
		}
	}
}
