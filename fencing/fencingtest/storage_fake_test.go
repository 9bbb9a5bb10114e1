package fencingtest_test

import (
	"testing"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
)

func TestFakeStorageConforms(t *testing.T) {
	fakes := map[string]*fencingtest.FakeStorage{}
	method := fencingtest.StorageMethod(fakes)
	fencingtest.RunStorage(t, fencingtest.Harness[fencingtest.StorageMachine]{
		Method: method,
		New: func(t *testing.T) (fencingtest.StorageMachine, map[string]string) {
			f := fencingtest.NewFakeStorage("vm-disks", "data")
			fakes[t.Name()] = f
			return f, map[string]string{"machine": t.Name()}
		},
		Switch: fencingtest.InProcess(fencing.Methods{method}),
	}, fencingtest.Storages{
		Names:   []string{"vm-disks", "data"},
		Clients: []string{"fake:node2-a", "fake:node2-b"},
		Other:   "fake:node1",
	})
}
