package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"bascule/ha/setup/setuptest"
)

// pvesh answers one command line from what the shared tree keeps. The API takes any token; which there are is only kept.
func pvesh(argv []string) error {
	const kept = tree + "/priv/standin.json"
	lock, err := os.OpenFile(tree+"/priv/lock/standin", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	pve := setuptest.New()
	if data, err := os.ReadFile(kept); err == nil {
		if err := json.Unmarshal(data, pve); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := pve.Run(argv)
	if err != nil {
		return err
	}
	data, err := json.Marshal(pve)
	if err != nil {
		return err
	}
	if err := replace(kept, data); err != nil {
		return err
	}
	_, err = os.Stdout.Write(out)
	return err
}
