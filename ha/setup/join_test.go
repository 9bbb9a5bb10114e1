package setup

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"bascule/ha"
)

func TestJoin(t *testing.T) {
	first := newFake()
	initialise(t, first, threeCeph(), Answers{Devices: []Device{bmcOf("node1")}})
	second := first.other()
	p := join(t, second, at(threeCeph(), "node2"), Answers{}, false)
	if p.Added || p.Reinstall || !p.Voter || len(p.Site) > 0 {
		t.Errorf("%+v", p)
	}
	if string(second.files["/etc/bascule/fencing/node1-bmc.password"]) != "very secret\n" {
		t.Error("node2 could not fence node1 without quorum: it has no copy of the password")
	}
	if string(second.files[Standard.Common()]) != string(first.files[Standard.Common()]) {
		t.Error("joining changed the common part")
	}
	if !strings.Contains(string(second.files[Standard.Config()]), "\nnode: node2\n") || !second.units[UnitDaemon] || first.pve.Tokens["bascule@pve!node2"] == "" {
		t.Errorf("%s %v %v", second.files[Standard.Config()], second.units, first.pve.Tokens)
	}
	writes := second.writes
	join(t, second, at(threeCeph(), "node2"), Answers{}, true)
	if second.writes != writes {
		t.Errorf("a second join wrote %d files", second.writes-writes)
	}
}

// A node that is new to the site becomes a member and a spare; the others are to take it over. The fifth makes five voters.
func TestJoinOfANewNode(t *testing.T) {
	first := newFake()
	initialise(t, first, threeCeph(), Answers{})
	facts := cluster("LAN", "10.0.L.", 1, "node1", "node2", "node3", "node4")
	fourth := first.other()
	p := join(t, fourth, at(facts, "node4"), Answers{}, false)
	m, _ := p.Config.Member("node4")
	if !p.Added || p.Voter || m.Address != "10.0.0.4" || len(p.Config.Voters()) != 3 || len(p.Next) == 0 || !strings.Contains(p.Next[0], "join --update") {
		t.Errorf("%+v %+v", p.Config.Members, p.Next)
	}
	if !slices.Contains(first.pve.Sets[FWName], "10.0.0.4") {
		t.Error("the firewall keeps the new node out")
	}
	facts = cluster("LAN", "10.0.L.", 1, "node1", "node2", "node3", "node4", "node5")
	if p = join(t, fourth.other(), at(facts, "node5"), Answers{}, false); !p.Voter || len(p.Config.Voters()) != 5 || !strings.Contains(strings.Join(p.Next, "\n"), "hactl etcd add node4") {
		t.Errorf("five members have five voters: %v %v", p.Config.Voters(), p.Next)
	}
}

func TestJoinWithABMC(t *testing.T) {
	first := newFake()
	initialise(t, first, threeCeph(), Answers{})
	second := first.other()
	p := join(t, second, at(threeCeph(), "node2"), Answers{Devices: []Device{bmcOf("node2")}}, false)
	if _, ok := p.Config.Device("node2-bmc"); !ok || len(second.files[Standard.Secret("node2-bmc.password")]) == 0 || len(second.files[Standard.Password("node2-bmc")]) == 0 {
		t.Errorf("%+v", p.Config.Fencing)
	}
	if len(p.Next) == 0 {
		t.Error("nobody tells the others")
	}
}

// The node that formed the store comes back with an empty disk: it must not form a second one.
func TestReinstalledFirstNodeFormsNoSecondStore(t *testing.T) {
	first := newFake()
	initialise(t, first, threeCeph(), Answers{})
	second := first.other()
	join(t, second, at(threeCeph(), "node2"), Answers{}, false)
	facts := at(threeCeph(), "node1")
	facts.MachineID = "another machine"
	p := join(t, second.other(), facts, Answers{}, false)
	if !p.Reinstall || !slices.Equal(p.Config.Etcd.InitialVoters, []ha.NodeName{"node2"}) {
		t.Errorf("reinstall %v, formed by %v", p.Reinstall, p.Config.Etcd.InitialVoters)
	}
}

// The same, and nobody has the store: that is a restore's business.
func TestReinstalledOnlyVoterIsRefused(t *testing.T) {
	first := newFake()
	initialise(t, first, threeCeph(), Answers{})
	common := first.files[Standard.Common()]
	joined := Joined{"node1": "machine-node1", "node9": "a client"}
	_, err := MakeJoin(at(threeCeph(), "node1"), Answers{}, common, joined, false, Standard, noon)
	if !errors.Is(err, ErrFacts) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("%v", err)
	}
}

func TestJoinBeforeInit(t *testing.T) {
	if _, err := MakeJoin(at(threeCeph(), "node2"), Answers{}, nil, nil, false, Standard, noon); !errors.Is(err, ErrFacts) || !strings.Contains(err.Error(), "hactl init") {
		t.Errorf("%v", err)
	}
}

func TestWitness(t *testing.T) {
	sys := newFake()
	facts := cluster("dmz", "10.0.L.", 1, "node1", "node2")
	sys.files["/etc/pve/corosync.conf"] = []byte("nodelist {\n  node {\n    name: node1\n    nodeid: 1\n    ring0_addr: 10.0.0.1\n  }\n}\nquorum {\n  provider: corosync_votequorum\n}\ntotem {\n}\n")
	w := Answers{Witness: &Witness{Name: "backup", Address: "10.0.0.9", Host: "backup"}}
	initialise(t, sys, facts, w)
	for _, name := range []string{"basculed.yaml", "tls/ca.pem", "tls/node.pem", "tls/node.key", "gossip.keys"} {
		if len(sys.remote[Standard.Local(name)]) == 0 {
			t.Errorf("the witness has no %s", name)
		}
	}
	text := string(sys.remote[Standard.Config()])
	if !strings.Contains(text, "node: backup") || strings.Contains(text, "guard:") {
		t.Errorf("the witness's configuration:\n%s", text)
	}
	if _, ok := sys.remote[Standard.Local("proxmox.token")]; ok {
		t.Error("a witness has no business with Proxmox")
	}
	if !slices.Contains(sys.argv, "pvecm qdevice setup 10.0.0.9") {
		t.Error("corosync got no third vote")
	}
	ran := len(sys.argv)
	cert := string(sys.remote[Standard.Local("tls/node.pem")])
	initialise(t, sys, facts, w)
	for _, line := range sys.argv[ran:] {
		if strings.Contains(line, "umask") || strings.HasPrefix(line, "pvecm") || strings.Contains(line, "restart") {
			t.Errorf("a second run did: %s", line)
		}
	}
	if string(sys.remote[Standard.Local("tls/node.pem")]) != cert {
		t.Error("a good certificate was issued anew")
	}
	for _, line := range sys.argv {
		if strings.Contains(line, "PRIVATE KEY") {
			t.Error("a key stands on a command line")
		}
	}
}

// Adding a witness later changes the members and nothing else.
func TestWitnessLater(t *testing.T) {
	sys := newFake()
	initialise(t, sys, threeCeph(), Answers{})
	before := string(sys.files[Standard.Common()])
	p := initialise(t, sys, threeCeph(), Answers{Witness: &Witness{Name: "backup", Address: "10.0.0.9", Host: "backup"}})
	if diff := Diff(before, string(sys.files[Standard.Common()])); diff != "+  - {name: backup, address: 10.0.0.9, witness: true}\n" {
		t.Errorf("diff:\n%s", diff)
	}
	if m, ok := p.Config.Member("backup"); !ok || !m.Witness {
		t.Errorf("%+v", p.Config.Members)
	}
}
