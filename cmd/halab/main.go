// Command halab runs a whole Bascule cluster on one machine, to try and to test it: nodes of real processes, a
// simulated Proxmox VE, a network that can be cut, BMCs and watchdogs. It needs no root and uses loopback addresses only.
//
// It may never kill a process that does not belong to the lab it was asked about.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"bascule/tests/lab/pvesim"
)

func main() {
	pvesim.RunChild() // this program is also the simulated Proxmox's workers and guests; then this does not return
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	if err := root.ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errSaid) {
			fmt.Fprintln(os.Stderr, "halab:", err)
		}
		os.Exit(1)
	}
}

// errSaid is a failure whose reason has been printed already.
var errSaid = errors.New("said")
