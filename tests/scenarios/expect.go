package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bascule/ha"
	"bascule/tests/sim"
)

// expectation is one line of a scenario. check returns what was seen instead; "" when it is met.
type expectation struct {
	line  int
	text  string
	last  time.Duration // the latest time that it names
	check func(r *run) string
}

// expectWords begin an expectation.
var expectWords = []string{"by", "at", "between", "from", "not", "never", "always", "end", "expect", "proof", "count", "commands"}

// expectation reads one. Times of facts that name none count from the story's first command.
func (s *Scenario) expectation(_ int, f []string) (expectation, error) {
	switch f[0] {
	case "expect":
		return s.expectSequence(f[1:])
	case "proof":
		return s.expectProofs(f[1:])
	case "commands":
		return s.expectCommands(f[1:])
	case "count":
		return s.expectCount(f[1:])
	}
	return s.expectFact(f)
}

// times reads the leading words of an expectation about a fact.
func times(f []string) (a, b time.Duration, rest []string, err error) {
	shapes := map[string][]string{"by": {"by", "T"}, "at": {"at", "T"}, "not": {"not", "before", "T"}, "between": {"between", "T", "and", "T"}, "from": {"from", "T", "to", "T"},
		"never": {"never"}, "always": {"always"}, "end": {"end"}}
	var got []time.Duration
	shape := shapes[f[0]]
	for i, want := range shape {
		if i >= len(f) || want != "T" && f[i] != want {
			return 0, 0, nil, fmt.Errorf("write: %s FACT, with durations like 20s for T", strings.Join(shape, " "))
		}
		if want == "T" {
			d, err := time.ParseDuration(f[i])
			if err != nil {
				return 0, 0, nil, fmt.Errorf("write: %s FACT, with durations like 20s for T", strings.Join(shape, " "))
			}
			got = append(got, d)
		}
	}
	for len(got) < 2 {
		got = append(got, 0)
	}
	if got[1] != 0 && got[1] <= got[0] {
		return 0, 0, nil, fmt.Errorf("%v does not lie before %v", got[0], got[1])
	}
	return got[0], got[1], f[len(shape):], nil
}

func (s *Scenario) expectFact(f []string) (expectation, error) {
	a, b, rest, err := times(f)
	if err != nil {
		return expectation{}, err
	}
	x, err := s.fact(rest)
	if err != nil {
		return expectation{}, err
	}
	e := expectation{last: max(a, b)}
	e.check = func(*run) string {
		ok, why := x.judge(f[0], a, b, s.first(), s.until)
		if ok {
			return ""
		}
		return why + "\n    " + x.sub.text()
	}
	return e, nil
}

// judge says whether the fact was so at the times that the word asks for, and what was wrong.
func (x fact) judge(word string, a, b, first, until time.Duration) (bool, string) {
	switch word {
	case "by":
		return x.became(first, a)
	case "between":
		return x.became(a, b)
	case "at":
		return x.at(a), "not so then"
	case "end":
		return x.at(until), "not so at the end"
	case "not":
		at, ok := x.holds(false, first, a-1)
		return ok, "already so at " + clock(at)
	case "never":
		at, ok := x.holds(false, first, until)
		return ok, "so at " + clock(at)
	case "from":
		at, ok := x.holds(true, a, b)
		return ok, "not so at " + clock(at)
	}
	at, ok := x.holds(true, first, until)
	return ok, "not so at " + clock(at)
}

func (x fact) became(from, to time.Duration) (bool, string) {
	if _, ok := x.becomes(from, to); ok {
		return true, ""
	}
	if _, always := x.holds(true, from, to); always {
		return false, fmt.Sprintf("so all the time from %s on: then write `from` or `always`", clock(from))
	}
	return false, fmt.Sprintf("it did not become so between %s and %s", clock(from), clock(to))
}

