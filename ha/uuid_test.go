package ha_test

import (
	"testing"

	"bascule/ha"
)

func TestSameUUID(t *testing.T) {
	const dmi = "4c4c4544-0051-3410-8052-b4c04f564232"
	for _, c := range []struct {
		name, a, b string
		want       bool
	}{
		{"equal", dmi, dmi, true},
		{"upper case", dmi, "4C4C4544-0051-3410-8052-B4C04F564232", true},
		{"first three groups byte-swapped", dmi, "44454c4c-5100-1034-8052-b4c04f564232", true},
		{"line end, as the kernel's file has it", dmi + "\n", dmi, true},
		{"no hyphens", dmi, "4c4c4544005134108052b4c04f564232", true},
		{"braces", dmi, "{4c4c4544-0051-3410-8052-b4c04f564232}", true},
		{"urn", dmi, "urn:uuid:4c4c4544-0051-3410-8052-b4c04f564232", true},
		{"Supermicro's with the network address", "00000000-0000-0000-0000-0cc47a847624", "00000000-0000-0000-0000-0CC47A847624", true},
		{"another machine", dmi, "4c4c4544-0033-4710-8032-c7c04f475931", false},
		{"last group differs", dmi, "4c4c4544-0051-3410-8052-b4c04f564233", false},
		{"only two groups swapped", dmi, "44454c4c-5100-3410-8052-b4c04f564232", false},
		{"last groups swapped", dmi, "4c4c4544-0051-3410-5280-b4c04f564232", false},
		{"all bytes reversed", dmi, "3242564f-c0b4-5280-1034-510044454c4c", false},
		{"empty", "", "", false},
		{"no UUID", "Not Settable", "Not Settable", false},
		{"hyphens in odd places", "4c4c45440051-3410-8052-b4c04f5642-32", dmi, false},
		{"zeros", "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000", false},
		{"all ones", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "ffffffff-ffff-ffff-ffff-ffffffffffff", false},
		{"board maker's default", "03000200-0400-0500-0006-000700080009", "03000200-0400-0500-0006-000700080009", false},
		{"the same, swapped", "00020003-0004-0005-0006-000700080009", "00020003-0004-0005-0006-000700080009", false},
	} {
		if got := ha.SameUUID(c.a, c.b); got != c.want {
			t.Errorf("%s: SameUUID(%q, %q) = %v", c.name, c.a, c.b, got)
		}
		if got := ha.SameUUID(c.b, c.a); got != c.want {
			t.Errorf("%s: not symmetrical", c.name)
		}
	}
}
