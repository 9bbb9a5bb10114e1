package fencing

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// maxSecret bounds a file with a secret, in bytes.
const maxSecret = 4 << 10

// ReadSecret reads the one-line file that a setting names: methods do it anew for each command, so that a change needs no restart.
// It refuses a file that anybody but its owner can read. Errors wrap ErrSettings and hold nothing of the content.
func ReadSecret(setting, file string) (string, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe must not keep us
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrSettings, setting, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("%w: %s %s: %w", ErrSettings, setting, file, err)
	}
	if !st.Mode().IsRegular() {
		return "", fmt.Errorf("%w: %s %s is not a regular file: write it into one", ErrSettings, setting, file)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%w: %s %s can be read or changed by others (mode %04o): run chmod 0600 %s, and change it if somebody may have seen it",
			ErrSettings, setting, file, st.Mode().Perm(), file)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("%w: %s %s: %w", ErrSettings, setting, file, err)
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" || len(b) > maxSecret || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("%w: %s %s must hold the secret on one line and nothing else", ErrSettings, setting, file)
	}
	return secret, nil
}
