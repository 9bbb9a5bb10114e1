package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/tests/sim"
)

func init() { sim.AddScenarioVerbs() }

// parser reads a scenario line by line. Expectations name guests and nodes: they are read when the whole site is known.
type parser struct {
	s      *Scenario
	inSite bool
	body   bool // past the comment at the top
	later  []later
	last   time.Duration // latest time named anywhere
}

type later struct {
	line int
	text string
}

// line takes one line in.
func (p *parser) line(n int, raw string) error {
	text := strings.TrimSpace(raw)
	switch {
	case n == 1 && strings.HasPrefix(text, "waiting:"):
		p.s.Waiting = strings.TrimSpace(strings.TrimPrefix(text, "waiting:"))
		return nil
	case strings.HasPrefix(text, "#"):
		if !p.body {
			p.s.Comment = strings.TrimSpace(p.s.Comment + " " + strings.TrimSpace(strings.TrimPrefix(text, "#")))
		}
		return nil
	case text == "":
		return nil
	}
	p.body = true
	indented := raw[0] == ' ' || raw[0] == '\t'
	if p.inSite && indented {
		return p.s.site.line(n, strings.Fields(text))
	}
	p.inSite = text == "site"
	if p.inSite {
		return nil
	}
	return p.statement(n, text)
}

// statement is a line outside the site block.
func (p *parser) statement(n int, text string) error {
	f := strings.Fields(text)
	switch f[0] {
	case "allow":
		for _, r := range f[1:] {
			if !slices.Contains(rules, r) {
				return fmt.Errorf("allow %s: the judge has no such rule; it has: %s", r, strings.Join(rules, " "))
			}
		}
		p.s.allowed = append(p.s.allowed, f[1:]...)
		return nil
	case "refused":
		p.s.refused = strings.TrimSpace(strings.TrimPrefix(text, "refused"))
		return nil
	case "until", "settle":
		d, err := oneTime(f)
		if f[0] == "until" {
			p.s.until = d
		} else {
			p.s.settle = d
		}
		return err
	}
	if _, err := time.ParseDuration(f[0]); err == nil {
		return p.command(n, text)
	}
	if !slices.Contains(expectWords, f[0]) {
		return fmt.Errorf("unknown word %q: write a command (TIME VERB ...), or one of: site, allow, refused, until, settle, %s", f[0], strings.Join(expectWords, ", "))
	}
	p.later = append(p.later, later{n, text})
	return nil
}

// rules are the judge's.
var rules = []string{"R1", "R2", "R3", "R4", "R5", "R7", "R8", "part5", "fence", "stuck"}

func oneTime(f []string) (time.Duration, error) {
	if len(f) != 2 {
		return 0, fmt.Errorf("%s: write one duration, like 90s", f[0])
	}
	d, err := time.ParseDuration(f[1])
	if err != nil {
		return 0, fmt.Errorf("%s %s: write a duration, like 90s", f[0], f[1])
	}
	return d, nil
}

func (p *parser) command(n int, text string) error {
	c, err := sim.ParseCommand(text)
	if err != nil {
		return err
	}
	p.s.commands = append(p.s.commands, command{n, c})
	p.last = max(p.last, c.At+c.For)
	return nil
}

// finish checks names and reads the expectations.
func (p *parser) finish() error {
	s := p.s
	if err := s.site.finish(); err != nil {
		return fmt.Errorf("%s:%w", s.Path, err)
	}
	for _, c := range s.commands {
		if err := c.CheckNames(s.site.spec); err != nil {
			return s.fail(c.line, err)
		}
	}
	for _, l := range p.later {
		e, err := s.expectation(l.line, strings.Fields(l.text))
		if err != nil {
			return s.fail(l.line, err)
		}
		e.line, e.text = l.line, l.text
		p.last = max(p.last, e.last)
		s.expects = append(s.expects, e)
	}
	if s.until == 0 {
		s.until = p.last + 10*time.Second
	}
	if s.settle == 0 {
		s.settle = 150 * time.Second
	}
	if len(s.expects) == 0 && s.refused == "" {
		return fmt.Errorf("%s: it expects nothing; a scenario that cannot fail shows nothing", s.Path)
	}
	return s.late()
}

// late refuses what the story's end would cut off.
func (s *Scenario) late() error {
	for _, e := range s.expects {
		if e.last > s.until {
			return s.fail(e.line, fmt.Errorf("%v lies after the scenario's end, %v; correct `until`", e.last, s.until))
		}
	}
	for _, c := range s.commands {
		if c.At >= s.until {
			return s.fail(c.line, fmt.Errorf("%v lies after the scenario's end, %v; correct `until`", c.At, s.until))
		}
	}
	return nil
}
