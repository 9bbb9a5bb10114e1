package cephblocklist

import (
	"testing"

	"bascule/fencing/fencingtest"
)

func TestConforms(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(*state)
	}{
		{"with ranges", func(*state) {}},
		{"without ranges", func(s *state) { s.NoRanges = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fencingtest.RunStorage(t, fencingtest.Harness[fencingtest.StorageMachine]{
				Method: Method,
				New: func(t *testing.T) (fencingtest.StorageMachine, map[string]string) {
					x := newCluster(t)
					x.change(c.setup)
					t.Cleanup(func() { noProcessLeft(t, x) })
					return x, x.settings()
				},
				Switch:  child().Switch,
				Secrets: []string{key},
			}, fencingtest.Storages{
				Names:    []string{"ceph-vm", "ceph-data"},
				Clients:  []string{"ip:10.0.5.12", "ip:fd00:5::12"},
				Other:    "ip:10.0.5.13",
				Restores: true,
			})
		})
	}
}
