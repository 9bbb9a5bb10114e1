package ha

import "testing"

func TestNodeOf(t *testing.T) {
	for host, want := range map[string]NodeName{"node1": "node1", "node1.example.org\n": "node1", " node1 ": "node1", "": "", ".org": ""} {
		if got := NodeOf(host); got != want {
			t.Errorf("%q: %q", host, got)
		}
	}
}

func TestGuestsOfBothKinds(t *testing.T) {
	for kind, want := range map[GuestKind][3]string{QEMU: {"qemu-server", "qm", "VM 101"}, LXC: {"lxc", "pct", "CT 101"}} {
		if got := [3]string{kind.ConfigDir(), kind.Tool(), kind.Label(101)}; got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
	for id, want := range map[VMID]bool{-100: false, 0: false, 99: false, 100: true, 999999999: true, 1000000000: false} {
		if id.Valid() != want {
			t.Errorf("%d is valid: %t", id, id.Valid())
		}
	}
}
