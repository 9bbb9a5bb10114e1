package cephblocklist

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"bascule/fencing"
)

// maxKeyring bounds a keyring file, in bytes.
const maxKeyring = 64 << 10

// checkKeyring looks at the file that librados will read: only its owner may, and it must hold a key of the account. It returns every key in
// the file, to keep them out of texts. Errors hold nothing of the content.
func checkKeyring(path, client string) (keys []string, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe must not keep us
	if err != nil {
		return nil, fmt.Errorf("%w: keyring: %w", fencing.ErrSettings, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: keyring %s: %w", fencing.ErrSettings, path, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: keyring %s is not a regular file", fencing.ErrSettings, path)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: keyring %s can be read or changed by others (mode %04o): run chmod 0600 %s, and make a new key if somebody may have seen it",
			fencing.ErrSettings, path, st.Mode().Perm(), path)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxKeyring+1))
	if err != nil || len(content) > maxKeyring {
		return nil, fmt.Errorf("%w: keyring %s cannot be read or is no keyring", fencing.ErrSettings, path)
	}
	keys, found := keysIn(content, client)
	if !found {
		return nil, fmt.Errorf("%w: keyring %s holds no key of client.%s: write what ceph auth get client.%s prints into it", fencing.ErrSettings, path, client, client)
	}
	return keys, nil
}

// keysIn returns all keys of a keyring and whether one of them is the account's.
func keysIn(content []byte, client string) (keys []string, found bool) {
	section := ""
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = strings.TrimSpace(line[1 : len(line)-1])
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if key := strings.TrimSpace(value); ok && strings.TrimSpace(name) == "key" && key != "" {
			keys = append(keys, key)
			found = found || section == "client."+client
		}
	}
	return keys, found
}
