package sbd

import (
	"os"
	"testing"

	"bascule/fencing"
)

// childMark in the environment makes this test binary the child that sends a leader's commands; testServant as argv[0] makes it a servant
// whose disks are files.
const (
	childMark   = "BASCULE_TEST_FENCE_CHILD"
	testServant = "bascule-sbd-test"
)

func TestMain(m *testing.M) {
	if os.Args[0] == testServant {
		os.Exit(serve(os.Args[1:], os.Stdin, os.Stdout, openFile))
	}
	if os.Getenv(childMark) != "" {
		os.Exit(fencing.RunChild(os.Args[1:], os.Stdin, os.Stdout, fencing.Methods{fileMethod(), Method}))
	}
	os.Exit(m.Run())
}

func child() fencing.Child {
	return fencing.Child{Path: "/proc/self/exe", Args: []string{"fence-device"}, Env: []string{childMark + "=1"}, Stderr: os.Stderr}
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
