package fenceagent

import (
	"bascule/ha"
)

// GateScript is gate for tests from outside.
var GateScript = gate

// Ending is ending for tests from outside.
type Ending struct {
	Code           int
	Stdout, Stderr string
	Overlong       bool
}

// Judge is judge for tests from outside.
func Judge(action string, e Ending, exitStatusOnly bool) (ha.Power, error) {
	return judge(action, ending{true, e.Code, e.Stdout, e.Stderr, e.Overlong}, exitStatusOnly)
}
