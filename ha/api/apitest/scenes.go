package apitest

import (
	"encoding/json"
	"fmt"
	"time"

	"bascule/ha"
	"bascule/ha/api"
)

// Now is the wall clock of every scene.
var Now = time.Date(2026, 8, 3, 14, 30, 0, 0, time.UTC)

// Inc is the incarnation of node i in a scene.
func Inc(i int) ha.Incarnation {
	return ha.Incarnation(fmt.Sprintf("%08d-1111-4222-8333-444455556666", i))
}

func name(i int) ha.NodeName { return ha.NodeName(fmt.Sprintf("node%d", i)) }

const gib = 1 << 30

// Scenes are the views by name.
var Scenes = map[string]func() api.View{
	"well": Well, "lying-bmc": LyingBMC, "two-dead": TwoDead, "draining": Draining, "error-guest": ErrorGuest,
	"troubles": Troubles, "starting": Starting, "ladders": Ladders, "storages": Storages,
}

// Well: three nodes, one of them leading, four VMs and two containers, everything in order, seen from node1.
func Well() api.View {
	v := api.View{
		Self: "node1", Role: "agent", Version: "0.1.0", Cluster: "lan", Wall: Now, SnapshotOK: true, Leading: true,
		Gossip:   map[ha.NodeName]ha.GossipView{},
		Corosync: ha.CorosyncView{Known: true, Quorate: true, Online: []ha.NodeName{"node1", "node2", "node3"}},
		Store:    api.StoreHealth{Available: true, RaftLeader: "node3", Voters: []string{"node1", "node2", "node3"}, Answering: []string{"node1", "node2", "node3"}, Since: Now.Add(-72 * time.Hour)},
		Permit:   api.PermitHealth{Valid: true, Remaining: 4100 * time.Millisecond, Reason: "lease renewed 0.4 s ago"},
		Guard:    api.GuardHealth{Connected: true, Phase: "permitted", Driver: "device", Armed: true},
	}
	s, _ := ha.DecodeSnapshot(4711, nil)
	s.Leader, s.Term = &ha.LeaderRecord{Node: "node1", Incarnation: Inc(1), Lease: 101}, 42
	for i := 1; i <= 3; i++ {
		n := name(i)
		v.Members = append(v.Members, ha.Member{Name: n, Address: fmt.Sprintf("192.0.2.%d", i)})
		v.Gossip[n] = ha.GossipView{Known: true, Alive: true}
		put(s.Leases, n, ha.LeaseRecord{Node: n, Incarnation: Inc(i), Lease: ha.LeaseID(100 + i)})
		put(s.Reports, n, ha.NodeReport{Schema: 1, Node: n, Incarnation: Inc(i), Version: "0.1.0", Armed: true, WatchdogDriver: "device", Memory: 16 * gib, Quorate: true, CorosyncOnline: v.Corosync.Online})
		put(s.Nodes, n, ha.NodeRecord{Schema: 1, Node: n, State: ha.NodeOnline, Reason: "lease held and heard by gossip", Since: Now.Add(-time.Duration(i) * 30 * time.Hour), Incarnation: Inc(i), Lease: ha.LeaseID(100 + i),
			Devices: []ha.DeviceCheck{{Device: fmt.Sprintf("bmc-node%d", i), Incarnation: Inc(i), ReadOn: true, UUIDMatched: true}}})
	}
	guest(&s, 101, ha.QEMU, "web1", 1)
	guest(&s, 102, ha.QEMU, "web2", 2)
	guest(&s, 103, ha.QEMU, "postgres-main", 3)
	guest(&s, 104, ha.QEMU, "mail", 2)
	guest(&s, 201, ha.LXC, "dns", 1)
	guest(&s, 202, ha.LXC, "ldap", 2)
	v.Snapshot = s
	return v
}

