package setup

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/setup/discover"
	"bascule/ha/setup/setuptest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func decode64(b []byte) ([]byte, error) { return base64.StdEncoding.DecodeString(string(b)) }

// at is a site's facts as one of its nodes shows them.
func at(f discover.Facts, node ha.NodeName) discover.Facts {
	f.Node, f.Members.Node, f.MachineID = node, node, "machine-"+string(node)
	return f
}

// initialise runs init on a fake machine.
func initialise(t *testing.T, sys *fakeSystem, f discover.Facts, a Answers) Plan {
	t.Helper()
	common, _ := sys.ReadFile(Standard.Common())
	p, err := Make(f, a, common, Standard, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), sys, slices.Concat(p.Site, p.Own, p.Witness), func(Step, Outcome) {}); err != nil {
		t.Fatal(err)
	}
	return p
}

// join runs join on a second machine that shares Proxmox's tree.
func join(t *testing.T, sys *fakeSystem, f discover.Facts, a Answers, hasStore bool) JoinPlan {
	t.Helper()
	common, _ := sys.ReadFile(Standard.Common())
	joined, err := ReadJoined(sys, Standard)
	if err != nil {
		t.Fatal(err)
	}
	p, err := MakeJoin(f, a, common, joined, hasStore, Standard, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), sys, slices.Concat(p.Site, p.Own), func(Step, Outcome) {}); err != nil {
		t.Fatal(err)
	}
	return p
}

// other is another node of the same site: it has Proxmox's tree and API, and nothing of its own.
func (f *fakeSystem) other() *fakeSystem {
	o := newFake()
	o.pve = f.pve
	for name, data := range f.files {
		if strings.HasPrefix(name, "/etc/pve/") {
			o.files[name] = data
		}
	}
	return o
}

func bmcOf(node ha.NodeName) Device {
	return Device{DeviceSettings: config.DeviceSettings{Name: string(node) + "-bmc", Node: node, Method: "ipmi", Settings: map[string]string{"address": "10.0.9.1", "user": "bascule"}}, Password: "very secret"}
}

func TestInitMakesEverythingOnce(t *testing.T) {
	sys := newFake()
	f := threeCeph()
	initialise(t, sys, f, Answers{Devices: []Device{bmcOf("node1")}})
	for name, secret := range map[string]bool{
		"/etc/pve/bascule/ca.pem": false, "/etc/pve/priv/bascule/ca.key": true, "/etc/pve/priv/bascule/gossip.keys": true, "/etc/pve/priv/bascule/node1-bmc.password": true,
		"/etc/bascule/tls/ca.pem": false, "/etc/bascule/tls/node.pem": false, "/etc/bascule/tls/node.key": true, "/etc/bascule/gossip.keys": true,
		"/etc/bascule/fencing/node1-bmc.password": true, "/etc/bascule/proxmox.token": true, "/etc/bascule/basculed.yaml": false, "/etc/pve/bascule/nodes/node1": false,
	} {
		if len(sys.files[name]) == 0 {
			t.Errorf("%s was not written", name)
		}
		if secret && sys.modes[name] != 0o600 {
			t.Errorf("%s has mode %04o, want 0600", name, sys.modes[name])
		}
	}
	if !sys.units[UnitDaemon] || !sys.units[UnitGuard] {
		t.Errorf("units %v", sys.units)
	}
	if len(sys.pve.ACL) != 2 || sys.pve.Roles[RoleID] != "Sys.Audit,VM.Audit,Datastore.Audit,VM.PowerMgmt,VM.Migrate" {
		t.Errorf("user and token need the role: %+v %v", sys.pve.ACL, sys.pve.Roles)
	}
	rule := func(action, proto, ports, source string) setuptest.Rule {
		return setuptest.Rule{Type: "in", Action: action, Proto: proto, Dport: ports, Source: source, Enable: 1}
	}
	tcp, udp := "2379,2380,7946,8790", "7946"
	if want := []setuptest.Rule{rule("ACCEPT", "tcp", tcp, "+bascule"), rule("ACCEPT", "udp", udp, "+bascule"), rule("DROP", "tcp", tcp, ""), rule("DROP", "udp", udp, "")}; !slices.Equal(sys.pve.Groups[FWName], want) || len(sys.pve.Sets[FWName]) != 3 || len(sys.pve.Rules) != 1 {
		t.Errorf("firewall %+v %v %v", sys.pve.Groups, sys.pve.Sets, sys.pve.Rules)
	}
	for _, line := range sys.argv {
		if strings.Contains(line, "secret") {
			t.Errorf("a secret stands on a command line: %s", line)
		}
	}

	writes, files := sys.writes, len(sys.files)
	p := initialise(t, sys, f, Answers{})
	if sys.writes != writes || len(sys.files) != files {
		t.Errorf("a second run wrote %d files", sys.writes-writes)
	}
	if open, err := Open(t.Context(), sys, slices.Concat(p.Site, p.Own)); err != nil || len(open) > 0 {
		t.Errorf("open after the second run: %v %v", open, err)
	}
}

