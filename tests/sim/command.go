package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"bascule/ha"
)

// Command is something that happens to the site: a fault, or what a person does. As text: "12.5s cut cluster node1 node2 for 20s".
type Command struct {
	At   time.Duration
	Verb string
	Args []string
	For  time.Duration // undone after so long; 0: it stays, or needs no undoing
}

// String is the command as ParseCommand reads it.
func (c Command) String() string {
	s := c.At.String() + " " + c.Verb
	for _, a := range c.Args {
		s += " " + a
	}
	if c.For > 0 {
		s += " for " + c.For.String()
	}
	return s
}

// verb is one kind of command: how many arguments it takes, whether it may last, and what it does. apply gets on=false when the
// command's time is over.
type verb struct {
	args  string // for people
	lasts bool
	apply func(w *World, c Command, on bool)
}

// ParseCommand reads a command; the error says what is wrong with it.
func ParseCommand(line string) (Command, error) {
	f := strings.Fields(line)
	if len(f) < 2 {
		return Command{}, fmt.Errorf("command %q: write TIME VERB ARGUMENTS [for DURATION]", line)
	}
	at, err := time.ParseDuration(f[0])
	if err != nil {
		return Command{}, fmt.Errorf("command %q: %w", line, err)
	}
	c := Command{At: at, Verb: f[1], Args: f[2:]}
	if n := len(c.Args); n >= 2 && c.Args[n-2] == "for" {
		if c.For, err = time.ParseDuration(c.Args[n-1]); err != nil {
			return Command{}, fmt.Errorf("command %q: %w", line, err)
		}
		c.Args = c.Args[:n-2]
	}
	return c, c.check()
}

// check says what is wrong with a command's shape.
func (c Command) check() error {
	v, ok := verbs[c.Verb]
	switch {
	case !ok:
		return fmt.Errorf("command %q: there is no verb %q", c, c.Verb)
	case len(c.Args) != len(strings.Fields(v.args)):
		return fmt.Errorf("command %q: %s takes: %s", c, c.Verb, v.args)
	case c.For > 0 && !v.lasts:
		return fmt.Errorf("command %q: %s does not last", c, c.Verb)
	}
	return nil
}

// apply does a command now, and undoes it when its time is over.
func (w *World) apply(c Command) {
	w.loop.Logf("command", "%s", c)
	v := verbs[c.Verb]
	if strings.HasPrefix(c.Verb, "device-") && w.device(c) == nil {
		w.loop.Logf("command", "there is no such device")
		return
	}
	w.judge.command(c)
	v.apply(w, c, true)
	if c.For > 0 {
		w.loop.After(c.For, func() {
			w.loop.Logf("command", "over: %s", c)
			v.apply(w, c, false)
			w.judge.over(c)
		})
	}
}

func (w *World) host(c Command, i int) *Host { return w.machine.Host(c.Args[i]) }

func (c Command) vmid(i int) ha.VMID { return ha.VMID(c.int(i)) }

func (c Command) int(i int) int {
	n, err := strconv.Atoi(c.Args[i])
	if err != nil {
		return 0
	}
	return n
}

func (c Command) duration(i int) time.Duration {
	d, err := time.ParseDuration(c.Args[i])
	if err != nil {
		return 0
	}
	return d
}

// nets are the networks that a word names.
func nets(word string) []NetKind {
	switch word {
	case "cluster":
		return []NetKind{NetCluster}
	case "corosync":
		return []NetKind{NetCorosync}
	case "storage":
		return []NetKind{NetStorage}
	case "mgmt":
		return []NetKind{NetMgmt}
	}
	return []NetKind{NetCluster, NetCorosync, NetStorage, NetMgmt}
}
