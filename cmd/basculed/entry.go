//go:build !pages

package main

import (
	"errors"
	"fmt"
	"os"

	"bascule/config"
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