// Broken off at every command in turn, the next run ends where an unbroken one does.
func TestInitGoesOn(t *testing.T) {
	whole := newFake()
	initialise(t, whole, threeCeph(), Answers{})
	for at := 1; at <= len(whole.argv); at++ {
		sys := newFake()
		sys.failAt = at
		p, err := Make(threeCeph(), Answers{}, nil, Standard, noon)
		if err != nil {
			t.Fatal(err)
		}
		_ = Apply(t.Context(), sys, slices.Concat(p.Site, p.Own), func(Step, Outcome) {})
		initialise(t, sys, threeCeph(), Answers{})
		if len(sys.files) != len(whole.files) || len(sys.pve.ACL) != len(whole.pve.ACL) || !slices.Equal(sys.pve.Groups[FWName], whole.pve.Groups[FWName]) ||
			len(sys.pve.Rules) != 1 || strings.TrimSpace(string(sys.files["/etc/bascule/proxmox.token"])) != sys.pve.Tokens["bascule@pve!node1"] {
			t.Fatalf("broken off at command %d (%s): not the same end", at, whole.argv[at-1])
		}
	}
}

// A token whose secret is lost is made anew: Proxmox shows a secret once.
func TestTokenIsMadeAnewWhenItsSecretIsLost(t *testing.T) {
	sys := newFake()
	initialise(t, sys, threeCeph(), Answers{})
	before := sys.pve.Tokens["bascule@pve!node1"]
	delete(sys.files, "/etc/bascule/proxmox.token")
	initialise(t, sys, threeCeph(), Answers{})
	after := sys.pve.Tokens["bascule@pve!node1"]
	if after == before || strings.TrimSpace(string(sys.files["/etc/bascule/proxmox.token"])) != after {
		t.Errorf("token %q, was %q, file %q", after, before, sys.files["/etc/bascule/proxmox.token"])
	}
	if len(sys.pve.ACL) != 2 {
		t.Errorf("the new token has no role: %+v", sys.pve.ACL)
	}
}

// A role that somebody widened is narrowed again; firewall rules that somebody changed are put right.
func TestDriftIsPutRight(t *testing.T) {
	sys := newFake()
	initialise(t, sys, threeCeph(), Answers{})
	sys.pve.Roles[RoleID] = "Sys.Audit,VM.Allocate"
	sys.pve.Sets[FWName] = []string{"10.0.0.1", "192.0.2.7"}
	sys.pve.Groups[FWName] = sys.pve.Groups[FWName][1:]
	initialise(t, sys, threeCeph(), Answers{})
	if strings.Contains(sys.pve.Roles[RoleID], "VM.Allocate") || slices.Contains(sys.pve.Sets[FWName], "192.0.2.7") || len(sys.pve.Groups[FWName]) != 4 {
		t.Errorf("%v %v %v", sys.pve.Roles, sys.pve.Sets, sys.pve.Groups)
	}
}

// What a person changes in the common part, and in the own part of a node, stays.
func TestPeoplesChangesStay(t *testing.T) {
	sys := newFake()
	initialise(t, sys, threeCeph(), Answers{})
	common := string(sys.files[Standard.Common()]) + "limits:\n  max_restart: 3 # our choice\n"
	sys.files[Standard.Common()] = []byte(common)
	own := strings.Replace(string(sys.files[Standard.Config()]), "node: node1\n", "node: node1\nlog:\n  level: debug # for a while\n", 1)
	sys.files[Standard.Config()] = []byte(own)
	steps, want, have, err := Update(sys, "node1", Standard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := Diff(string(have), string(want)); diff != "+limits:\n+  max_restart: 3 # our choice\n" {
		t.Errorf("diff:\n%s", diff)
	}
	if err := Apply(t.Context(), sys, steps, func(Step, Outcome) {}); err != nil {
		t.Fatal(err)
	}
	text := string(sys.files[Standard.Config()])
	if !strings.Contains(text, "level: debug # for a while") || !strings.Contains(text, "max_restart: 3") {
		t.Errorf("lost:\n%s", text)
	}
	initialise(t, sys, threeCeph(), Answers{})
	if string(sys.files[Standard.Common()]) != common {
		t.Errorf("init changed the common part:\n%s", Diff(common, string(sys.files[Standard.Common()])))
	}
}

// A configuration that was written by hand is kept beside the new one.
func TestHandWrittenConfigurationIsKept(t *testing.T) {
	sys := newFake()
	sys.files[Standard.Config()] = []byte("cluster: mine\n")
	initialise(t, sys, threeCeph(), Answers{})
	if string(sys.files[Standard.Config()+".by-hand"]) != "cluster: mine\n" {
		t.Error("it is gone")
	}
	sys.files[Standard.Config()] = []byte("cluster: mine\n")
	if _, _, _, err := Update(sys, "node1", Standard); !errors.Is(err, ErrFacts) {
		t.Errorf("join --update overwrote it: %v", err)
	}
}

func TestCommonPartHoldsNothingOfANode(t *testing.T) {
	sys := newFake()
	initialise(t, sys, threeCeph(), Answers{})
	bad := append(sys.files[Standard.Common()], []byte("guard:\n  trust_softdog: true\n")...)
	if _, err := ParseCommon(bad); !errors.Is(err, ErrCommon) || !strings.Contains(err.Error(), "guard") {
		t.Errorf("%v", err)
	}
}

// A node that listens on another address than its members' calls itself there: its certificate names both.
func TestCertificateNamesTheBindAddress(t *testing.T) {
	sys := newFake()
	sys.files[Standard.Config()] = []byte("node: node1\nbind_address: 10.9.9.9\n" + border + "\n")
	initialise(t, sys, threeCeph(), Answers{})
	block, _ := pem.Decode(sys.files[Standard.Local("tls/node.pem")])
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || leaf.VerifyHostname("[10.9.9.9]") != nil || leaf.VerifyHostname("[10.0.0.1]") != nil || leaf.VerifyHostname("node1") != nil {
		t.Errorf("%v %v %v", leaf.IPAddresses, leaf.DNSNames, err)
	}
}