// Storages: node2 has lost the NFS server that the others reach, everybody has lost the backup disk, and a path to the SAN is gone. web2 is
// leaving node2, mail cannot be ended there.
func Storages() api.View {
	v := Well()
	two, one := &ha.PathCount{Up: 2, All: 2}, &ha.PathCount{Up: 1, All: 2}
	seen := func(s ha.StorageState, problem string, ago time.Duration) ha.StorageReport {
		return ha.StorageReport{Shared: true, Active: true, State: s, Problem: problem, Since: Now.Add(-ago)}
	}
	for i := 1; i <= 3; i++ {
		nas, san, ceph := seen(ha.StorageGood, "", 70*time.Hour), seen(ha.StorageGood, "", 70*time.Hour), seen(ha.StorageGood, "", 70*time.Hour)
		old := seen(ha.StorageBad, "reading /dev/sdc: input/output error", 20*time.Minute)
		if i == 2 {
			nas = seen(ha.StorageHung, "it gave no answer in time", 90*time.Second)
		}
		san.Paths = two
		if i == 3 {
			san.Paths, san.Notes = one, []string{"multipath: 1 of 2 paths left"}
		}
		nas.Name, nas.Type, san.Name, san.Type, ceph.Name, ceph.Type, old.Name, old.Type = "nas", "nfs", "san", "lvm", "ceph-vm", "rbd", "old", "lvm"
		ceph.Notes = []string{"Ceph: the flag noout is set: data of OSDs that are gone is not rebuilt"}
		Edit(v.Snapshot.Reports, name(i), func(r *ha.NodeReport) {
			r.Storages = []ha.StorageReport{ceph, nas, old, san, {Name: "local", Type: "zfspool", Active: true}}
		})
	}
	Edit(v.Snapshot.Guests, 102, func(g *ha.GuestRecord) {
		g.Storages, g.State, g.Since = []string{"nas"}, ha.GuestRelocating, Now.Add(-20*time.Second)
		g.Reason, g.Move = "node2 has lost its storage nas, which works on node1: it is stopped here and started there", &ha.Move{From: "node2", Target: "node1", Inc: Inc(1), Stop: true}
	})
	Edit(v.Snapshot.Guests, 104, func(g *ha.GuestRecord) {
		g.Storages, g.State, g.Since = []string{"nas"}, ha.GuestRelocating, Now.Add(-70*time.Second)
		g.Reason = "leaves node2 for node3: it does not end although it was killed: 1 processes of VM 104 are left; nothing is started elsewhere before"
		g.Move = &ha.Move{From: "node2", Target: "node3", Inc: Inc(3), Stop: true}
	})
	Edit(v.Snapshot.Guests, 103, func(g *ha.GuestRecord) { g.Storages = []string{"old"} })
	return v
}

func put[K comparable, T any](m map[K]ha.Versioned[T], k K, rec T) {
	m[k] = ha.Versioned[T]{Rec: rec, Rev: 1}
}

func guest(s *ha.Snapshot, id ha.VMID, kind ha.GuestKind, label string, node int) {
	put(s.Guests, id, ha.GuestRecord{Schema: 1, ID: id, Kind: kind, Name: label, State: ha.GuestStarted, Reason: "runs", Requested: ha.RequestedStarted,
		Since: Now.Add(-26 * time.Hour), Node: name(node), Incarnation: Inc(node), Generation: 3, Memory: 2 * gib, Storages: []string{"ceph-vm"}})
}

// Edit changes one record of a map in a scene.
func Edit[K comparable, T any](m map[K]ha.Versioned[T], k K, edit func(*T)) {
	v := m[k]
	edit(&v.Rec)
	m[k] = v
}

// Proof builds a proof as a leader's stored record has it.
func Proof(kind ha.ProofKind, node int, evidence string, at time.Time) ha.Proof {
	var p ha.Proof
	b, err := json.Marshal(map[string]any{"kind": kind, "node": name(node), "incarnation": Inc(node), "evidence": evidence, "at": at})
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		panic(fmt.Sprintf("scene's proof: %v", err)) // constant input: only a changed type can cause this
	}
	return p
}

