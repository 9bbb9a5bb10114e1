package journal

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"pgregory.net/rapid"

	"bascule/ha"
	"bascule/ha/node"
)

// words are what random strings are made of: names that meet each other, and what JSON must escape.
var words = []string{"d1", "d1", "d1", "d2", "r1", "", "", "it <said> & \"meant\" \\ufffd\u2028", "ü\x00\n"}

// typical are the words that a type's values usually have, so that random states reach the machines' branches.
var typical = map[reflect.Type][]string{
	reflect.TypeFor[ha.NodeName]():     {"n1", "n2", "n3"},
	reflect.TypeFor[ha.Incarnation]():  {"b1", "b1", "b2"},
	reflect.TypeFor[ha.GuestKind]():    {"qemu", "lxc"},
	reflect.TypeFor[ha.NodeState]():    {"online", "suspect", "fencing", "fenced", "maintenance", "draining", "offline"},
	reflect.TypeFor[ha.GuestState]():   {"started", "stopped", "starting", "migrating", "fence", "recovery", "frozen", "error"},
	reflect.TypeFor[ha.Requested]():    {"started", "started", "stopped"},
	reflect.TypeFor[ha.Phase]():        {"running", "starting", "failed", "released", "stopped"},
	reflect.TypeFor[node.StepName]():   {"", "verify", "claim", "unlock", "storages", "recheck", "start", "confirm", "cause", "stop", "migrate", "kill", "scan"},
	reflect.TypeFor[node.Outcome]():    {"done", "done", "transient", "failed", "not-mine", "config-gone", "not-running", "unclean", "by-user"},
	reflect.TypeFor[node.LeasePhase](): {"held", "held", "renewing", "granting", "registering", "ending"},
	reflect.TypeFor[ha.Power]():        {"on", "off", "unknown"},
	reflect.TypeFor[ha.DeviceAction](): {"read", "off", "on"},
	reflect.TypeFor[ha.RequestKind]():  {"drain", "undrain", "fence", "confirm-off"},
}

// random makes a value of any type. Everything in it comes back from JSON, as it does in a daemon whose records come from the store.
func random[T any](t *rapid.T) T {
	var v T
	fill(t, reflect.ValueOf(&v).Elem())
	return v
}

func fill(t *rapid.T, v reflect.Value) {
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		zone := time.FixedZone("", rapid.IntRange(-8, 8).Draw(t, "zone")*3600)
		v.Set(reflect.ValueOf(time.Unix(1_800_000_000, rapid.Int64Range(0, 1e12).Draw(t, "wall")).In(zone)))
		return
	case reflect.TypeFor[ha.Proof]():
		text := `{"kind":"` + rapid.SampledFrom([]string{"PowerOffConfirmed", "NewBoot", "SelfFenceElapsed"}).Draw(t, "proof") +
			`","node":"n2","incarnation":"b1","evidence":"e","at":"2026-08-03T14:29:00Z"}`
		if err := json.Unmarshal([]byte(text), v.Addr().Interface()); err != nil {
			t.Fatal(err)
		}
		return
	case reflect.TypeFor[ha.Instant]():
		v.SetInt(rapid.SampledFrom([]int64{0, 0, 1e9, 5e9, 60e9, 61e9, 1 << 62}).Draw(t, "instant"))
		return
	}
	switch v.Kind() {
	case reflect.String:
		pool, ok := typical[v.Type()]
		if !ok {
			pool = words
		}
		v.SetString(rapid.SampledFrom(pool).Draw(t, "word"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.SampledFrom([]int64{0, 1, 1, 1, 1, 2, 3, 101, 5e9, 1<<62 + 1}).Draw(t, "int"))
		if v.Kind() == reflect.Int {
			v.SetInt(v.Int() % 1000)
		}
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, "byte")))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
			if f := v.Field(i); f.Kind() == reflect.Slice && f.Len() == 0 && strings.Contains(v.Type().Field(i).Tag.Get("json"), "omitempty") {
				f.SetZero() // an empty one cannot come out of the store
			}
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.Slice:
		if n := rapid.IntRange(-1, 2).Draw(t, "len"); n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i))
			}
		}
	case reflect.Map:
		fillMap(t, v)
	}
}

// fillMap never leaves a map nil: the machines write to the maps that they were started with.
func fillMap(t *rapid.T, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	for range rapid.SampledFrom([]int{0, 1, 3, 3, 5}).Draw(t, "size") {
		key, val := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key)
		fill(t, val)
		v.SetMapIndex(key, val)
	}
}
