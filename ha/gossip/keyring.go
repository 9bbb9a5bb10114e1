package gossip

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ErrKeyring is wrapped by every refusal of a gossip key or key file.
var ErrKeyring = errors.New("gossip keyring refused")

// maxKeyFile bounds what is read of a key file, in bytes.
const maxKeyFile = 64 << 10

// LoadKeyring reads a key file: one base64 key a line, the first encrypts, all decrypt (so that a key can be rotated);
// empty lines and lines with # are skipped. Keys are 16, 24 or 32 bytes. The file must be readable by its owner only.
func LoadKeyring(path string) ([][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w: write the cluster's key file there (one base64 key a line)", ErrKeyring, err)
	}
	defer f.Close()
	info, err := f.Stat() // of the open file, so that it cannot be exchanged between the check and the reading
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKeyring, path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrKeyring, path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o, so that others than its owner can use it: run chmod 600 %s, and if it was exposed, make a new key", ErrKeyring, path, perm, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("%w: reading %s: %w", ErrKeyring, path, err)
	}
	return parseKeyring(path, string(text))
}

func parseKeyring(path, text string) ([][]byte, error) {
	var keys [][]byte
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil { // the decoder's error names positions only, never the key; still, ours says enough
			return nil, fmt.Errorf("%w: %s line %d is not base64", ErrKeyring, path, i+1)
		}
		if err := checkKey(key); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", path, i+1, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: %s holds no key: write one base64 key of 32 random bytes", ErrKeyring, path)
	}
	return keys, nil
}

func checkKey(key []byte) error {
	switch len(key) {
	case 16, 24, 32:
		return nil
	}
	return fmt.Errorf("%w: a key has %d bytes, must be 16, 24 or 32", ErrKeyring, len(key))
}
