//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"bascule/tests/lab"
)

// faults are what the lab can break: the ones of one line at the same time. other is a basculed of another version.
func (b *bed) faults(other string) [][]fault {
	return [][]fault{
		{b.closedAPI()},
		{
			{"port 8790 of node3 is closed for node2", func() error { return b.Way(b.ctx, "node2", "node3", lab.PortAPI, false) }, []string{"warning port-closed node2 to node3 api/tcp"}, func() error { return b.Way(b.ctx, "node2", "node3", lab.PortAPI, true) }},
			{"the token of node2 loses a privilege", func() error { return b.PVE(b.ctx, "node2", "weak-token") }, []string{"critical token-weak node node2"}, func() error { return b.PVE(b.ctx, "node2", "clear") }},
			{"node3's BMC is another machine's", func() error { return b.BMC(b.ctx, "node3", "wrong-uuid") }, []string{"critical fence-device-broken device node3-bmc"}, func() error { return b.BMC(b.ctx, "node3", "clear") }},
			{"node3's storage is one of its own", func() error { return b.Storage(b.ctx, "node3", first, "apart") }, []string{"critical storage-not-shared storage " + first}, func() error { return b.Storage(b.ctx, "node3", first, "heal") }},
			b.noDropIn("node2"),
			b.authority("node2", "ends soon", 5*24*time.Hour, "warning certificate-expiring"),
			b.clock("node3", 3*time.Second, "warning clock-apart"),
			b.corosync("its token is 10 s", "totem {\n", "totem {\n  token: 10000\n", "warning corosync-token-slow"),
		},
		{
			b.clock("node3", -400*24*time.Hour, "critical clock-apart", "critical clock-wrong"),
			b.authority("node2", "has ended", -time.Hour, "critical certificate-expired"),
			b.corosync("its nodes have four votes", "quorum_votes: 1", "quorum_votes: 2", "info corosync-even-votes", "critical proxmox-votes"), // two of them node1's
			b.localDisk(102),
			b.bothStacks(103),
		},
		{
			b.corosync("it knows two nodes", "  node {\n    name: node3\n    nodeid: 3\n    quorum_votes: 1\n", "  gone {\n", "critical corosync-vote-missing"),
			b.memory(101, 7000),
		},
		{
			b.corosync("two_node: 1", "quorum {\n", "quorum {\n  two_node: 1\n", "critical corosync-two-node-mode"),
			b.otherLimits("node3"),
			b.storeOnStorage("node1"),
		},
		{b.version("node3", other)},
	}
}

// closedAPI closes the API's port between all nodes.
func (b *bed) closedAPI() fault {
	var apis []string
	for _, from := range b.Names() {
		for _, to := range b.Names() {
			if from != to {
				apis = append(apis, fmt.Sprintf("warning port-closed %s to %s api/tcp", from, to))
			}
		}
	}
	return fault{"port 8790 is closed between all nodes", func() error { return b.Port(b.ctx, lab.PortAPI, false) }, apis, func() error { return b.Port(b.ctx, lab.PortAPI, true) }}
}

// corosync changes corosync.conf, as far as it can be read: the lab's corosync goes on as it is.
func (b *bed) corosync(what, old, new string, want ...string) fault {
	was := b.readPVE("corosync.conf")
	if !strings.Contains(was, old) {
		b.t.Fatalf("corosync.conf has no %q:\n%s", old, was)
	}
	for i := range want {
		want[i] += " cluster"
	}
	return fault{"corosync.conf: " + what, func() error { return b.writePVE("corosync.conf", strings.Replace(was, old, new, 1)) }, want,
		func() error { return b.writePVE("corosync.conf", was) }}
}

// clock gives a node's daemon another time of day.
func (b *bed) clock(node string, off time.Duration, want ...string) fault {
	file := b.Node(node, "clock")
	for i := range want {
		want[i] += " node " + node
	}
	return fault{fmt.Sprintf("the clock of %s is off by %s", node, off), func() error { return os.WriteFile(file, []byte(off.String()), 0o600) }, want, func() error { return os.Remove(file) }}
}

