package ipmi

import (
	"fmt"
	"slices"

	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing"
	"bascule/ha"
)

// systemUUID asks for the system GUID. A controller that does not know the command has told the same GUID in the handshake,
// signed with the account's password. Empty: it tells none.
func (s *session) systemUUID(expected string) (string, error) {
	a, err := s.call(types.CommandGetSystemGUID, nil)
	if err != nil {
		return "", err
	}
	guid := s.guid
	if a.code == types.CodeOK {
		if len(a.data) != len(guid) {
			return "", fmt.Errorf("%w: a system GUID of %d bytes", fencing.ErrRubbish, len(a.data))
		}
		guid = [16]byte(a.data)
	}
	return uuidText(guid, expected), nil
}

// uuidText writes a GUID as a UUID. On the wire there are three orders: that of RFC 4122 (the text's), that of SMBIOS (the
// first three groups turned round; ha.SameUUID takes both for the same) and that of IPMI (everything turned round). No
// field tells which. If the UUID of the machine is known the order in which it fits is the right one; otherwise it is
// the order in which version and variant look like a UUID's. A wrong guess matches nothing, so it can only hinder.
func uuidText(guid [16]byte, expected string) string {
	if guid == [16]byte{} {
		return ""
	}
	turned := guid
	slices.Reverse(turned[:])
	plain, reversed := text(guid), text(turned)
	switch {
	case expected != "" && ha.SameUUID(plain, expected):
		return plain
	case expected != "" && ha.SameUUID(reversed, expected):
		return reversed
	case !plausible(guid) && plausible(turned):
		return reversed
	}
	return plain
}

func text(u [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// plausible says whether, in RFC 4122's or SMBIOS's order, it has that standard's variant and one of its versions.
func plausible(u [16]byte) bool {
	version := func(b byte) bool { return b>>4 >= 1 && b>>4 <= 5 }
	return u[8]>>6 == 0b10 && (version(u[6]) || version(u[7]))
}
