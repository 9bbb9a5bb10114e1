//go:build !pages

package main

import (
	"errors"
	"fmt"
	"os"

	"bascule/config"
)

// Exit statuses. exitConfig is EX_CONFIG: systemd does not restart on it.
const (
	exitFailure = 1
	exitConfig  = 78
)

func main() {
	if err := root().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		var c *config.Error
		if errors.As(err, &c) {
			os.Exit(exitConfig)
		}
		os.Exit(exitFailure)
	}
}
