package setuptest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Command answers one command line of pvesh (without that word) from what a file keeps, and keeps what came of it. Calls of several processes
// wait for each other on the lock file. secret makes a token's; nil: PVE's own.
func Command(file, lock string, secret func(token string) string, argv []string) ([]byte, error) {
	l, err := os.OpenFile(lock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	pve := New()
	if data, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(data, pve); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	pve.Secret = secret
	out, err := pve.Run(argv)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(pve)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.WriteFile(file+"~", data, 0o600), os.Rename(file+"~", file)); err != nil {
		return nil, err
	}
	return out, nil
}