// die takes a node's lease and voice away.
func die(v *api.View, i int) {
	n := name(i)
	delete(v.Snapshot.Leases, n)
	v.Gossip[n] = ha.GossipView{Known: true}
	var online []ha.NodeName
	for _, o := range v.Corosync.Online {
		if o != n {
			online = append(online, o)
		}
	}
	v.Corosync.Online = online
	var answering []string
	for _, o := range v.Store.Answering {
		if o != string(n) {
			answering = append(answering, o)
		}
	}
	v.Store.Answering = answering
}

// LyingBMC: node2 is being fenced; its BMC said success and it still reads "on".
func LyingBMC() api.View {
	v := Well()
	die(&v, 2)
	began := Now.Add(-41 * time.Second)
	Edit(v.Snapshot.Nodes, "node2", func(n *ha.NodeRecord) {
		n.State, n.Since, n.Reason = ha.NodeFencing, began, "lease expired and gossip lost it"
	})
	for _, id := range []ha.VMID{102, 104, 202} {
		Edit(v.Snapshot.Guests, id, func(g *ha.GuestRecord) {
			g.State, g.Since, g.Reason = ha.GuestFence, began, "its node node2 is being fenced"
		})
	}
	put(v.Snapshot.Fences, "node2", ha.FenceRecord{
		Schema: 1, Node: "node2", Incarnation: Inc(2), Reason: "lease expired and gossip lost it", Term: 42, Since: began, Commanded: []string{"bmc-node2"},
		Steps: []ha.FenceStep{
			{Device: "bmc-node2", Action: "read", Result: "on", Term: 42, At: began}, // the later ones are equal: noted once
			{Device: "bmc-node2", Action: "off", Result: "intended", Term: 42, At: began.Add(time.Second)},
			{Device: "bmc-node2", Action: "off", Result: "accepted by the device; reading back", Term: 42, At: began.Add(3 * time.Second)},
		},
		Problem: `bmc-node2 said it switched node2 off, but reads "on": the machine runs on`,
	})
	return v
}

// TwoDead: node2 and node3 are gone; node1 goes on under a peer permit because both were seen to be off.
func TwoDead() api.View {
	v := Well()
	die(&v, 2)
	die(&v, 3)
	v.SnapshotAge = 4 * time.Minute
	v.Leading = false
	v.Corosync.Quorate = false
	v.Store.Available, v.Store.RaftLeader, v.Store.Since = false, "", Now.Add(-4*time.Minute)
	v.Permit = api.PermitHealth{Valid: true, Remaining: 3 * time.Second, Reason: "node2 and node3 read off"}
	for _, n := range []int{2, 3} { // what the store said last was said before they died
		put(v.Snapshot.Leases, name(n), ha.LeaseRecord{Node: name(n), Incarnation: Inc(n), Lease: ha.LeaseID(100 + n)})
	}
	return v
}

// Draining: node2 is being drained; one VM moves, one container cannot be moved.
func Draining() api.View {
	v := Well()
	began := Now.Add(-18 * time.Second)
	Edit(v.Snapshot.Nodes, "node2", func(n *ha.NodeRecord) {
		n.State, n.Since, n.Reason, n.Drain = ha.NodeDraining, began, "asked by alice (root on node1)", true
	})
	Edit(v.Snapshot.Guests, 102, func(g *ha.GuestRecord) {
		g.State, g.Since, g.Reason = ha.GuestMigrating, began, "its node is drained"
		g.Move = &ha.Move{From: "node2", Target: "node3", Inc: Inc(3), Live: true}
	})
	Edit(v.Snapshot.Guests, 202, func(g *ha.GuestRecord) {
		g.Reason, g.Pinned = "cannot be moved: disk local-lvm:vm-202-disk-0 lies on node2 only", "disk local-lvm:vm-202-disk-0 lies on node2 only"
	})
	return v
}

