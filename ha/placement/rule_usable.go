package placement

import (
	"cmp"

	"bascule/ha"
)

// usable forbids nodes that take no guests now.
func usable(_ *ha.GuestRecord, n *ha.Candidate) string {
	if n.Usable {
		return ""
	}
	return cmp.Or(n.Why, "takes no guests now") // a reason is never empty: empty means allowed
}
