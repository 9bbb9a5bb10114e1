package doctor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// faults are what is broken and exactly what is then found, "severity id subject" and a part of the evidence.
var faults = []struct {
	name  string
	fault func(*Cluster)
	want  []string
	says  string
}{
	{"nothing", func(*Cluster) {}, nil, ""},

	{"a member does not answer", func(c *Cluster) { delete(c.Facts, "node3"); c.Silent["node3"] = "refused" }, []string{"warning node-unanswered node node3"}, "refused"},
	{"a member left in order", func(c *Cluster) {
		delete(c.Facts, "node3")
		c.Silent["node3"], c.States["node3"] = "refused", ha.NodeOffline
	}, []string{"info node-unanswered node node3"}, "it is offline"},
	{"a member that was not to be asked", func(c *Cluster) { delete(c.Facts, "node3") }, nil, ""},
	{"a probe hangs", edit("node2", func(f *Facts) {
		f.Silent = []Silent{{Probe: "storage nas", After: 3 * time.Second, Why: "did not answer in 3s"}}
	}), []string{"warning probe-silent probe storage nas"}, "did not answer in 3s"},
	{"newer facts", edit("node2", func(f *Facts) { f.Version++ }), []string{"info facts-newer node node2"}, "version 2"},

	{"no watchdog", edit("node2", func(f *Facts) { f.Config = with(f.Config, func(c *Config) { c.Driver = "none" }); f.Guard = nil }), []string{"warning watchdog-none node node2"}, "watchdog0 (iTCO_wdt) held by basculed"},
	{"not armed", edit("node2", func(f *Facts) {
		f.Guard = &Guard{Version: "1.0.0", Phase: "idle", Driver: "device", Detail: "no such device"}
	}), []string{"warning watchdog-unarmed node node2"}, "no such device"},
	{"held by watchdog-mux", edit("node2", func(f *Facts) {
		f.Guard, f.Watchdogs = &Guard{Version: "1.0.0", Phase: "idle", Detail: "busy"}, []Watchdog{{Path: "/dev/watchdog0", Holder: "watchdog-mux"}}
	}), []string{"warning watchdog-held node node2"}, "watchdog0 is held by watchdog-mux"},
	{"softdog", edit("node2", func(f *Facts) { f.Guard = with(f.Guard, func(g *Guard) { g.Driver = "softdog" }) }), []string{"warning watchdog-softdog node node2"}, "proves nothing"},
	{"softdog, trusted", edit("node2", func(f *Facts) {
		f.Guard, f.Config = with(f.Guard, func(g *Guard) { g.Driver = "softdog" }), with(f.Config, func(c *Config) { c.Softdog = true })
	}), []string{"info watchdog-softdog node node2"}, "accepted"},
	{"through watchdog-mux", edit("node2", func(f *Facts) { f.Guard = with(f.Guard, func(g *Guard) { g.Driver = ha.WatchdogMux }) }), []string{"info watchdog-slow node node2"}, "80 s after its lease has ended; a device of the guard's own takes 14.5 s"},

	{"a BMC is broken", device("", "node3", func(n *FenceNode) {
		n.Devices = []FenceDevice{{Name: "bmc3", Method: "ipmi", Problem: "wrong password"}}
		n.Provable = false
	}),
		[]string{"critical fence-device-broken device bmc3"}, "wrong password"},
	{"a BMC is out of reach of one node", device("node1", "node3", func(n *FenceNode) { n.Devices = []FenceDevice{{Name: "bmc3", Method: "ipmi", Problem: "no answer"}} }),
		[]string{"warning fence-device-partly device bmc3"}, "works from node2, not from node1: no answer"},
	{"a BMC that a node does not see of itself", device("node1", "node1", func(n *FenceNode) { n.Devices = []FenceDevice{{Name: "bmc1", Method: "ipmi", Problem: "no answer"}} }), nil, ""},
	{"a power strip that nobody has tried", device("", "node3", func(n *FenceNode) {
		n.Devices = []FenceDevice{{Name: "pdu", Method: "fence-agent", Why: "not confirmed"}}
	}),
		[]string{"warning fence-device-unproven device pdu"}, "not confirmed"},
	{"no device, a watchdog", device("", "node3", func(n *FenceNode) { n.Devices, n.Provable = nil, false }), []string{"info fence-self-only node node3"}, ""},
	{"no device, no watchdog", device("", "node3", func(n *FenceNode) { n.Devices, n.Provable, n.Armed = nil, false, false }), []string{"critical fence-none node node3"}, ""},
	{"being fenced", device("", "node3", func(n *FenceNode) { n.State, n.Busy = ha.NodeFencing, true }), []string{"info fence-busy node node3"}, ""},
	{"fenced", device("", "node3", func(n *FenceNode) { n.State, n.Provable, n.Armed = ha.NodeFenced, false, false }), nil, ""},

	{"an account that may not blocklist", all(everywhere(func(f *Facts) {
		f.Config = with(f.Config, func(c *Config) {
			c.Devices = []Device{{Name: "ceph3", Node: "node3", Method: cephBlocklist, Grant: "ceph auth caps client.bascule mon 'allow r'"}}
		})
	}), device("", "node3", func(n *FenceNode) {
		n.Devices = []FenceDevice{{Name: "ceph3", Method: cephBlocklist, Problem: "client.bascule may not change the blocklist", Fault: FaultRights}}
	}), problem("fencing-device", Critical, "node node3")), []string{"critical ceph-caps device ceph3"}, "read by node1 and node2: client.bascule may not change the blocklist"},
	{"monitors that do not answer", device("", "node3", func(n *FenceNode) {
		n.Devices = []FenceDevice{{Name: "ceph3", Method: cephBlocklist, Problem: "no connection", Fault: "unreachable"}}
	}), []string{"critical fence-device-broken device ceph3"}, "no connection"},
	{"an account that may blocklist", device("", "node3", func(n *FenceNode) { n.Devices = []FenceDevice{{Name: "ceph3", Method: cephBlocklist, Usable: true}} }), nil, ""},
	{"a LUN without reservations", device("", "node3", func(n *FenceNode) {
		n.Devices = []FenceDevice{{Name: "san3", Method: scsiReservations, Problem: "the target knows no persistent reservations", Fault: FaultUnsupported}}
	}), []string{"critical lun-reservations-missing device san3"}, "read by node1 and node2: the target knows no"},
	{"a SAN whose reservations nobody uses", san("sanvg", Reservable), []string{"info lun-reservations-unused storage san"}, "1 LUN of it, asked by node1, node2 and node3, know"},
	{"a SAN whose reservations are used", all(san("sanvg", Reservable), edit("node2", func(f *Facts) {
		f.Config = with(f.Config, func(c *Config) {
			c.Devices = []Device{{Name: "san1", Method: scsiReservations, Storages: []string{"san"}}}
		})
	})), nil, ""},
	{"a SAN without reservations", san("sanvg", "the target knows no persistent reservations"), nil, ""},
	{"a SAN that could not be asked", san("sanvg", ""), nil, ""},
	{"another SAN's reservations", san("other", Reservable), nil, ""},

	{"a slow disk", edit("node2", func(f *Facts) { f.Disk = with(f.Disk, func(d *Disk) { d.Syncs = spans(20, 120) }) }), []string{"warning timing-too-fast cluster"}, "patient would be carried"},
	{"a dying disk", edit("node2", func(f *Facts) { f.Disk = with(f.Disk, func(d *Disk) { d.Syncs = spans(20, 9000) }) }), []string{"critical hardware-too-slow cluster"}, "delays etcd's heartbeats"},
	{"a slow disk of a node that does not vote", func(c *Cluster) {
		everywhere(func(f *Facts) {
			f.Config = with(f.Config, func(c *Config) { c.Voters = []ha.NodeName{"node1", "node3"} })
		})(c)
		edit("node2", func(f *Facts) { f.Disk = with(f.Disk, func(d *Disk) { d.Syncs = spans(9000) }) })(c)
	}, nil, ""},
	{"a long way", edit("node2", func(f *Facts) { f.Ports[0].Trips = spans(90, 130) }), []string{"warning timing-too-fast cluster"}, "round trip"},

	{"two nodes, no third vote", func(c *Cluster) {
		everywhere(func(f *Facts) {
			f.Corosync = with(f.Corosync, func(c *Corosync) { c.Nodes, c.Votes = []ha.NodeName{"node1", "node2"}, 2 })
		})(c)
	}, []string{"critical corosync-vote-missing cluster"}, "node1 and node2 with 2 votes and no quorum device"},
	{"two nodes and a QDevice", everywhere(func(f *Facts) {
		f.Corosync = with(f.Corosync, func(c *Corosync) { c.Nodes, c.Votes, c.QDevice = []ha.NodeName{"node1", "node2"}, 2, "10.0.0.9" })
	}), nil, ""},
	{"a silent QDevice", all(qdevice(2), edit("node2", func(f *Facts) { f.Quorum = &Quorum{Expected: 3, Total: 2} })),
		[]string{"critical corosync-device-silent quorum device of node2"}, "10.0.0.9 gives 0 votes: 2 of 3 are there"},
	{"a QDevice that corosync does not know yet", all(qdevice(2), edit("node2", func(f *Facts) { f.Quorum = &Quorum{Expected: 2, Total: 2, Device: -1} })),
		[]string{"critical corosync-device-silent quorum device of node2"}, "gives 0 votes"},
	{"a silent QDevice of three nodes", all(qdevice(3), edit("node1", func(f *Facts) { f.Quorum = &Quorum{Expected: 4, Total: 3} })),
		[]string{"warning corosync-device-silent quorum device of node1"}, ""},
	{"two-node mode", everywhere(func(f *Facts) { f.Corosync = with(f.Corosync, func(c *Corosync) { c.TwoNode = true }) }), []string{"critical corosync-two-node-mode cluster"}, ""},
	{"four nodes", everywhere(func(f *Facts) {
		f.Corosync = with(f.Corosync, func(c *Corosync) { c.Nodes, c.Votes = append(slices.Clone(c.Nodes), "node4"), 4 })
	}), []string{"info corosync-even-votes cluster"}, "4 votes"},
	{"corosync as it comes", everywhere(func(f *Facts) {
		f.Corosync = with(f.Corosync, func(c *Corosync) {
			c.Token, c.Coefficient, c.Block = 3*time.Second, 650*time.Millisecond, 8030*time.Millisecond
		})
	}), []string{"info corosync-token-slow cluster"}, "block for 8 s"},
	{"a very slow token", everywhere(func(f *Facts) {
		f.Corosync = with(f.Corosync, func(c *Corosync) { c.Token, c.Block = 10*time.Second, 22*time.Second })
	}), []string{"warning corosync-token-slow cluster"}, "daemon_grace 15 s"},

	{"a clock ahead", func(c *Cluster) { c.Clocks["node3"] = Reading{Offset: 3 * time.Second} }, []string{"warning clock-apart node node3"}, "3 s ahead of"},
	{"a clock far behind", func(c *Cluster) { c.Clocks["node1"] = Reading{Offset: -time.Hour} }, []string{"critical clock-apart node node1"}, "behind"},
	{"a slow way is no offset", func(c *Cluster) { c.Clocks["node3"] = Reading{Offset: 3 * time.Second, Error: 3 * time.Second} }, nil, ""},
	{"no time server", edit("node1", func(f *Facts) { f.Clock = with(f.Clock, func(c *Clock) { c.Synchronised = false }) }), []string{"warning clock-unsynchronised node node1"}, ""},
	{"a dead battery", edit("node1", func(f *Facts) {
		f.At = time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC)
		f.Certificates = nil
	}), []string{"critical clock-wrong node node1"}, "2016-01-01"},

	{"a closed port", edit("node2", func(f *Facts) { f.Ports[0].Problem, f.Ports[0].Trips = "refused", nil }), []string{"warning port-closed node2 to node1 etcd-client/tcp"}, "the other direction is open"},
	{"a port closed both ways", all(edit("node2", func(f *Facts) { f.Ports[0].Problem = "refused" }), edit("node1", func(f *Facts) { f.Ports[0].Problem = "refused" })),
		[]string{"warning port-closed node1 to node2 etcd-client/tcp", "warning port-closed node2 to node1 etcd-client/tcp"}, "closed as well"},
	{"ports of a node that is down", func(c *Cluster) {
		delete(c.Facts, "node3")
		for _, n := range []ha.NodeName{"node1", "node2"} {
			edit(n, func(f *Facts) { f.Ports[2].Problem, f.Ports[3].Problem = "no way", "no way" })(c)
		}
		c.Silent["node3"] = "no way"
	}, []string{"warning node-unanswered node node3"}, ""},

	{"jumbo frames on one node", edit("node2", func(f *Facts) { f.Interface = &Interface{Name: "vmbr1", MTU: 9000} }), []string{"warning mtu-differs cluster"}, "1500 on node1 (vmbr0) and node3 (vmbr0); 9000 on node2 (vmbr1)"},
	{"jumbo frames that a switch does not carry", edit("node2", func(f *Facts) {
		f.Interface = &Interface{Name: "vmbr1", MTU: 1500}
		f.Paths = []Path{{To: "node1", Address: "10.0.0.1:8790", MTU: 9000, Lost: true, Passes: 1500}, {To: "node3", MTU: 9000}}
		f.Ports = slices.Clone(f.Ports)
		f.Ports[0].Problem, f.Ports[0].Opens = "it takes connections, but no TLS handshake comes about", true
	}), []string{"critical mtu-path node2 to node1"}, "packets of 9000 bytes (what vmbr1 makes) vanish, twice; packets of 1500 bytes pass: tried with 10.0.0.1:8790"},
	{"large packets vanish on the way back", all(edit("node1", func(f *Facts) { f.Paths = []Path{{To: "node2", MTU: 9000, Lost: true, Passes: 1450}} }), edit("node2", func(f *Facts) {
		f.Ports = slices.Clone(f.Ports)
		f.Ports[0].Problem, f.Ports[0].Opens = "it takes connections, but no TLS handshake comes about", true
	})), []string{"critical mtu-path node1 to node2"}, ""},
	{"a firewall that lets connections open and no byte through", edit("node2", func(f *Facts) {
		f.Paths = []Path{{To: "node1", Unknown: "small packets: no answer"}}
		f.Ports = slices.Clone(f.Ports)
		f.Ports[0].Problem, f.Ports[0].Opens = "it takes connections, but no TLS handshake comes about", true
	}), []string{"warning port-closed node2 to node1 etcd-client/tcp"}, ""},
	{"one network for all", everywhere(func(f *Facts) { f.Corosync = with(f.Corosync, func(c *Corosync) { c.Links = c.Links[:1] }) }), []string{"info network-single cluster"}, "10.0.0.1"},
	{"corosync on its own network", everywhere(func(f *Facts) { f.Corosync = with(f.Corosync, func(c *Corosync) { c.Links = c.Links[1:] }) }), nil, ""},

	{"little room", edit("node2", func(f *Facts) { f.Disk = with(f.Disk, func(d *Disk) { d.Free = gib }) }), []string{"warning disk-space node node2"}, "1.0 GiB of 100.0 GiB"},
	{"no room", edit("node2", func(f *Facts) { f.Disk = with(f.Disk, func(d *Disk) { d.Free = 10 << 20 }) }), []string{"critical disk-space node node2"}, "10 MiB"},
	{"a store that has grown", edit("node2", func(f *Facts) { f.Disk = with(f.Disk, func(d *Disk) { d.Free, d.Used = gib, 2*gib }) }), nil, ""},
	{"data in memory", edit("node2", func(f *Facts) { f.Disk = with(f.Disk, func(d *Disk) { d.Filesystem = "tmpfs" }) }), []string{"critical data-dir-volatile node node2"}, "lives in memory"},
	{"data on NFS", edit("node2", func(f *Facts) { f.Disk = with(f.Disk, func(d *Disk) { d.Filesystem = "nfs4" }) }), []string{"critical data-dir-shared node node2"}, "network file system"},
	{"data on a storage", edit("node2", func(f *Facts) { f.Disk = with(f.Disk, func(d *Disk) { d.Shared = "nas" }) }), []string{"critical data-dir-shared node node2"}, "storage nas"},

	{"another timing", edit("node2", func(f *Facts) {
		f.Config = with(f.Config, func(c *Config) {
			c.Common = map[string]string{"cluster": "lan", "members": "node1 node2 node3", "timing": "fast"}
		})
	}), []string{"warning config-differs setting timing"}, "normal on node1 and node3; fast on node2"},
	{"a member that knows less", edit("node2", func(f *Facts) {
		f.Config = with(f.Config, func(c *Config) { c.Common = map[string]string{"cluster": "lan", "timing": "normal"} })
	}), []string{"critical config-differs setting members"}, "nothing on node2"},

	{"a certificate at its end", edit("node2", func(f *Facts) {
		f.Certificates = []Certificate{{Use: "node", File: "node.pem", NotAfter: now.Add(-72 * time.Hour)}}
	}), []string{"critical certificate-expired node certificate of node2"}, "3 days ago"},
	{"a certificate of the future", edit("node2", func(f *Facts) {
		f.Certificates = []Certificate{{Use: "node", File: "node.pem", From: now.Add(time.Hour), NotAfter: now.Add(400 * 24 * time.Hour)}}
	}), []string{"critical certificate-expired node certificate of node2"}, "not valid before"},
	{"a certificate near its end", edit("node2", func(f *Facts) {
		f.Certificates = []Certificate{{Use: "node", File: "node.pem", From: now.Add(-350 * 24 * time.Hour), NotAfter: now.Add(15 * 24 * time.Hour)}}
	}), []string{"warning certificate-expiring node certificate of node2"}, "in 15 days"},
	{"a short-lived certificate in its middle", edit("node2", func(f *Facts) {
		f.Certificates = []Certificate{{Use: "node", File: "node.pem", From: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}}
	}), nil, ""},
	{"an authority near its end", edit("node2", func(f *Facts) {
		f.Certificates = []Certificate{{Use: "authority", File: "ca.pem", NotAfter: now.Add(300 * 24 * time.Hour), Count: 1}}
	}), []string{"warning certificate-expiring authority certificate of node2"}, "in 300 days"},
	{"an authority with a year and a day left", edit("node2", func(f *Facts) {
		f.Certificates = []Certificate{{Use: "authority", File: "ca.pem", NotAfter: now.Add(366 * 24 * time.Hour), Count: 1}}
	}), nil, ""},
	{"a rotation that was not finished", edit("node2", func(f *Facts) {
		f.Certificates = []Certificate{{Use: "authority", File: "ca.pem", NotAfter: now.Add(4000 * 24 * time.Hour), Count: 2}}
	}), []string{"warning authority-rotation authorities that node2 trusts"}, "holds 2"},
	{"no certificate", edit("node2", func(f *Facts) {
		f.Certificates = []Certificate{{Use: "node", File: "node.pem", Problem: "no such file"}}
	}), []string{"warning certificate-unreadable node certificate of node2"}, "no such file"},

	{"a weak token", edit("node2", func(f *Facts) { f.Token = &Token{ID: "t", Missing: []string{"VM.Audit on /vms"}} }), []string{"critical token-weak node node2"}, "lacks VM.Audit on /vms"},
	{"Proxmox does not answer", edit("node2", func(f *Facts) { f.Token = &Token{ID: "t", Problem: "401"} }), []string{"warning token-unchecked node node2"}, "401"},

	{"no drop-in", edit("node2", func(f *Facts) { f.BootCheck = &BootCheck{PVEGuests: true} }), []string{"warning boot-check-missing node node2"}, "no drop-in"},
	{"a drop-in that cannot be read", edit("node2", func(f *Facts) { f.BootCheck = &BootCheck{PVEGuests: true, Broken: "bascule.conf cannot be read"} }), []string{"warning boot-check-missing node node2"}, "cannot be read"},
	{"no Proxmox there", edit("node2", func(f *Facts) { f.BootCheck = &BootCheck{} }), nil, ""},

	{"a directory that is not shared, and no marks", all(unmarked, behind("node2", "ext4 1234")), []string{"critical storage-not-shared storage nas"}, "nfs4 10.0.9.1:/vm on node1 and node3; ext4 1234 on node2"},
	{"the same under another name", behind("node2", "nfs4 nas.lan:/vm"), nil, ""},
	{"a node that finds only its own marks", marks("node2", func(m *Marks) { m.Found = m.Found[1:2] }), []string{"critical storage-not-shared storage nas"}, "node2 does not find there what node1 wrote 130 s ago; node2 does not find there what node3"},
	{"the same, and another thing is mounted", all(behind("node2", "ext4 1234"), marks("node2", func(m *Marks) { m.Found = m.Found[1:2] })), []string{"critical storage-not-shared storage nas"}, "mounted there: nfs4 10.0.9.1:/vm on node1 and node3; ext4 1234 on node2"},
	{"a node whose marks nobody finds", all(marks("node1", func(m *Marks) { m.Found = append(m.Found[:1], m.Found[2]) }), marks("node3", func(m *Marks) { m.Found = append(m.Found[:1], m.Found[2]) })),
		[]string{"critical storage-not-shared storage nas"}, "node1 does not find there what node2 wrote"},
	{"an old copy of a storage", marks("node2", func(m *Marks) { m.Found[0].Count, m.Found[2].Count = 4, 5 }), []string{"critical storage-not-shared storage nas"}, "node2 finds there an old copy of what node1 wrote, not what it wrote 130 s ago"},
	{"a copy of a former life", marks("node2", func(m *Marks) { m.Found[0].Life = "before" }), []string{"critical storage-not-shared storage nas"}, "an old copy of what node1 wrote"},
	{"marks so new that a cache may hide them", all(marks("node1", func(m *Marks) { m.Wrote = m.Wrote[2:] }), marks("node2", func(m *Marks) { m.Found = m.Found[1:] })), nil, ""},
	{"a mark that lags by a cache's time", marks("node2", func(m *Marks) { m.Found[0].Count = 5 }), nil, ""},
	{"a daemon that has just started", all(marks("node1", func(m *Marks) {
		m.Wrote = []Mark{{Cluster: "lan", Node: "node1", Life: "new", Count: 1, Age: time.Minute}}
	})), nil, ""},
	{"a mark of an older daemon", marks("node2", func(m *Marks) { m.Found[0] = Mark{Node: "node1", Unread: "no mark"} }), nil, ""},
	{"another cluster's node of the same name", marks("node2", func(m *Marks) { m.Found[0] = Mark{Cluster: "other", Node: "node1", Life: "x", Count: 900} }), nil, ""},
	{"a storage that is away on a node", marks("node2", func(m *Marks) { m.Found, m.Problem = nil, "it gave no answer in time" }), nil, ""},
	{"a node that only reads there", marks("node2", func(m *Marks) { m.Wrote = nil }), nil, ""},
	{"marks on a storage that is not shared", all(everywhere(func(f *Facts) { f.Storages = nil }), marks("node2", func(m *Marks) { m.Found = nil })), nil, ""},
	{"a storage that only one node has", edit("node2", func(f *Facts) {
		f.Storages = append(f.Storages, Storage{Name: "other", Shared: true, Behind: "ext4 1"})
	}), nil, ""},
	{"a path is down", edit("node2", func(f *Facts) { f.Luns = []Lun{{WWN: "3600a", Device: "dm-3", Paths: 2, Active: 1}} }), []string{"warning lun-paths LUN 3600a"}, "1 of 2 paths"},
	{"a path was never made", edit("node2", func(f *Facts) { f.Luns = []Lun{{WWN: "3600a", Device: "sdb", Paths: 1, Active: 1}} }), []string{"warning lun-paths LUN 3600a"}, "1 of 2 paths"},

	{"onboot", seen("node2", func(g *ha.GuestSeen) { g.Onboot = true }), []string{"warning guest-onboot VM 102"}, "onboot: 1"},
	{"onboot of a guest that is not protected", seen("node2", func(g *ha.GuestSeen) { g.Onboot, g.Protected = true, false }), nil, ""},
	{"both stacks", all(seen("node2", func(g *ha.GuestSeen) { g.Protected, g.Refused = false, "managed by Proxmox's HA" }), edit("node1", func(f *Facts) { f.Inventory = with(f.Inventory, func(i *ha.Inventory) { i.Managed = []ha.VMID{102} }) }),
		problem("guest-refused", Warning, "guests")), []string{"warning guest-two-stacks VM 102"}, "resources.cfg"},
	{"a local disk", all(seen("node2", func(g *ha.GuestSeen) { g.Pinned = "local disk scsi0" }), problem("guest-pinned", Info, "guests")), []string{"warning guest-cannot-move VM 102"}, "tied to node2: local disk scsi0"},
	{"a storage that others lack", seen("node2", func(g *ha.GuestSeen) { g.Storages = []string{"fast"} }), []string{"warning guest-cannot-move VM 102"}, "node1 and node3: storage fast is not active there"},
	{"larger than any node", all(seen("node2", func(g *ha.GuestSeen) { g.Memory, g.Running = 20*gib, false })), []string{"warning guest-cannot-move VM 102"}, "needs 20480 MiB"},

	{"memory for one failure only", seen("node1", func(g *ha.GuestSeen) { g.Memory = 12 * gib }),
		[]string{"warning memory-after-failure node node1"}, "VM 101 (web1); the first: node2 and node3: needs 12288 MiB, 11264 MiB free"},
	{"too much on a node", seen("node2", func(g *ha.GuestSeen) { g.Memory = 15*gib + 1; g.Protected = false }), []string{"warning memory-overcommit node node2"}, "of 15.0 GiB"},

	{"an old guard", all(edit("node2", func(f *Facts) { f.Guard = with(f.Guard, func(g *Guard) { g.Version = "0.9.0" }) }), problem("guard-version", Info, "node node2")), []string{"info guard-version node node2"}, "guard 0.9.0, basculed 1.0.0"},

	{"what status says", problem("store", Critical, "store"), []string{"critical store store"}, "what"},
	{"what status says of a device, and the test does too", all(device("", "node3", func(n *FenceNode) { n.Devices[0] = FenceDevice{Name: "bmc3", Problem: "dead"} }), problem("fencing-device", Critical, "node node3"), problem("fencing-device", Critical, "node node2")),
		[]string{"critical fence-device-broken device bmc3", "critical fencing-device node node2"}, ""},
	{"what status says of the means", all(device("", "node3", func(n *FenceNode) { n.Devices, n.Provable, n.Armed = nil, false, false }), problem("fencing-means", Critical, "node node3")), []string{"critical fence-none node node3"}, ""},
	{"what a node reports of its token", all(edit("node2", func(f *Facts) { f.Token = &Token{ID: "t", Missing: []string{"x"}} }), func(c *Cluster) {
		c.Problems = []Problem{{ID: "node-reports", Severity: Warning, Subject: "node node2", What: "API token t lacks x"}, {ID: "node-reports", Severity: Warning, Subject: "node node2", What: "disk full"}}
	}), []string{"critical token-weak node node2", "warning node-reports node node2"}, ""},
}

