package ha

import "strings"

// SameUUID says whether two system UUIDs name one machine. Some BMCs print the first three groups in the other
// byte order than the kernel's DMI (SMBIOS 2.6 made them little-endian), so both orders count as equal.
func SameUUID(a, b string) bool {
	x, okA := uuidHex(a)
	y, okB := uuidHex(b)
	return okA && okB && (x == y || swapUUID(x) == y)
}

// uuidHex strips dashes and case; a UUID of one repeated digit is a vendor's placeholder and names no machine.
func uuidHex(s string) (string, bool) {
	s = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(s), "-", ""))
	if len(s) != 32 || strings.Trim(s, "0123456789abcdef") != "" || strings.Trim(s, s[:1]) == "" {
		return "", false
	}
	return s, true
}

func swapUUID(s string) string {
	rev := func(p string) string {
		out := ""
		for i := len(p); i > 0; i -= 2 {
			out += p[i-2 : i]
		}
		return out
	}
	return rev(s[0:8]) + rev(s[8:12]) + rev(s[12:16]) + s[16:]
}
