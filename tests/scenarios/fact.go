package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// fact is something that is true or not at each moment.
type fact struct {
	sub  *subject
	true func(value string) bool
}

// fact reads the words after the time.
func (s *Scenario) fact(f []string) (fact, error) {
	sub, rest, err := s.subject(f)
	if err != nil {
		return fact{}, err
	}
	t, err := predicate(sub.name, rest)
	return fact{sub, t}, err
}

// predicate is what the words after a subject's name ask of its value.
func predicate(name string, f []string) (func(string) bool, error) {
	wrong := fmt.Errorf("%s %s: write: %s", name, strings.Join(f, " "), subjectHelp)
	text := strings.Join(f, " ")
	switch {
	case name == "guests" && text == "all guests run":
		return is(allRun), nil
	case name == "guests" && text == "no guest runs":
		return is(noneRuns), nil
	case name == "guests":
		return nil, wrong
	case strings.HasSuffix(name, " runs") || strings.HasSuffix(name, " writes"):
		return placed(f, wrong)
	case len(f) > 1 && f[0] == "says":
		words := strings.ToLower(strings.Trim(strings.Join(f[1:], " "), `"`))
		return func(v string) bool { return strings.Contains(strings.ToLower(v), words) }, nil
	case len(f) != 1:
		return nil, wrong
	}
	return oneOf(name, f[0])
}

func is(want string) func(string) bool { return func(v string) bool { return v == want } }

// placed is for guests: "", "nowhere", "on NODE|NODE". On two nodes at once is on neither alone.
func placed(f []string, wrong error) (func(string) bool, error) {
	switch {
	case len(f) == 0:
		return func(v string) bool { return v != nowhere }, nil
	case len(f) == 1 && f[0] == nowhere:
		return is(nowhere), nil
	case len(f) == 2 && f[0] == "on":
		want := strings.Split(f[1], "|")
		return func(v string) bool {
			return !slices.ContainsFunc(strings.Split(v, "+"), func(n string) bool { return !slices.Contains(want, n) })
		}, nil
	}
	return nil, wrong
}

// words that subjects can have; those without an entry have names of nodes.
var valueWords = map[string][]string{
	"node": {string(ha.NodeOnline), string(ha.NodeSuspect), string(ha.NodeFencing), string(ha.NodeFenced), string(ha.NodeMaintenance), string(ha.NodeDraining),
		string(ha.NodeQuarantined), string(ha.NodeOffline), nothing},
	"guest": {string(ha.GuestStarted), string(ha.GuestStopped), string(ha.GuestStarting), string(ha.GuestStopping), string(ha.GuestMigrating), string(ha.GuestRelocating),
		string(ha.GuestFence), string(ha.GuestRecovery), string(ha.GuestFrozen), string(ha.GuestError), string(ha.GuestUnprotected), nothing},
	"machine":  {"up", "off", "booting", "frozen", "crashed"},
	"lease":    {"held", "gone"},
	"permit":   {"lease", "peers", nothing},
	"watchdog": {"armed", "idle"},
	"device":   {usable, nothing},
}

// oneOf reads "a|b", each a word that the subject can have.
func oneOf(name, text string) (func(string) bool, error) {
	want := strings.Split(text, "|")
	known := wordsOf(name)
	for _, w := range want {
		if known != nil && !slices.Contains(known, w) {
			return nil, fmt.Errorf("%s is never %q; it can be: %s", name, w, strings.Join(known, " "))
		}
	}
	return func(v string) bool { return slices.Contains(want, v) }, nil
}

// wordsOf are the values that a subject can have; nil: names of nodes.
func wordsOf(name string) []string {
	f := strings.Fields(name)
	if f[0] == "guest" && len(f) > 2 {
		return nil
	}
	return valueWords[f[0]]
}

// at says whether the fact is true at a moment.
func (f fact) at(t time.Duration) bool {
	v := nothing
	for _, m := range f.sub.line {
		if m.at > t {
			break
		}
		v = m.value
	}
	return f.true(v)
}

// becomes finds the first moment after `from`, up to `to`, at which the fact becomes true, having been false.
func (f fact) becomes(from, to time.Duration) (time.Duration, bool) {
	was := f.at(from)
	for _, m := range f.sub.line {
		is := f.true(m.value)
		if m.at > from && m.at <= to && is && !was {
			return m.at, true
		}
		if m.at > from {
			was = is
		}
	}
	return 0, false
}

// holds finds the first moment from `from` to `to` at which the fact is not as wanted.
func (f fact) holds(want bool, from, to time.Duration) (time.Duration, bool) {
	if f.at(from) != want {
		return from, false
	}
	for _, m := range f.sub.line {
		if m.at > from && m.at <= to && f.true(m.value) != want {
			return m.at, false
		}
	}
	return 0, true
}