func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			c := well()
			f.fault(&c)
			var got, text []string
			for _, x := range Examine(c) {
				if x.Severity == OK {
					continue
				}
				got, text = append(got, fmt.Sprintf("%s %s %s", x.Severity, x.ID, x.Subject)), append(text, x.Evidence)
				if x.Evidence == "" || x.Why == "" || x.Remedy == "" {
					t.Errorf("incomplete: %+v", x)
				}
				if k, ok := Explain(x.ID); !ok || !slices.Contains(k.Grades, x.Severity) {
					t.Errorf("%s is no grade of a kind %s", x.Severity, x.ID)
				}
			}
			if !slices.Equal(got, f.want) {
				t.Errorf("found %q (%q), want %q", got, text, f.want)
			}
			if !strings.Contains(strings.Join(text, "\n"), f.says) {
				t.Errorf("the evidence %q does not say %q", text, f.says)
			}
		})
	}
}

// TestEveryKindIsProduced: no kind, and no grade of one, that no fault above brings about.
func TestEveryKindIsProduced(t *testing.T) {
	produced := map[string]bool{}
	for _, f := range faults {
		c := well()
		f.fault(&c)
		for _, x := range Examine(c) {
			produced[x.ID+" "+string(x.Severity)] = true
		}
	}
	var passed []string // of hactl status: one stands for all
	for _, k := range status.kinds {
		passed = append(passed, k.ID)
	}
	for _, k := range Kinds() {
		for _, g := range k.Grades {
			if !slices.Contains(passed, k.ID) && !produced[k.ID+" "+string(g)] {
				t.Errorf("no fault brings about %s with severity %s", k.ID, g)
			}
		}
	}
}
