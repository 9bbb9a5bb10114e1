package setup

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/pve"
	"bascule/ha/setup/discover"
)

var update = flag.Bool("update", false, "write the golden files anew")

var softdog = discover.Watchdogs{Mux: true, Devices: []discover.Watchdog{{Number: 0, Path: "/dev/watchdog0", Identity: "Software Watchdog", Holder: "watchdog-mux"}}}

// cluster is a Proxmox cluster of nodes with addresses NET.1, NET.2 …, seen from the first.
func cluster(name, net string, links int, nodes ...ha.NodeName) discover.Facts {
	c := pve.Corosync{Cluster: name, Transport: "knet", Token: pve.DefaultToken, Coefficient: pve.DefaultCoefficient}
	f := discover.Facts{PVE: true, Corosync: &c, Watchdogs: softdog}
	f.Members = pve.Members{Cluster: name, Quorate: true}
	for i, n := range nodes {
		node := pve.CorosyncNode{Name: n, ID: i + 1, Votes: 1, Addresses: map[int]string{}}
		for l := range links {
			node.Addresses[l] = strings.Replace(net, "L", string(rune('0'+l)), 1) + string(rune('1'+i))
		}
		c.Nodes = append(c.Nodes, node)
		f.Members.Nodes = append(f.Members.Nodes, pve.Member{Name: n, ID: i + 1, Online: true, IP: node.Addresses[0]})
	}
	for l := range links {
		c.Links = append(c.Links, l)
	}
	return at(f, nodes[0])
}

// threeCeph is a site of three hyper-converged nodes with BMCs.
func threeCeph() discover.Facts {
	f := cluster("LAN", "10.0.L.", 1, "node1", "node2", "node3")
	f.Ceph = discover.Ceph{Present: true, Local: true}
	f.BMC = discover.BMC{Present: true, Address: "10.0.9.1"}
	f.Storages = []pve.Storage{{Name: "vm", Type: "rbd", Shared: true}, {Name: "local-lvm", Type: "lvmthin"}}
	f.Guests = []discover.Guest{{VMID: 101, Kind: ha.LXC, Tags: []string{"ha"}, Storages: []string{"vm"}}, {VMID: 102, Kind: ha.QEMU, Tags: []string{"ha"}, Storages: []string{"local-lvm"}},
		{VMID: 103, Kind: ha.QEMU}, {VMID: 104, Kind: ha.QEMU, Tags: []string{"ha"}, Storages: []string{"vm"}}}
	f.HAManaged = []ha.VMID{104}
	return f
}

// iscsi is a site of three nodes with a SAN, two corosync links and a hardware watchdog of its own.
func iscsi() discover.Facts {
	f := cluster("i11", "10.7.L.", 2, "camille", "nikita", "proxima")
	f.Watchdogs.Devices = append(softdog.Devices[:1:1], discover.Watchdog{Number: 1, Path: "/dev/watchdog1", Identity: "iTCO_wdt"})
	f.Storages = []pve.Storage{{Name: "san", Type: "iscsi", Shared: true}, {Name: "vg", Type: "lvm", Shared: true}}
	f.Guests = []discover.Guest{{VMID: 201, Kind: ha.QEMU, Tags: []string{"ha"}, Storages: []string{"vg"}}}
	return f
}

