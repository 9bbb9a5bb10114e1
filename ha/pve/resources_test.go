package pve

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"bascule/ha"
)

// As PVE reads its section files. In doubt a guest is PVE's: two managers would be worse than none.
func TestHAResourcesAsPVEReadsThem(t *testing.T) {
	vm, ct := ha.GuestRef{ID: 102, Kind: ha.QEMU}, ha.GuestRef{ID: 200, Kind: ha.LXC}
	managed, ours := map[ha.GuestRef]string{vm: "started"}, map[ha.GuestRef]string{}
	for text, want := range map[string]map[ha.GuestRef]string{
		"": ours,
		"vm: 102\n\tcomment c\n\tmax_relocate 1\n\tstate started\n\nct: 200\n\tstate ignored\n": managed,
		"vm: 102\n\tstate disabled\n\nct: 200\n":                                                {vm: "disabled", ct: "started"},
		"vm: 102\n":                                                                             managed, // no state means started
		"VM:102\n  state\tignored\r\n":                                                          ours,
		"vm: 102\n\n\tstate ignored\n":                                                          managed, // a blank line ends the section
		"vm: 102\n\tstate started\n\tstate ignored\n":                                           managed, // of two the first counts
		"vm: 102\n\tcomment state ignored\n":                                                    managed,
		"vm: 102\n#\tstate ignored\n\t# state ignored\n":                                        managed,
		"vm: 102\n\tstates ignored\n":                                                           managed,
		"vm: 102\nfencing: x\n\tstate ignored\n":                                                managed,
		"vm: 102\n\tstate ignored soon\n":                                                       {vm: "ignored soon"},
		"vm: 102\n\n\nvm: 102\n\tstate ignored\n":                                               managed, // two sections that differ
		"vm: 102\n\tstate ignored\n\nvm: 102\n":                                                 managed,
		"# vm: 102\nvm: abc\nvm 103\nstorage: 102\n":                                            ours,
	} {
		if diff := cmp.Diff(want, ParseHAResources([]byte(text))); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestPools(t *testing.T) {
	pools := ParsePools([]byte("user:root@pam:1:0::::::\npool:club:our%20club:101,200:san:\npool:empty:\npool:\npool:more::200;x 300:\n"))
	want := Pools{"club": {101, 200}, "empty": nil, "": nil, "more": {200, 300}}
	if diff := cmp.Diff(want, pools); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"club", "more"}, pools.Of(200)); diff != "" {
		t.Error(diff)
	}
	if got := pools.Of(102); got != nil {
		t.Errorf("102 is in %q", got)
	}
}

func TestGuestOf(t *testing.T) {
	for name, want := range map[string]ha.VMID{"100.conf": 100, "999999999.conf": 999999999,
		"099.conf": 0, "99.conf": 0, "1000000000.conf": 0, "101.conf.tmp.7": 0, "x100.conf": 0, "100.conf\n": 0, "notanid.conf": 0, "": 0} {
		if id, ok := GuestOf(name); id != want || ok != (want != 0) {
			t.Errorf("%q: %d, %t", name, id, ok)
		}
	}
}
