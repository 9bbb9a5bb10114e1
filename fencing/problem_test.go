package fencing

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bascule/ha"
)

// TestFaultOf: each kind of error is found again in the sentence that people get, also when the sentence is cut.
func TestFaultOf(t *testing.T) {
	long := strings.Repeat("and so on ", 100)
	for _, k := range kinds {
		p := problem(Spec{Name: "d", Node: "n", Method: "m"}, ha.DeviceRead, fmt.Errorf("%w: %s", k.err, long), nil)
		if got := FaultOf(p); got != k.name {
			t.Errorf("%q is told as %q, want %q", p, got, k.name)
		}
	}
	for _, err := range []error{ErrRights, ErrUnsupported} {
		if !errors.Is(err, ErrRefused) || Classify(fmt.Errorf("x: %w", err)) != err {
			t.Errorf("%v is told as %v", err, Classify(err))
		}
	}
	if FaultOf("") != "" || FaultOf("it belongs to another machine") != "" {
		t.Error("what is no device's problem has a fault")
	}
}
