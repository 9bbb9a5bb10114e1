package fencingtest

import (
	"os"
	"testing"

	"bascule/fencing"
)

// childMark in the environment makes a test binary the child that carries out an order.
const childMark = "BASCULE_TEST_FENCE_CHILD"

// Main is the TestMain of a package with a method: it runs the tests or, in a binary that Child started, carries out one order.
func Main(m *testing.M, methods ...fencing.Method) {
	if os.Getenv(childMark) != "" {
		os.Exit(fencing.RunChild(os.Args[1:], os.Stdin, os.Stdout, methods))
	}
	os.Exit(m.Run())
}

// Child re-executes the test binary for each order. env is added to its environment.
func Child(env ...string) fencing.Child {
	return fencing.Child{Path: "/proc/self/exe", Args: []string{"fence-device"}, Env: append(env, childMark+"=1"), Stderr: os.Stderr}
}
