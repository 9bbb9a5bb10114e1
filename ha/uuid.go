package ha

import (
	"encoding/hex"
	"strings"
)

// placeholders are UUIDs that boards carry when nobody gave them one: they identify nothing. Each stands for its
// byte-swapped form as well.
var placeholders = []string{
	"00000000000000000000000000000000",
	"ffffffffffffffffffffffffffffffff",
	"03000200040005000006000700080009", // reference firmware's default, shipped by many board makers
	"12345678123456781234567812345678",
	"123456781234567890abcddeefaabbcc", // another common default
}

// SameUUID says whether two system UUIDs name the same machine, one from the kernel (DMI product_uuid), one from a
// fencing device. Case, braces, hyphens and a urn:uuid: prefix do not matter, nor whether the first three groups are
// byte-swapped: SMBIOS stores them little-endian, and firmwares disagree who turns them round. Texts that are no UUID, and
// placeholders that many machines share, are never the same as anything.
func SameUUID(a, b string) bool {
	x, ok := parseUUID(a)
	if !ok {
		return false
	}
	y, ok := parseUUID(b)
	if !ok {
		return false
	}
	return x == y || x == swapped(y)
}

// ValidUUID says whether s is a UUID that can identify a machine.
func ValidUUID(s string) bool { _, ok := parseUUID(s); return ok }

func parseUUID(s string) (u [16]byte, ok bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	s = strings.TrimPrefix(s, "urn:uuid:")
	s = strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}")
	if len(s) == 36 {
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return u, false
		}
		s = strings.ReplaceAll(s, "-", "")
	}
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(u) {
		return u, false
	}
	copy(u[:], raw)
	for _, p := range placeholders {
		known, _ := hex.DecodeString(p)
		if k := [16]byte(known); u == k || u == swapped(k) {
			return u, false
		}
	}
	return u, true
}

// swapped turns the bytes of the first three groups round.
func swapped(u [16]byte) [16]byte {
	u[0], u[1], u[2], u[3] = u[3], u[2], u[1], u[0]
	u[4], u[5] = u[5], u[4]
	u[6], u[7] = u[7], u[6]
	return u
}
