package sbd

import (
	"os"
	"testing"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
)

// testServant as argv[0] makes this test binary a servant whose disks are files.
const testServant = "bascule-sbd-test"

func TestMain(m *testing.M) {
	if os.Args[0] == testServant {
		os.Exit(serve(os.Args[1:], os.Stdin, os.Stdout, openFile))
	}
	fencingtest.Main(m, fileMethod(), Method)
}

// fileMethod is the method with servants whose disks are files.
func fileMethod() fencing.Method {
	return fencing.Method{Name: "sbd-files", Keys: keys, Poison: func(raw map[string]string) (fencing.PoisonDevice, error) {
		s, err := parse(raw)
		if err != nil {
			return nil, err
		}
		return &device{settings: s, servants: servants{testServant}}, nil
	}}
}
