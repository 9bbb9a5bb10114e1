package journal

import (
	"encoding/json"
	"fmt"
	"reflect"

	"bascule/ha/node"
)

// The machine's events and effects by name. A test compares these lists with the source of ha/node.
var (
	events = tableOf[node.Event](node.Tick{}, node.View{}, node.Looked{}, node.GuardSeen{}, node.StepDone{},
		node.Granted{}, node.Registered{}, node.Renewed{}, node.LeaderSeen{}, node.Campaigned{}, node.Leave{},
		node.PeerAsked{}, node.PeerAnswered{}, node.PowerRead{}, node.GossipSeen{})
	effects = tableOf[node.Effect](node.Do{}, node.Report{}, node.Look{},
		node.Grant{}, node.Register{}, node.Renew{}, node.Campaign{}, node.Resign{}, node.Permit{}, node.EndPermit{},
		node.AskPeers{}, node.AnswerPeer{}, node.ReadPower{}, node.RevokeLease{})
)

// tagged is a value of an interface type with the name of what it is.
type tagged struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

// table knows the types that an interface value may have.
type table[T any] map[string]reflect.Type

func tableOf[T any](samples ...T) table[T] {
	t := table[T]{}
	for _, s := range samples {
		t[Name(s)] = reflect.TypeOf(s)
	}
	return t
}

// Name is an event's or effect's type without its package: "Granted".
func Name(v any) string { return reflect.TypeOf(v).Name() }

func (t table[T]) known(v T) error {
	if reflect.TypeOf(v) == nil || t[Name(v)] != reflect.TypeOf(v) {
		return fmt.Errorf("%T is not in the journal's table of types", v)
	}
	return nil
}

func (t table[T]) encode(v T) (tagged, error) {
	if err := t.known(v); err != nil {
		return tagged{}, err
	}
	b, err := json.Marshal(v)
	return tagged{Type: Name(v), Value: b}, err
}

func (t table[T]) decode(x tagged) (T, error) {
	var none T
	known, ok := t[x.Type]
	if !ok {
		return none, fmt.Errorf("type %q is not known here; it may be of another version of Bascule", x.Type)
	}
	p := reflect.New(known)
	if err := json.Unmarshal(x.Value, p.Interface()); err != nil {
		return none, fmt.Errorf("%s: %w", x.Type, err)
	}
	return p.Elem().Interface().(T), nil
}

// encodeAll keeps the difference between no list and an empty one.
func (t table[T]) encodeAll(vs []T) ([]byte, error) {
	if vs == nil {
		return []byte("null"), nil
	}
	out := make([]tagged, 0, len(vs))
	for _, v := range vs {
		x, err := t.encode(v)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return json.Marshal(out)
}

func (t table[T]) decodeAll(b []byte) ([]T, error) {
	var list []tagged
	if err := json.Unmarshal(b, &list); err != nil || list == nil {
		return nil, err
	}
	out := make([]T, 0, len(list))
	for _, x := range list {
		v, err := t.decode(x)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
