package proxmox

import (
	"context"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bascule/ha"
)

// As PVE reads its section files. In doubt a guest is PVE's: two managers would be worse than none.
func TestHAResourcesAsPVEReadsThem(t *testing.T) {
	const managed, ours = "started", "ignored"
	for text, want := range map[string]map[string]string{
		"": {},
		"vm: 102\n\tcomment c\n\tmax_relocate 1\n\tstate started\n\nct: 200\n\tstate ignored\n": {"VM 102": managed, "CT 200": ours},
		"vm: 102\n":                                      {"VM 102": managed}, // no state means started
		"VM:102\n  state\tignored\r\n":                   {"VM 102": ours},
		"vm: 102\n\n\tstate ignored\n":                   {"VM 102": managed}, // a blank line ends the section
		"vm: 102\n\tstate started\n\tstate ignored\n":    {"VM 102": managed}, // of two the first counts
		"vm: 102\n\tcomment state ignored\n":             {"VM 102": managed},
		"vm: 102\n#\tstate ignored\n\t# state ignored\n": {"VM 102": managed},
		"vm: 102\n\tstates ignored\n":                    {"VM 102": managed},
		"vm: 102\nfencing: x\n\tstate ignored\n":         {"VM 102": managed},
		"vm: 102\n\tstate ignored soon\n":                {"VM 102": "ignored soon"},
		"# vm: 102\nvm: abc\nvm 103\n":                   {},
	} {
		if diff := cmp.Diff(want, parseHAResources(text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

// A file that cannot be read is no empty one: the guest may be in it.
func TestUnreadHAResourcesRefuse(t *testing.T) {
	f, tree := newFakePVE(t), newTree(nil).fail("read", "ha/resources.cfg", syscall.EIO)
	if err := f.driver(t, tree).Start(context.Background(), 100, ha.QEMU); err == nil || len(f.asked) > 0 {
		t.Errorf("got %v, sent %q", err, f.asked)
	}
}
