package config

import (
	"reflect"
	"slices"
	"strings"

	"bascule/ha"
)

// GuardConfig is the part of the configuration that `basculed guard` uses.
type GuardConfig struct {
	Node   ha.NodeName // for the log
	RunDir string
	Guard  Guard
	Own    []Device // the fencing devices of this node: of some the guard watches the node's own side
	Timing ha.Timing
	Log    Log
}

// guardKeys are the top-level settings that concern the guard.
var guardKeys = []string{"run_dir", "timing", "guard", "log"}

// LoadGuard reads the guard's part of the file at path. Problems in other sections do not keep the guard from starting: it must
// come up to end guests even while basculed refuses its configuration. Unknown sections do: they may be its own, misspelt. Devices that
// cannot be read are left out.
func LoadGuard(path string) (*GuardConfig, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return parseGuard(path, data, here())
}

func parseGuard(name string, data []byte, env surroundings) (*GuardConfig, error) {
	c, s := parse(name, data, env)
	var own []Problem
	for _, p := range s.problems {
		if concernsGuard(p.Path) {
			own = append(own, p)
		}
	}
	if err := asError(own); err != nil {
		return nil, err
	}
	devices := slices.DeleteFunc(c.Devices(), func(d Device) bool { return d.Node != c.Node })
	return &GuardConfig{Own: devices, Node: c.Node, RunDir: c.RunDir, Guard: c.Guard, Timing: c.timing, Log: c.Log}, nil
}

// concernsGuard says whether a problem with this setting is the guard's.
func concernsGuard(path string) bool {
	top, _, _ := strings.Cut(path, ".")
	top, _, _ = strings.Cut(top, "[")
	if slices.Contains(guardKeys, top) {
		return true
	}
	return !slices.ContainsFunc(fieldsOf(reflect.TypeFor[Config]()), func(f field) bool { return f.key == top })
}
