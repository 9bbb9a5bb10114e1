package scsipr

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"bascule/fencing"
)

// registrations is the answer to READ KEYS: a key for every nexus that is registered, so one key may be there often.
type registrations struct {
	generation uint32
	keys       []Key
	more       bool // the answer may have been cut: ask for more
}

// count is how often a key is registered.
func (r registrations) count(k Key) (n int) {
	for _, x := range r.keys {
		if x == k {
			n++
		}
	}
	return n
}

// list splits an answer of PERSISTENT RESERVE IN into its generation and its body, as far as that was sent.
func list(b []byte, what string) (generation uint32, body []byte, whole bool, err error) {
	if len(b) < 8 {
		return 0, nil, false, fmt.Errorf("%w: %d bytes for %s", fencing.ErrRubbish, len(b), what)
	}
	n := uint64(binary.BigEndian.Uint32(b[4:]))
	body = b[8:]
	if n > uint64(len(body)) {
		return binary.BigEndian.Uint32(b), body, false, nil
	}
	return binary.BigEndian.Uint32(b), body[:n], true, nil
}

// decodeKeys reads the answer to a READ KEYS with an allocation length of size. Some targets count only what fitted, so an answer
// that fills its space is taken as cut.
func decodeKeys(b []byte, size int) (registrations, error) {
	gen, body, whole, err := list(b, "the list of keys")
	if err != nil {
		return registrations{}, err
	}
	r := registrations{generation: gen, more: !whole || 8+len(body)+8 > size}
	if whole && len(body)%8 != 0 {
		return registrations{}, fmt.Errorf("%w: a list of keys of %d bytes", fencing.ErrRubbish, len(body))
	}
	for ; len(body) >= 8; body = body[8:] {
		r.keys = append(r.keys, Key(binary.BigEndian.Uint64(body)))
	}
	return r, nil
}

// reservation is the answer to READ RESERVATION.
type reservation struct {
	generation uint32
	held       bool
	key        Key
	scope, typ byte
}

func decodeReservation(b []byte) (reservation, error) {
	gen, body, whole, err := list(b, "the reservation")
	switch {
	case err != nil:
		return reservation{}, err
	case whole && len(body) == 0:
		return reservation{generation: gen}, nil
	case !whole || len(body) != 16:
		return reservation{}, fmt.Errorf("%w: a reservation of %d bytes", fencing.ErrRubbish, len(body))
	}
	return reservation{generation: gen, held: true, key: Key(binary.BigEndian.Uint64(body)), scope: body[13] >> 4, typ: body[13] & 0x0f}, nil
}

// capabilities is the answer to REPORT CAPABILITIES, as far as it matters.
type capabilities struct {
	keeps   bool // can keep registrations over a power loss (PTPL_C)
	keeping bool // does so now (PTPL_A)
	typed   bool // the next one says something
	suits   bool // knows Write Exclusive – Registrants Only
}

func decodeCapabilities(b []byte) (capabilities, error) {
	if len(b) < 6 || binary.BigEndian.Uint16(b) != 8 {
		return capabilities{}, fmt.Errorf("%w: %d bytes for the capabilities", fencing.ErrRubbish, len(b))
	}
	return capabilities{keeps: b[2]&1 != 0, keeping: b[3]&1 != 0, typed: b[3]&0x80 != 0, suits: b[4]&0x20 != 0}, nil
}

// registrant is one nexus of READ FULL STATUS.
type registrant struct {
	key    Key
	holder bool
	typ    byte
	port   uint16 // relative target port; 0 with allPorts
	all    bool   // registered for every target port
	who    []byte // TransportID
}

// decodeFullStatus reads the answer to READ FULL STATUS; a cut answer gives what was whole of it.
func decodeFullStatus(b []byte) (out []registrant, err error) {
	_, body, whole, err := list(b, "the full status")
	if err != nil {
		return nil, err
	}
	for len(body) >= 24 {
		n := uint64(binary.BigEndian.Uint32(body[20:]))
		if n > uint64(len(body)-24) {
			break
		}
		r := registrant{key: Key(binary.BigEndian.Uint64(body)), all: body[12]&2 != 0, who: body[24 : 24+n]}
		if r.holder = body[12]&1 != 0; r.holder {
			r.typ = body[13] & 0x0f
		}
		if !r.all {
			r.port = binary.BigEndian.Uint16(body[18:])
		}
		out, body = append(out, r), body[24+n:]
	}
	if whole && len(body) > 0 {
		return nil, fmt.Errorf("%w: a full status that does not end with a registration", fencing.ErrRubbish)
	}
	return out, nil
}

// decodeIdentity reads the unit's own name out of VPD page 83h: the best of NAA, EUI-64 and T10, whichever is there. Empty: none.
func decodeIdentity(b []byte) string {
	if len(b) < 4 || b[1] != 0x83 {
		return ""
	}
	body := b[4:min(len(b), 4+int(binary.BigEndian.Uint16(b[2:])))]
	best, name := 0, ""
	rank := map[byte]int{3: 3, 2: 2, 1: 1}
	for len(body) >= 4 && 4+int(body[3]) <= len(body) {
		kind, association, id := body[1]&0x0f, body[1]>>4&3, body[4:4+int(body[3])]
		if r := rank[kind]; association == 0 && r > best && len(id) > 0 {
			best, name = r, fmt.Sprintf("%d.%s", kind, hex.EncodeToString(id))
		}
		body = body[4+int(body[3]):]
	}
	return name
}