// expectSequence is "SUBJECT: value -> value -> ...": all values that it had, in order.
func (s *Scenario) expectSequence(f []string) (expectation, error) {
	i := slices.IndexFunc(f, func(w string) bool { return strings.HasSuffix(w, ":") })
	if i < 0 {
		return expectation{}, fmt.Errorf("write: expect SUBJECT: VALUE -> VALUE, like: expect node node2: online -> suspect -> fenced")
	}
	words := slices.Clone(f[:i+1])
	words[i] = strings.TrimSuffix(words[i], ":")
	sub, rest, err := s.subject(words)
	if err != nil {
		return expectation{}, err
	}
	if len(rest) > 0 || sub.name == "guests" {
		return expectation{}, fmt.Errorf("%s has no values to put in a row", strings.Join(words, " "))
	}
	want, err := pattern(f[i+1:], wordsOf(sub.name))
	if err != nil {
		return expectation{}, err
	}
	return expectation{check: func(*run) string {
		var got []string
		for _, m := range sub.line {
			if m.value != nothing || len(got) > 0 {
				got = append(got, m.value)
			}
		}
		if want.matches(got) {
			return ""
		}
		return strings.Join(got, " -> ") + "\n    " + sub.text()
	}}, nil
}

// proofWords are the kinds of proof.
var proofWords = []string{string(ha.PowerOffConfirmed), string(ha.NewBoot), string(ha.StorageRevoked), string(ha.PoisonPill), string(ha.SelfFenceElapsed), string(ha.OperatorConfirmed), nothing}

// expectProofs is "NODE KIND -> KIND": all that were committed about it, each kind once for a boot.
func (s *Scenario) expectProofs(f []string) (expectation, error) {
	if len(f) < 2 || !s.site.isNode(f[0]) {
		return expectation{}, fmt.Errorf("write: proof NODE KIND -> KIND, or proof NODE none, with a node of this site")
	}
	want, err := pattern(f[1:], proofWords)
	if err != nil {
		return expectation{}, err
	}
	return expectation{check: func(r *run) string {
		got := r.scene.Proofs(f[0])
		if len(got) == 0 {
			got = []string{nothing}
		}
		if want.matches(got) {
			return ""
		}
		return "proofs about " + f[0] + ": " + strings.Join(got, " -> ")
	}}, nil
}

// expectCommands is "DEVICE: read* off read*": what the device has taken.
func (s *Scenario) expectCommands(f []string) (expectation, error) {
	name := ""
	if len(f) > 1 {
		name = strings.TrimSuffix(f[0], ":")
	}
	i := slices.IndexFunc(s.site.spec.Devices, func(d sim.DeviceSpec) bool { return d.Name == name })
	if i < 0 || s.site.spec.Devices[i].Kind == ha.PoisonDevice {
		return expectation{}, fmt.Errorf("write: commands DEVICE: read* off read*, with a power, storage or reset device of this site")
	}
	want, err := pattern(f[1:], []string{"read", "off", "on", "revoke", "restore", "reset"})
	if err != nil {
		return expectation{}, err
	}
	return expectation{check: func(r *run) string {
		got := r.scene.Commands(name)
		if want.matches(got) {
			return ""
		}
		return name + " took: " + squeeze(got)
	}}, nil
}

// expectCount is "WHAT [NODE] [<=|>=|=] N".
func (s *Scenario) expectCount(f []string) (expectation, error) {
	help := fmt.Errorf("write: count WHAT [NODE] [<=|>=|=] N, with WHAT one of: %s", strings.Join(countWords, " "))
	if len(f) < 2 || !slices.Contains(countWords, f[0]) {
		return expectation{}, help
	}
	n, err := strconv.Atoi(f[len(f)-1])
	if err != nil {
		return expectation{}, help
	}
	node, op := "", "="
	for _, w := range f[1 : len(f)-1] {
		switch {
		case w == "<=" || w == ">=" || w == "=":
			op = w
		case s.site.isNode(w) && node == "" && slices.Contains(countedByNode, f[0]):
			node = w
		default:
			return expectation{}, help
		}
	}
	if f[0] == "elections" { // counted by looking at the leader
		if _, _, err := s.subject([]string{"leader"}); err != nil {
			return expectation{}, err
		}
	}
	return expectation{check: func(r *run) string {
		got, what := r.count(f[0], node)
		if op == "=" && got == n || op == "<=" && got <= n || op == ">=" && got >= n {
			return ""
		}
		return strings.TrimSuffix(fmt.Sprintf("%d: %s", got, strings.Join(what, ", ")), ": ")
	}}, nil
}
