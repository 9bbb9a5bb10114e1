package fencing

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// CheckSettings compares settings with the keys that a method knows. Its one error wraps ErrSettings and names every
// setting that is unknown, missing or empty, and what to write; it never shows a value.
func CheckSettings(keys []Key, settings map[string]string) error {
	var wrong, known []string
	for _, k := range keys {
		known = append(known, k.Name)
		if v, given := settings[k.Name]; given && strings.TrimSpace(v) == "" {
			wrong = append(wrong, fmt.Sprintf("setting %q is empty: write %s: %s", k.Name, k.Name, k.Doc))
		} else if !given && k.Required {
			wrong = append(wrong, fmt.Sprintf("setting %q is missing: write %s: %s", k.Name, k.Name, k.Doc))
		}
	}
	var unknown []string
	for name := range settings {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		if len(known) == 0 {
			wrong = append(wrong, fmt.Sprintf("setting %q is unknown: this method has no settings, remove it", name))
			continue
		}
		wrong = append(wrong, fmt.Sprintf("setting %q is unknown: remove it, or write one of %s", name, strings.Join(known, ", ")))
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrSettings, strings.Join(wrong, "; "))
}

// CheckUUID checks the setting uuid; empty: it is not given. The error wraps ErrSettings.
func CheckUUID(uuid string) error {
	if uuid != "" && !ha.ValidUUID(uuid) {
		return fmt.Errorf(`%w: setting "uuid" is no UUID that could identify a machine: write what the node has in /sys/class/dmi/id/product_uuid`, ErrSettings)
	}
	return nil
}