func TestPlans(t *testing.T) {
	witness := &Witness{Name: "backup", Address: "10.0.0.9", Host: "backup.example.org"}
	single := discover.Facts{Node: "solo", PVE: true, Members: pve.Members{Node: "solo", Quorate: true}}
	tests := []struct {
		name    string
		facts   discover.Facts
		answers Answers
	}{
		{"three-ceph", threeCeph(), Answers{Devices: []Device{bmcOf("node1"), bmcOf("node2"), bmcOf("node3")}}},
		{"two-with-witness", cluster("dmz", "10.0.L.", 1, "node1", "node2"), Answers{Witness: witness, TrustSoftdog: true}},
		{"two-without-recovery", cluster("dmz", "10.0.L.", 1, "node1", "node2"), Answers{WithoutRecovery: true}},
		{"three-iscsi", iscsi(), Answers{Pools: []string{"club"}, Tags: []string{"ha", "prod"}}},
		{"one", single, Answers{Addresses: map[ha.NodeName]string{"solo": "10.0.0.1"}, All: true}},
		{"six", cluster("km4", "10.0.L.", 1, "n1", "n2", "n3", "n4", "n5", "n6"), Answers{Timing: "fast", VMIDs: []int{100, 101}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Make(tt.facts, tt.answers, nil, Standard, noon)
			if err != nil {
				t.Fatal(err)
			}
			got := p.Text() + "\n---- " + Standard.Common() + "\n" + string(p.Common)
			golden := filepath.Join("testdata", tt.name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := Diff(string(want), got); d != "" {
				t.Errorf("the plan differs (-update writes it anew):\n%s", d)
			}
			if strings.Contains(got, "very secret") {
				t.Error("the plan shows a password")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	two := cluster("dmz", "10.0.L.", 1, "node1", "node2")
	withDevice := cluster("dmz", "10.0.L.", 1, "node1", "node2")
	withDevice.Corosync.Device = &pve.QDevice{Model: "net", Host: "10.0.0.9", Votes: 1}
	noQuorum := threeCeph()
	noQuorum.Members.Quorate = false
	stranger := at(threeCeph(), "node9")
	unknown := threeCeph()
	unknown.Corosync.Nodes[1].Addresses, unknown.Members.Nodes[1].IP = map[int]string{0: "node2.example"}, ""
	broken := threeCeph()
	broken.Unread = []string{"/etc/pve/storage.cfg: permission denied"}
	tests := []struct {
		name  string
		facts discover.Facts
		want  error
		says  string
	}{
		{"no Proxmox", discover.Facts{Unread: []string{"/etc/pve/.members: no such file"}}, ErrNoProxmox, "--witness"},
		{"two nodes", two, ErrThirdVote, "Nothing was written"},
		{"two nodes, corosync has a third vote", withDevice, ErrThirdVote, "--witness 10.0.0.9"},
		{"no quorum", noQuorum, ErrFacts, "pvecm status"},
		{"not in the cluster", stranger, ErrNotAMember, "pvecm add"},
		{"an address nobody knows", unknown, ErrFacts, "--address node2="},
		{"something unread", broken, ErrFacts, "storage.cfg"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Make(tt.facts, Answers{}, nil, Standard, noon)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %v with %q", err, tt.want, tt.says)
			}
		})
	}
}

// Corosync may name a node's address by host name: what it resolves to is taken.
func TestAddressByName(t *testing.T) {
	f := threeCeph()
	f.Corosync.Nodes[1].Addresses[0] = "node2.example"
	p, err := Make(f, Answers{}, nil, Standard, noon)
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := p.Config.Member("node2"); m.Address != "10.0.0.2" {
		t.Errorf("node2 at %q", m.Address)
	}
}

// What is generated is what basculed accepts, with every file in place, on every kind of site and on every node.
func TestGeneratedConfigurationLoads(t *testing.T) {
	for name, facts := range map[string]discover.Facts{"ceph": threeCeph(), "iscsi": iscsi()} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := Layout{PVE: filepath.Join(dir, "etc/pve"), Etc: filepath.Join(dir, "etc/bascule"), Run: "/run/bascule", Data: "/var/lib/bascule"}
			sys := onDisk{Machine{PVE: l.PVE}, newFake()}
			p, err := Make(facts, Answers{Devices: []Device{bmcOf(facts.Node)}}, nil, l, noon)
			if err != nil {
				t.Fatal(err)
			}
			if err := Apply(t.Context(), sys, append(p.Site, p.Own...), func(Step, Outcome) {}); err != nil {
				t.Fatal(err)
			}
			// Proxmox's authority has a fixed place outside of the layout.
			for _, problem := range loadProblems(l.Config()) {
				if !strings.Contains(problem, "/etc/pve/pve-root-ca.pem") {
					t.Error(problem)
				}
			}
		})
	}
}

// onDisk writes real files and runs fake commands.
type onDisk struct {
	Machine
	fake *fakeSystem
}

func (o onDisk) Run(ctx context.Context, input []byte, argv ...string) ([]byte, error) {
	return o.fake.Run(ctx, input, argv...)
}

func loadProblems(file string) (out []string) {
	_, err := config.Load(file)
	var all *config.Error
	if errors.As(err, &all) {
		for _, p := range all.Problems {
			out = append(out, p.Path+" "+p.Message)
		}
	}
	return out
}
