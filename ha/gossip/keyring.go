package gossip

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
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

// SetKeys exchanges the keys of a running gossip: the first one encrypts from now on, all of them decrypt, and no other does any more. What
// was encrypted with a key that is not in the list is lost, so nobody may still send with one that goes. On an error nothing, or all but
// the removal of old keys, was done.
func (g *Gossip) SetKeys(keys [][]byte) error {
	if len(keys) == 0 {
		return fmt.Errorf("%w: no key", ErrKeyring)
	}
	for _, k := range keys {
		if err := checkKey(k); err != nil {
			return err
		}
	}
	g.keys.Lock()
	defer g.keys.Unlock()
	for _, k := range keys {
		if err := g.ring.AddKey(k); err != nil {
			return fmt.Errorf("%w: %w", ErrKeyring, err)
		}
	}
	if err := g.ring.UseKey(keys[0]); err != nil {
		return fmt.Errorf("%w: %w", ErrKeyring, err)
	}
	// From the end: the ring hands its own list out to those who decrypt, and a removal in the middle would move keys under them.
	for _, old := range slices.Backward(slices.Clone(g.ring.GetKeys())) {
		if slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, old) }) {
			continue
		}
		if err := g.ring.RemoveKey(old); err != nil {
			return fmt.Errorf("%w: %w", ErrKeyring, err)
		}
	}
	return nil
}

// Keys says which keys a running gossip has, as Fingerprints; the first one encrypts.
func (g *Gossip) Keys() []string {
	g.keys.Lock()
	defer g.keys.Unlock()
	return Fingerprints(g.ring.GetKeys())
}

// Fingerprints names keys without giving them away: the first eight digits of their SHA-256.
func Fingerprints(keys [][]byte) []string {
	out := make([]string, 0, len(keys))
	for _, k := range keys {
		sum := sha256.Sum256(k)
		out = append(out, hex.EncodeToString(sum[:4]))
	}
	return out
}

// WriteKeyring replaces a key file: one key a line, the first encrypts; mode 0600.
func WriteKeyring(path string, keys [][]byte) error {
	var text strings.Builder
	for _, k := range keys {
		if err := checkKey(k); err != nil {
			return err
		}
		text.WriteString(base64.StdEncoding.EncodeToString(k) + "\n")
	}
	if text.Len() == 0 {
		return fmt.Errorf("%w: no key", ErrKeyring)
	}
	if err := renameio.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("%w: %w: the old keys stay", ErrKeyring, err)
	}
	return nil
}
