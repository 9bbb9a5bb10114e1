package setup

import (
	"slices"
	"strings"
	"testing"
)

var backup = Witness{Name: "backup", Address: "10.0.0.9", Host: "backup.example.org"}

// withCorosync is a node of two whose corosync has no third vote yet.
func withCorosync() *fakeSystem {
	sys := newFake()
	sys.files["/etc/pve/corosync.conf"] = []byte("nodelist {\n  node {\n    name: node1\n  }\n  node {\n    name: node2\n  }\n}\nquorum {\n  provider: corosync_votequorum\n}\n")
	return sys
}

// What Proxmox's command would stumble over is said before it begins, with what to do.
func TestQDeviceSaysWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lacks func(*fakeSystem)
		want  string
	}{
		{"corosync-qnetd on the witness", func(f *fakeSystem) { f.noQnetd = true }, "ssh root@10.0.0.9 apt install corosync-qnetd"},
		{"corosync-qdevice here", func(f *fakeSystem) { f.noQdevice = true }, "on every node: apt install corosync-qdevice"},
		{"the host key of the address", func(f *fakeSystem) { f.noHost = "10.0.0.9" }, "ssh root@10.0.0.9 once"},
	} {
		sys := withCorosync()
		tt.lacks(sys)
		err := QDevice{Layout: Standard, Witness: backup}.Do(t.Context(), sys)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if slices.ContainsFunc(sys.argv, func(line string) bool { return strings.HasPrefix(line, "pvecm") }) {
			t.Errorf("%s: Proxmox's command was begun: %v", tt.name, sys.argv)
		}
	}
}

// Proxmox's command, broken off wherever, is gone on with by the next run: it refuses certificates that it has left itself, and does not start
// its daemon when the configuration is there.
func TestQDeviceGoesOn(t *testing.T) {
	step := QDevice{Layout: Standard, Witness: backup}
	for _, at := range []string{"certificates", "configured"} {
		sys := withCorosync()
		sys.dieAt = at
		if err := step.Do(t.Context(), sys); err == nil {
			t.Fatalf("broken off at %s: no error", at)
		}
		if done, err := step.Done(t.Context(), sys); done || err != nil {
			t.Errorf("broken off at %s: done %t, %v", at, done, err)
		}
		sys.dieAt = ""
		do(t, sys, []Step{step})
		if done, err := step.Done(t.Context(), sys); !done || err != nil {
			t.Errorf("broken off at %s, run again: done %t, %v\n%s", at, done, err, sys.files["/etc/pve/corosync.conf"])
		}
	}
}

// A file of the package, where one is given, is installed on a witness that has none, and on no other.
func TestWitnessWithoutThePackage(t *testing.T) {
	sys := withCorosync()
	sys.noPackage = true
	sys.files["/root/bascule.deb"] = []byte("the package")
	member := RemoteMember{Layout: Standard, Witness: backup}
	if err := member.Do(t.Context(), sys); err == nil || !strings.Contains(err.Error(), "--witness-package FILE") {
		t.Errorf("%v", err)
	}
	with := backup
	with.Package = "/root/bascule.deb"
	do(t, sys, []Step{RemotePackage{with}})
	if string(sys.remote["package"]) != "the package" {
		t.Errorf("installed was %q", sys.remote["package"])
	}
	ran := len(sys.argv)
	do(t, sys, []Step{RemotePackage{with}})
	if len(sys.argv) != ran+1 {
		t.Errorf("a second run did %v", sys.argv[ran:])
	}
}
