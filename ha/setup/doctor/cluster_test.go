package doctor

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

var now = time.Date(2026, 8, 3, 14, 30, 0, 0, time.UTC)

const gib = int64(1) << 30

// well is a cluster of three nodes in which nothing is wrong.
func well() Cluster {
	c := Cluster{Facts: map[ha.NodeName]Facts{}, Silent: map[ha.NodeName]string{}, Clocks: map[ha.NodeName]Reading{}, States: map[ha.NodeName]ha.NodeState{}}
	for i := 1; i <= 3; i++ {
		c.Members = append(c.Members, ha.Member{Name: nodeName(i), Address: fmt.Sprintf("10.0.0.%d", i)})
	}
	timing, _ := ha.Profile("normal")
	for i := 1; i <= 3; i++ {
		n := nodeName(i)
		f := Facts{Version: FactsVersion, Node: n, Daemon: "1.0.0", At: now, Timing: timing, HostReserve: gib,
			Config: &Config{Cluster: "lan", Members: c.Members, Voters: []ha.NodeName{"node1", "node2", "node3"}, Own: n, Driver: "device",
				Common: map[string]string{"cluster": "lan", "members": "node1 node2 node3", "timing": "normal"}},
			Guard:     &Guard{Version: "1.0.0", Phase: "permitted", Armed: true, Driver: "iTCO_wdt", Identity: "iTCO_wdt"},
			Watchdogs: []Watchdog{{Path: "/dev/watchdog0", Identity: "iTCO_wdt", Holder: "basculed"}},
			Disk:      &Disk{Path: "/var/lib/bascule", Filesystem: "ext4", Mount: "/", Free: 40 * gib, Size: 100 * gib, Syncs: spans(2, 3, 9)},
			Clock:     &Clock{Known: true, Synchronised: true, Built: now.Add(-90 * 24 * time.Hour)},
			Interface: &Interface{Name: "vmbr0", Address: "10.0.0.1/24", MTU: 1500},
			Corosync: &Corosync{Votes: 3, Nodes: []ha.NodeName{"node1", "node2", "node3"}, Token: time.Second, Block: 2200 * time.Millisecond,
				Links: [][]string{{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, {"10.0.1.1", "10.0.1.2", "10.0.1.3"}}},
			Token:        &Token{ID: "bascule@pve!" + string(n)},
			Certificates: []Certificate{{Use: "node", File: "node.pem", From: now.Add(-90 * 24 * time.Hour), NotAfter: now.Add(275 * 24 * time.Hour)}},
			BootCheck:    &BootCheck{PVEGuests: true, DropIn: "/usr/lib/systemd/system/pve-guests.service.d/bascule.conf"},
			Inventory: &ha.Inventory{Memory: 16 * gib, Storages: []ha.StorageReport{{Name: "nas", Type: "nfs", Shared: true, Active: true}, {Name: "local", Type: "dir", Active: true}},
				Guests: []ha.GuestSeen{{ID: ha.VMID(100 + i), Kind: ha.QEMU, Name: fmt.Sprintf("web%d", i), Protected: true, Running: true, Memory: 4 * gib, Storages: []string{"nas"}}}},
			Storages: []Storage{{Name: "nas", Type: "nfs", Shared: true, Behind: "nfs4 10.0.9.1:/vm", Path: "/mnt/pve/nas"}},
			Marks: []Marks{{Storage: "nas", Found: []Mark{foundMark(1), foundMark(2), foundMark(3)}, Wrote: []Mark{
				{Cluster: "lan", Node: n, Life: "life" + string(n), Count: 4, Age: 190 * time.Second}, {Cluster: "lan", Node: n, Life: "life" + string(n), Count: 5, Age: 130 * time.Second},
				{Cluster: "lan", Node: n, Life: "life" + string(n), Count: 6, Age: 70 * time.Second}}}},
			Luns: []Lun{{WWN: "3600a", Device: "dm-3", Paths: 2, Active: 2}},
		}
		for k := 1; k <= 3; k++ {
			if k != i {
				f.Paths = append(f.Paths, Path{To: nodeName(k), Address: "x:8790", MTU: 1500})
				f.Ports = append(f.Ports, Port{To: nodeName(k), Service: EtcdClient, Network: "tcp", Address: "x:2379", Trips: spans(1)}, Port{To: nodeName(k), Service: API, Network: "tcp", Address: "x:8790", Trips: spans(1)})
			}
		}
		c.Facts[n], c.Clocks[n], c.States[n] = f, Reading{Offset: time.Duration(i) * time.Millisecond, Error: time.Millisecond}, ha.NodeOnline
		c.Guests = append(c.Guests, Guest{ID: ha.VMID(100 + i), Kind: ha.QEMU, State: ha.GuestStarted, Node: n, Requested: ha.RequestedStarted, Memory: 4 * gib})
	}
	for i := 1; i <= 2; i++ {
		t := FenceTest{By: nodeName(i)}
		for k := 1; k <= 3; k++ {
			t.Nodes = append(t.Nodes, FenceNode{Node: nodeName(k), State: ha.NodeOnline, Provable: true, Armed: true, Verdict: "it would be proven off", Devices: []FenceDevice{{Name: fmt.Sprintf("bmc%d", k), Method: "ipmi", Usable: true}, {Name: fmt.Sprintf("ceph%d", k), Method: cephBlocklist, Usable: true}}})
		}
		c.Fencing = append(c.Fencing, t)
	}
	return c
}

// foundMark is a node's newest mark as others find it.
func foundMark(i int) Mark {
	return Mark{Cluster: "lan", Node: nodeName(i), Life: "life" + string(nodeName(i)), Count: 6}
}

// marks changes what a node knows of the marks on its storage.
func marks(n ha.NodeName, change func(*Marks)) func(*Cluster) {
	return edit(n, func(f *Facts) {
		m := f.Marks[0]
		m.Found, m.Wrote = slices.Clone(m.Found), slices.Clone(m.Wrote)
		change(&m)
		f.Marks = []Marks{m}
	})
}

// behind changes what is mounted on a node.
func behind(n ha.NodeName, what string) func(*Cluster) {
	return edit(n, func(f *Facts) { f.Storages = []Storage{{Name: "nas", Type: "nfs", Shared: true, Behind: what}} })
}

// san adds a shared LVM storage on the LUN of all nodes, which answers so; "" does not answer.
func san(group, answer string) func(*Cluster) {
	return everywhere(func(f *Facts) {
		f.Storages = append(slices.Clone(f.Storages), Storage{Name: "san", Type: "lvm", Shared: true, Behind: "volume group x", Group: "sanvg"})
		f.Luns = []Lun{{WWN: "3600a", Device: "dm-3", Paths: 2, Active: 2, Groups: []string{group}}}
		if answer != "" {
			f.Reservations = map[string]string{"3600a": answer}
		}
	})
}

// unmarked takes away what every node knows of marks.
var unmarked = everywhere(func(f *Facts) { f.Marks = nil })

func nodeName(i int) ha.NodeName { return ha.NodeName(fmt.Sprintf("node%d", i)) }

func spans(milliseconds ...int) []time.Duration {
	var out []time.Duration
	for _, m := range milliseconds {
		out = append(out, time.Duration(m)*time.Millisecond)
	}
	return out
}

// edit changes the facts of one node; what it points to is its own.
func edit(n ha.NodeName, change func(*Facts)) func(*Cluster) {
	return func(c *Cluster) {
		f := c.Facts[n]
		change(&f)
		c.Facts[n] = f
	}
}

// everywhere changes the facts of all nodes.
func everywhere(change func(*Facts)) func(*Cluster) {
	return func(c *Cluster) {
		for _, m := range c.Members {
			edit(m.Name, change)(c)
		}
	}
}

// device changes one node's device in the test of one reader ("": of all).
func device(by, n ha.NodeName, change func(*FenceNode)) func(*Cluster) {
	return func(c *Cluster) {
		for _, t := range c.Fencing {
			for i := range t.Nodes {
				if t.Nodes[i].Node == n && (by == "" || t.By == by) {
					change(&t.Nodes[i])
				}
			}
		}
	}
}

func all(changes ...func(*Cluster)) func(*Cluster) {
	return func(c *Cluster) {
		for _, change := range changes {
			change(c)
		}
	}
}

func problem(id string, sev Severity, subject string) func(*Cluster) {
	return func(c *Cluster) {
		c.Problems = append(c.Problems, Problem{ID: id, Severity: sev, Subject: subject, What: "what", Why: "why", Do: "do"})
	}
}

// with returns a changed copy.
func with[T any](p *T, change func(*T)) *T {
	v := *p
	change(&v)
	return &v
}

// seen changes the guest of a node.
func seen(n ha.NodeName, change func(*ha.GuestSeen)) func(*Cluster) {
	return edit(n, func(f *Facts) {
		f.Inventory = with(f.Inventory, func(i *ha.Inventory) {
			i.Guests = slices.Clone(i.Guests)
			change(&i.Guests[0])
		})
	})
}

// qdevice is a site of so many nodes with a quorum device that votes.
func qdevice(nodes int) func(*Cluster) {
	return everywhere(func(f *Facts) {
		f.Corosync = with(f.Corosync, func(c *Corosync) { c.Nodes, c.Votes, c.QDevice = c.Nodes[:nodes:nodes], nodes, "10.0.0.9" })
		f.Quorum = &Quorum{Expected: nodes + 1, Total: nodes + 1, Device: 1}
	})
}
