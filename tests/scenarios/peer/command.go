package peer

import (
	"strconv"
	"strings"
	"time"
)

// Command is one line of a cmdlist. Verb holds all the words that make the kind: "power on", "service migrate", "crm disarm-ha".
type Command struct {
	Text    string
	Verb    string
	Subject string // a node or a guest; "" for none
	Args    []string
}

// ParseCommand reads a line. What it does not know becomes a command whose verb is its first word: whoever carries it out says so.
func ParseCommand(text string) Command {
	c := Command{Text: text}
	f := strings.Fields(text)
	switch {
	case len(f) == 0:
	case (f[0] == "power" || f[0] == "network") && len(f) == 3:
		c.Verb, c.Subject = f[0]+" "+f[2], f[1]
	case (f[0] == "service" || f[0] == "crm") && len(f) >= 3:
		c.Verb, c.Subject, c.Args = f[0]+" "+f[2], f[1], f[3:]
		if c.Verb == "service enabled" {
			c.Verb = "service started"
		}
	case len(f) == 2 && f[0] != "delay":
		c.Verb, c.Subject = f[0], f[1]
	default:
		c.Verb, c.Args = f[0], f[1:]
	}
	return c
}

// arg is the n-th argument, "" when there is none.
func (c Command) arg(n int) string {
	if n < len(c.Args) {
		return c.Args[n]
	}
	return ""
}

// delay is how long a delay command holds the next list back.
func (c Command) delay() (time.Duration, bool) {
	if c.Verb != "delay" {
		return 0, false
	}
	n, err := strconv.Atoi(c.arg(0))
	return time.Duration(n) * time.Second, err == nil
}

const (
	firstStep = 20 * time.Second
	stepEvery = 100 * time.Second
	delayEcho = 80 * time.Second
	afterLast = 500 * time.Second
)

// times says when each step is applied and when the run ends, from the beginning.
func times(steps [][]Command) (at []time.Duration, end time.Duration) {
	t := firstStep
	end = t + afterLast
	for _, step := range steps {
		at = append(at, t)
		end = t + afterLast
		next := stepEvery
		for _, c := range step {
			if d, ok := c.delay(); ok {
				next = d + delayEcho
			}
		}
		t += next
	}
	return at, end
}
