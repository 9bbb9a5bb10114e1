package lab

import (
	"fmt"
	"os"
	"testing"

	"bascule/tests/lab/pvesim"
)

// TestMain lets this test program be everything that a lab is made of: the world, the simulated Proxmox's workers and
// guests, and the stand-ins for basculed and its guard.
func TestMain(m *testing.M) {
	pvesim.RunChild()
	if len(os.Args) > 2 && os.Args[1] == "world" {
		exit(Run(os.Args[3]))
	}
	if len(os.Args) > 2 && os.Args[1] == "standin" {
		exit(standIn(os.Args[2], os.Args[3:]))
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
