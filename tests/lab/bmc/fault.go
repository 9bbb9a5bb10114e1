package bmc

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind names a way in which a BMC fails.
type Kind string

// The faults. Each was seen on real devices.
const (
	None          Kind = ""
	SaysDone      Kind = "says-done"      // answers 204 to a command and does nothing; reads the truth
	ReadsOff      Kind = "reads-off"      // the same, and after ForceOff it reads "Off" while the node runs on
	StuckOff      Kind = "stuck-off"      // reads "Off" always, commanded or not, and does nothing
	Hang          Kind = "hang"           // takes requests and never answers
	Refuse        Kind = "refuse"         // closes every connection
	WrongUUID     Kind = "wrong-uuid"     // shows another system's UUID: the cables were swapped
	Rubbish       Kind = "rubbish"        // answers 200 with something that is not Redfish
	Slow          Kind = "slow"           // answers every request late
	DeadWithNode  Kind = "dead-with-node" // vanishes from the network while its node has no power
	WrongPassword Kind = "wrong-password" // its password was changed: 401 to everybody
)

// kinds lists every fault in the order in which help texts show them.
var kinds = []Kind{SaysDone, ReadsOff, StuckOff, Hang, Refuse, WrongUUID, Rubbish, Slow, DeadWithNode, WrongPassword}

// slowBy is how late a slow BMC answers if the fault does not say.
const slowBy = 2 * time.Second

// Fault is a kind with its argument.
type Fault struct {
	Kind  Kind
	Delay time.Duration // Slow only
}

// Kinds lists the names of all faults.
func Kinds() []string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = string(k)
	}
	return out
}

// ParseFault reads "clear", a kind, or "slow=4s".
func ParseFault(text string) (Fault, error) {
	name, arg, hasArg := strings.Cut(text, "=")
	if name == "clear" && !hasArg {
		return Fault{}, nil
	}
	if !slices.Contains(kinds, Kind(name)) {
		return Fault{}, fmt.Errorf("BMC fault %q is not known: write clear or one of %s", text, strings.Join(Kinds(), ", "))
	}
	f := Fault{Kind: Kind(name)}
	if f.Kind == Slow {
		f.Delay = slowBy
	}
	if !hasArg {
		return f, nil
	}
	d, err := time.ParseDuration(arg)
	if f.Kind != Slow || err != nil || d < 0 {
		return Fault{}, fmt.Errorf("BMC fault %q: only slow takes a value, a duration as in slow=4s", text)
	}
	f.Delay = d
	return f, nil
}

// String writes the fault as ParseFault reads it.
func (f Fault) String() string {
	switch f.Kind {
	case None:
		return "clear"
	case Slow:
		return "slow=" + f.Delay.String()
	}
	return string(f.Kind)
}
