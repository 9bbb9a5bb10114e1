package redfish

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"bascule/fencing"
)

// maxPassword bounds the password file, in bytes.
const maxPassword = 4 << 10

// readPassword reads the password anew for each command, so that a change needs no restart. It refuses a file that
// anybody but its owner can read.
func readPassword(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("%w: password_file: %w", fencing.ErrSettings, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("%w: password_file %s: %w", fencing.ErrSettings, file, err)
	}
	if !st.Mode().IsRegular() {
		return "", fmt.Errorf("%w: password_file %s is not a regular file: write the password into one", fencing.ErrSettings, file)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%w: password_file %s can be read or changed by others (mode %04o): run chmod 0600 %s, and change the password if somebody may have seen it",
			fencing.ErrSettings, file, st.Mode().Perm(), file)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
	if err != nil {
		return "", fmt.Errorf("%w: password_file %s: %w", fencing.ErrSettings, file, err)
	}
	pw := strings.TrimRight(string(b), "\r\n")
	if pw == "" || len(b) > maxPassword || strings.ContainsAny(pw, "\r\n") {
		return "", fmt.Errorf("%w: password_file %s must hold the password on one line and nothing else", fencing.ErrSettings, file)
	}
	return pw, nil
}

// scrubber removes a password, in the shapes that it takes on the wire, from texts of a device that echoes it.
func scrubber(user, password string) *strings.Replacer {
	quoted, _ := json.Marshal(password)
	shapes := []string{
		base64.StdEncoding.EncodeToString([]byte(user + ":" + password)),
		base64.StdEncoding.EncodeToString([]byte(password)),
		strings.Trim(string(quoted), `"`), url.QueryEscape(password), url.PathEscape(password), password,
	}
	var pairs []string
	for _, s := range shapes {
		pairs = append(pairs, s, "(secret)")
	}
	return strings.NewReplacer(pairs...)
}
