package scenarios

import (
	"fmt"
	"os"
	"strings"
	"time"

	"bascule/tests/sim"
)

// Scenario is one story, as its file tells it.
type Scenario struct {
	Path    string
	Comment string // the sentences at the file's top
	Waiting string // what must exist before it can be run; "": nothing

	site     *site
	commands []command
	expects  []expectation
	allowed  []string // rules of the judge that may be broken
	refused  string   // the site must be refused with these words
	until    time.Duration
	settle   time.Duration
	subjects []*subject
}

// command is a sim.Command with its line, for error messages.
type command struct {
	line int
	sim.Command
}

// Load reads a scenario's file. The error names file and line and says what is wrong there.
func Load(path string) (*Scenario, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, string(b))
}

// Parse reads a scenario's text; path is for error messages only.
func Parse(path, text string) (*Scenario, error) {
	s := &Scenario{Path: path, site: newSite()}
	p := &parser{s: s}
	for i, raw := range strings.Split(text, "\n") {
		if err := p.line(i+1, raw); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
	}
	return s, p.finish()
}

// fail is an error about an earlier line.
func (s *Scenario) fail(line int, err error) error {
	return fmt.Errorf("%s:%d: %w", s.Path, line, err)
}

// first is the moment before the story's first command: until then the cluster comes into being. 0 without commands.
func (s *Scenario) first() time.Duration {
	if len(s.commands) == 0 {
		return 0
	}
	at := s.commands[0].At
	for _, c := range s.commands {
		at = min(at, c.At)
	}
	return max(0, at-1)
}
