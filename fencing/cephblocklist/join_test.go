package cephblocklist

import (
	"errors"
	"slices"
	"testing"

	"bascule/fencing"
)

func TestANodeIsKnownByTheAddressThatTheClusterSees(t *testing.T) {
	c := newCluster(t)
	got, err := Method.Join(soon(t), c.settings(), "node2", "boot-7")
	if err != nil || !slices.Equal(got, []string{"ip:10.0.5.11"}) {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := parseClients(got); err != nil {
		t.Errorf("it publishes what it would refuse: %v", err)
	}
	noProcessLeft(t, c)
	if _, err := Method.Join(soon(t), map[string]string{"pools": "x"}, "node2", "boot-7"); !errors.Is(err, fencing.ErrSettings) {
		t.Errorf("%v", err)
	}
}