// config changes a guest's configuration, and finds it again where it was.
func (b *bed) config(vmid int, what string, change func(text string) string, want ...string) fault {
	kind := "qemu-server"
	if vmid >= 200 && vmid < 300 {
		kind = "lxc"
	}
	on := b.RunningOn(vmid)
	if len(on) != 1 {
		b.t.Fatalf("guest %d runs on %v", vmid, on)
	}
	name := fmt.Sprintf("nodes/%s/%s/%d.conf", on[0], kind, vmid)
	return fault{fmt.Sprintf("guest %d: %s", vmid, what), func() error { return b.writePVE(name, change(b.readPVE(name))) }, want,
		func() error { // what Bascule has changed in it meanwhile stays
			return b.writePVE(name, strings.Replace(b.readPVE(name), added, "", 1))
		}}
}

// added is what a fault adds to a guest's configuration.
const added = "scsi7: local:7/vm-7-disk-0.raw,size=1G\n"

func (b *bed) localDisk(vmid int) fault {
	return b.config(vmid, "a disk on a local storage", func(text string) string { return added + text }, fmt.Sprintf("warning guest-cannot-move VM %d", vmid))
}

// bothStacks gives a guest to Proxmox's own HA.
func (b *bed) bothStacks(vmid int) fault {
	const name = "ha/resources.cfg"
	return fault{fmt.Sprintf("guest %d is in both stacks", vmid), func() error { return b.writePVE(name, fmt.Sprintf("vm: %d\n\tstate started\n\n", vmid)) },
		[]string{fmt.Sprintf("warning guest-two-stacks VM %d", vmid), fmt.Sprintf("warning guest-frozen VM %d (web3)", vmid)}, func() error { return b.writePVE(name, "\n") }}
}

// memory gives a guest more memory than the other nodes have.
func (b *bed) memory(vmid, mib int) fault {
	was := ""
	f := b.config(vmid, fmt.Sprintf("has %d MiB", mib), func(text string) string {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "memory: ") {
				was = line
				return strings.Replace(text, line, fmt.Sprintf("memory: %d\n", mib), 1)
			}
		}
		return text
	}, "warning memory-after-failure node "+b.RunningOn(vmid)[0], "warning memory-overcommit node "+b.RunningOn(vmid)[0])
	name := fmt.Sprintf("nodes/%s/qemu-server/%d.conf", b.RunningOn(vmid)[0], vmid)
	f.heal = func() error {
		return b.writePVE(name, strings.Replace(b.readPVE(name), fmt.Sprintf("memory: %d\n", mib), was, 1))
	}
	return f
}

// storeOnStorage makes a shared storage of Proxmox of the directory in which a node has the store's data.
func (b *bed) storeOnStorage(node string) fault {
	was := b.readPVE("storage.cfg")
	return fault{node + "'s data lie on a storage", func() error {
		return b.writePVE("storage.cfg", was+fmt.Sprintf("\ndir: pool\n\tpath %s\n\tcontent images\n\tshared 1\n\tnodes %s\n\n", b.NodeDir(node), node))
	}, []string{"critical data-dir-shared node " + node}, func() error { return b.writePVE("storage.cfg", was) }}
}

// otherLimits gives one node another configuration, and its daemon a new start.
func (b *bed) otherLimits(node string) fault {
	file := b.Node(node, "basculed.yaml")
	was, err := os.ReadFile(file)
	b.must(err)
	set := func(text []byte) error {
		return errors.Join(os.WriteFile(file, text, 0o600), b.Signal(b.ctx, node, "basculed", "KILL"))
	}
	return fault{node + " has other limits", func() error { return set(append(slices.Clone(was), "limits: {max_restart: 3}\n"...)) },
		[]string{"warning config-differs setting limits"}, func() error { return set(was) }}
}