// ErrorGuest: VM 103 failed to start on every node.
func ErrorGuest() api.View {
	v := Well()
	Edit(v.Snapshot.Guests, 103, func(g *ha.GuestRecord) {
		g.State, g.Since, g.Reason = ha.GuestError, Now.Add(-7*time.Minute), "failed to start on node1, node2 and node3"
	})
	v.Snapshot.GuestReports["node3"] = map[ha.VMID]ha.Versioned[ha.GuestReport]{103: {Rec: ha.GuestReport{
		Guest: 103, Node: "node3", Incarnation: Inc(3), Generation: 3, Phase: ha.PhaseFailed, Message: "start failed: rbd: error opening image vm-103-disk-0: (2) No such file or directory"}}}
	return v
}

// Ladders: each node is fenced in another way. node1 has a controller; node2 a controller that does not answer, its storages and
// disks with a slot for it; node3 its storages only, and no armed watchdog.
func Ladders() api.View {
	v := Well()
	Edit(v.Snapshot.Nodes, "node2", func(n *ha.NodeRecord) {
		n.Devices = []ha.DeviceCheck{
			{Device: "bmc-node2", Incarnation: Inc(2), Problem: `fencing device "bmc-node2" of node2 (redfish): reading its power failed: no connection to the device: dial tcp 10.0.9.2:443: connect: no route to host. Next: check its cable and address`},
			{Device: "ceph-node2", Kind: ha.StorageDevice, Incarnation: Inc(2), ReadOn: true}, {Device: "sbd-node2", Kind: ha.PoisonDevice, Incarnation: Inc(2), ReadOn: true}}
	})
	Edit(v.Snapshot.Nodes, "node3", func(n *ha.NodeRecord) {
		n.Devices = []ha.DeviceCheck{{Device: "ceph-node3", Kind: ha.StorageDevice, Incarnation: Inc(3), ReadOn: true}}
	})
	Edit(v.Snapshot.Reports, "node3", func(r *ha.NodeReport) { r.Armed, r.WatchdogDriver = false, "" })
	return v
}

// Starting: node1 has just started and has not read the store yet.
func Starting() api.View {
	v := Well()
	v.Snapshot, _ = ha.DecodeSnapshot(0, nil)
	v.SnapshotOK, v.Leading = false, false
	v.Store = api.StoreHealth{Reason: "waiting for the other voters", Voters: v.Store.Voters, Answering: []string{"node1"}}
	v.Permit = api.PermitHealth{Reason: "just started: no permit before the longest one that could exist has passed"}
	return v
}

// Troubles: much that can be wrong at once on a cluster whose nodes all live.
func Troubles() api.View {
	v := Well()
	v.Problems = []string{"API token bascule@pve!node1 sees only 2 of 6 guests"}
	v.Guard = api.GuardHealth{Detail: "connect /run/bascule/guard.sock: connection refused"}
	Edit(v.Snapshot.Reports, "node3", func(r *ha.NodeReport) {
		r.Armed, r.WatchdogDriver, r.Version, r.Quorate, r.CorosyncOnline = false, "watchdog-mux", "0.2.0", false, []ha.NodeName{"node3"}
		r.Guests = []ha.GuestSeen{
			{ID: 105, Kind: ha.QEMU, Name: "legacy", Refused: "Proxmox's HA manages it (/etc/pve/ha/resources.cfg)"},
			{ID: 900, Kind: ha.QEMU, Name: "debian", Refused: "it is a template"},
		}
	})
	Edit(v.Snapshot.Nodes, "node2", func(n *ha.NodeRecord) {
		n.Devices = []ha.DeviceCheck{{Device: "bmc-node2", Incarnation: Inc(2), ReadOn: true, UUIDMatched: true, Problem: "login refused (401): the password in /etc/bascule/bmc-node2.pw is wrong"}}
	})
	Edit(v.Snapshot.Nodes, "node3", func(n *ha.NodeRecord) { n.Devices = nil })
	v.Snapshot.Unreadable = []string{"fence/node2", "guest/103"}
	delete(v.Snapshot.Guests, 103)
	Edit(v.Snapshot.Guests, 201, func(g *ha.GuestRecord) { g.Pinned = "disk local:201/vm-201-disk-0.raw lies on node1 only" })
	return v
}
