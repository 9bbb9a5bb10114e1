package fenceagent

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"bascule/fencing"
)

// optionName is how agents name their options.
var optionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*$`)

// refused are the options that are not a site's to set, and why.
var refused = map[string]string{
	"action":         "Bascule gives the action itself: status, off or on",
	"option":         "it is an old name of action, which Bascule gives itself",
	"verbose":        "a talking agent may print its password",
	"verbose_level":  "a talking agent may print its password",
	"quiet":          "Bascule needs what the agent says",
	"help":           "it keeps the agent from working",
	"version":        "it keeps the agent from working",
	"missing_as_off": "a machine that the device does not find is not off",
	"delay":          "it would use up device_timeout; fence_delay in the configuration waits at the right place",
}

// secretWords are parts of names of options that hold secrets, in every agent known.
var secretWords = []string{"passw", "passphrase", "secret", "token", "community", "api_key", "apikey"}

// checkOptions tells everything that is wrong with the options at once, without showing a value.
func (s settings) checkOptions() error {
	var wrong []string
	seen := map[string]string{}
	for _, set := range []struct {
		prefix string
		values map[string]string
	}{{optionPrefix, s.options}, {secretPrefix, s.secrets}} {
		for _, name := range slices.Sorted(maps.Keys(set.values)) {
			key := set.prefix + name
			if why := faulty(set.prefix, name, set.values[name]); why != "" {
				wrong = append(wrong, fmt.Sprintf("setting %q %s", fencing.Printable(key, 80), why))
			} else if other := seen[plain(name)]; other != "" {
				wrong = append(wrong, fmt.Sprintf("settings %q and %q are the same option: remove one", other, key))
			}
			seen[plain(name)] = key
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", fencing.ErrSettings, strings.Join(wrong, "; "))
}

// faulty says what is wrong with one option, empty if nothing is.
func faulty(prefix, name, value string) string {
	why := refused[plain(name)]
	switch {
	case !optionName.MatchString(name):
		return "names no option: write option.NAME or secret.NAME with a name that the agent lists with -o metadata"
	case strings.HasPrefix(plain(name), "debug"):
		return "is not allowed: a talking agent may write its password into a file; remove it"
	case why != "":
		return "is not allowed: " + why + "; remove it"
	case strings.TrimSpace(value) == "":
		return "is empty: write its value, or remove it"
	case hasControl(value):
		return "has a line break or another control character in its value: remove it"
	case plain(name) == "method" && strings.EqualFold(strings.TrimSpace(value), "cycle"):
		return "is not allowed to be cycle: Bascule only switches off and on; remove it"
	case prefix == optionPrefix && isSecret(name):
		return fmt.Sprintf("is a secret: write it into a file of mode 0600, and here secret.%s: and the path of the file", name)
	case prefix == secretPrefix && !filepath.IsAbs(value):
		return "is no absolute path: write the path of the file that holds the secret, never the secret"
	}
	return ""
}

// plain is one writing of an option's name: agents take hyphens for underscores.
func plain(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }

func isSecret(name string) bool {
	return slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(plain(name), w) })
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// input is what the agent reads: one name=value a line, the action first. It reads the secrets from their files and returns their
// values as well, to be kept out of every text.
func (s settings) input(action string) (in []byte, secrets []string, err error) {
	var b strings.Builder
	fmt.Fprintf(&b, "action=%s\n", action)
	for _, name := range slices.Sorted(maps.Keys(s.options)) {
		fmt.Fprintf(&b, "%s=%s\n", name, quoted(s.options[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(s.secrets)) {
		secret, err := fencing.ReadSecret(secretPrefix+name, s.secrets[name])
		if err != nil {
			return nil, nil, err
		}
		if hasControl(secret) {
			return nil, nil, fmt.Errorf("%w: %s%s %s holds a control character, which agents do not take", fencing.ErrSettings, secretPrefix, name, s.secrets[name])
		}
		fmt.Fprintf(&b, "%s=%s\n", name, quoted(secret))
		secrets = append(secrets, secret)
	}
	return []byte(b.String()), secrets, nil
}

// quoted protects a value from ClusterLabs' library, which takes away white space at the ends and one pair of quotation marks.
func quoted(value string) string {
	if value != strings.TrimSpace(value) || len(value) > 1 && strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`) {
		return `"` + value + `"`
	}
	return value
}
