package scsipr

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"bascule/fencing"
	"bascule/ha"
)

// ClientKind is the kind of the address that a node publishes for this method, as "scsi-key:" and 16 hexadecimal digits.
const ClientKind = "scsi-key"

// mark is the first byte of every key of Bascule's: other bytes belong to somebody else.
const mark = 0xb5

// Key is a reservation key: the mark, four bytes of the node, three of the boot.
type Key uint64

// KeyOf is the key of one boot of a node.
func KeyOf(node ha.NodeName, boot ha.Incarnation) Key {
	n := sha256.Sum256([]byte("bascule scsi-pr node\x00" + string(node)))
	b := sha256.Sum256([]byte("bascule scsi-pr boot\x00" + string(node) + "\x00" + string(boot)))
	return Key(binary.BigEndian.Uint64([]byte{mark, n[0], n[1], n[2], n[3], b[0], b[1], b[2]}))
}

// String is the key in 16 hexadecimal digits.
func (k Key) String() string { return fmt.Sprintf("%016x", uint64(k)) }

// Client is the key as a node publishes it.
func (k Key) Client() string { return ClientKind + ":" + k.String() }

// ours says whether the key carries the mark.
func (k Key) ours() bool { return k>>56 == mark }

// kin says whether two keys belong to the same node, of whatever boots.
func (k Key) kin(o Key) bool { return k>>24 == o>>24 }

// parseKey reads 16 hexadecimal digits.
func parseKey(s string) (Key, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		return 0, fmt.Errorf("%w: %q is no key of 16 hexadecimal digits, as a node publishes it", fencing.ErrSettings, fencing.Printable(s, 32))
	}
	if !Key(n).ours() {
		return 0, fmt.Errorf("%w: the key %s does not carry Bascule's mark, it may be another cluster's", fencing.ErrSettings, s)
	}
	return Key(n), nil
}

// victims are the keys among a node's addresses. Addresses of other kinds are other methods' business, but somebody who
// published addresses and no key is not known here, and nothing can be said of him.
func victims(clients []string) ([]Key, error) {
	var keys []Key
	for _, c := range clients {
		kind, value, _ := strings.Cut(c, ":")
		if kind != ClientKind {
			continue
		}
		k, err := parseKey(value)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 && len(clients) > 0 {
		return nil, fmt.Errorf("%w: the node published no %s, so it is not known which registration is its own: its own basculed has to register one first", fencing.ErrSettings, ClientKind)
	}
	return keys, nil
}
