package main

import (
	"os"

	"bascule/ha/setup/setuptest"
)

// pvesh answers one command line from what the shared tree keeps. The API takes any token; which there are is only kept.
func pvesh(argv []string) error {
	out, err := setuptest.Command(tree+"/priv/standin.json", tree+"/priv/lock/standin", nil, argv)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(out)
	return err
}
