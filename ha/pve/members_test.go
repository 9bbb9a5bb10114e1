package pve

import (
	"errors"
	"reflect"
	"testing"
)

func TestParseMembers(t *testing.T) {
	for text, want := range map[string]Members{
		`{"nodename":"b","version":9,"cluster":{"name":"x","version":3,"nodes":2,"quorate":"1"},
		"nodelist":{"b":{"id":"2","online":1,"ip":"10.0.0.2"},"a":{"id":1,"online":0}}}`: {Node: "b", Known: true, Cluster: "x", Quorate: true,
			Nodes: []Member{{Name: "a", ID: 1}, {Name: "b", ID: 2, Online: true, IP: "10.0.0.2"}}},
		`{"nodename":"solo","version":0}`: {Node: "solo", Quorate: true},
		`{}`:                              {Quorate: true},
		// What is missing, or null, is not so.
		`{"nodename":"a","cluster":{}}`: {Node: "a", Known: true},
		`{"nodename":"a","cluster":{"name":"x","quorate":null},"nodelist":{"a":{},"b":{"online":null,"id":null,"ip":null}}}`: {Node: "a", Known: true, Cluster: "x",
			Nodes: []Member{{Name: "a"}, {Name: "b"}}},
		`{"nodename":"a","cluster":{"quorate":0},"nodelist":{"a":{"online":"1"},"c":{"online":0}}}`: {Node: "a", Known: true,
			Nodes: []Member{{Name: "a", Online: true}, {Name: "c"}}},
	} {
		if got, err := ParseMembers([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "{ half", "[]", `{"cluster":{"quorate":"perhaps"}}`, `{"cluster":{},"nodelist":{"a":{"online":[]}}}`} {
		if got, err := ParseMembers([]byte(text)); !errors.Is(err, ErrMembers) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}
