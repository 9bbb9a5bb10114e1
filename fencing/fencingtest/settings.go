package fencingtest

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"bascule/fencing"
)

// strictSettings demands that a method refuses what is unknown, missing or empty, and says what to write. good are settings that it takes.
func strictSettings(t *testing.T, m fencing.Method, good map[string]string) {
	try := func(what string, settings map[string]string, name string) {
		t.Helper()
		_, err := fencing.Methods{m}.Open(fencing.Spec{Name: "d", Node: "node2", Method: m.Name, Settings: settings})
		if !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("%s: %v, want settings not usable and the name %q", what, err, name)
		}
	}
	odd := maps.Clone(good)
	odd["colour"] = "blue"
	try("an unknown setting", odd, "colour")
	for _, k := range m.Keys {
		if k.Doc == "" {
			t.Errorf("setting %q has no text that says what to write", k.Name)
		}
		if !k.Required {
			continue
		}
		less := maps.Clone(good)
		delete(less, k.Name)
		try("without "+k.Name, less, k.Name)
		less[k.Name] = " "
		try("with an empty "+k.Name, less, k.Name)
	}
}
