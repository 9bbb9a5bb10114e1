package cephblocklist

import (
	"os"
	"strings"
	"testing"
)

// The rights with which the tests against a real cluster work: those that Grant gives.
const (
	rights     = monRights
	rightsDown = monRightsDown
)

// The page must show what the tests against a real cluster have tried.
func TestThePageShowsTheseRights(t *testing.T) {
	page, err := os.ReadFile("../../docs/fencing/ceph-blocklist.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(strings.Split(poolRights("vms"), ", "), "mon '"+rights+"'", "mon '"+rightsDown+"'") {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, k := range keys {
		if !strings.Contains(string(page), "`"+k.Name+"`") {
			t.Errorf("the page lacks the setting %s", k.Name)
		}
	}
}

// TestGrant: one command gives an account what all its devices need, and nothing of other accounts' or clusters'.
func TestGrant(t *testing.T) {
	one := map[string]string{"storages": "vm", "pools": "vms"}
	two := map[string]string{"storages": "vm", "pools": "vms,data", "mark_down": "true", "host": "node2"}
	others := []map[string]string{{"storages": "x", "pools": "theirs", "client": "other"}, {"storages": "x", "pools": "far", "monitors": "10.0.0.1"}, {"nonsense": "x"}}
	for _, c := range []struct {
		all  []map[string]string
		want string
	}{
		{nil, "ceph auth caps client.bascule mon '" + rights + "' osd '" + poolRights("vms") + "'"},
		{append(others, one), "ceph auth caps client.bascule mon '" + rights + "' osd '" + poolRights("vms") + "'"},
		{append(others, one, two), "ceph auth caps client.bascule mon '" + rightsDown + "' osd '" + poolRights("data") + ", " + poolRights("vms") + "'"},
	} {
		if got, err := Grant(one, c.all); err != nil || got != c.want {
			t.Errorf("%v: %q, want %q", err, got, c.want)
		}
	}
	if got, err := Grant(others[0], others); err != nil || !strings.HasPrefix(got, "ceph auth caps client.other mon") || strings.Contains(got, "far") {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := Grant(others[2], nil); err == nil {
		t.Errorf("settings that make no device: %q", got)
	}
}
