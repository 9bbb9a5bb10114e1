package proxmox

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bascule/ha"
)

// As pvecm writes it; `pvecm qdevice setup` adds the device.
const twoNodes = `logging {
  debug: off
  to_syslog: yes
}

nodelist {
  node {
    name: pve2
    nodeid: 2
    quorum_votes: 1
    ring0_addr: 10.0.0.2
  }
  node {
    name: pve1
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 10.0.0.1
  }
}

quorum {
%s  provider: corosync_votequorum
}

totem {
  cluster_name: dmz
  config_version: 3
  interface {
    linknumber: 0
  }
  version: 2
}
`

const qdevice = `  device {
    model: net
    net {
      algorithm: ffsplit
      host: 10.0.0.9
      tls: on
    }
    votes: 1
  }
`

func TestVotesOfCorosync(t *testing.T) {
	nodes := []ha.CorosyncVote{{Node: "pve1", Votes: 1}, {Node: "pve2", Votes: 1}}
	for name, c := range map[string]struct {
		text  string
		want  *ha.CorosyncVotes
		fatal int
	}{
		"two nodes":             {strings.Replace(twoNodes, "%s", "", 1), &ha.CorosyncVotes{Nodes: nodes}, 2},
		"with a QDevice":        {strings.Replace(twoNodes, "%s", qdevice, 1), &ha.CorosyncVotes{Nodes: nodes, QDevice: 1, QDeviceHost: "10.0.0.9"}, 0},
		"a device's votes left": {strings.Replace(twoNodes, "%s", strings.Replace(qdevice, "    votes: 1\n", "", 1), 1), &ha.CorosyncVotes{Nodes: nodes, QDevice: 1, QDeviceHost: "10.0.0.9"}, 0},
		"two_node":              {strings.Replace(twoNodes, "%s", "  two_node: 1\n", 1), &ha.CorosyncVotes{Nodes: nodes, TwoNode: true}, 0},
		"a heavy node": {"nodelist {\n node {\n name: a\n quorum_votes: 2\n }\n # node {\n node {\n name: b\n }\n}\n",
			&ha.CorosyncVotes{Nodes: []ha.CorosyncVote{{Node: "a", Votes: 2}, {Node: "b", Votes: 1}}}, 1},
	} {
		tree := newTree(map[string]string{"corosync.conf": c.text})
		got, err := newFakePVE(t).driver(t, tree).votes(context.Background())
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		if n := len(got.Fatal()); n != c.fatal {
			t.Errorf("%s: the loss of %v ends the quorum, want %d nodes", name, got.Fatal(), c.fatal)
		}
	}
}

// What cannot be read claims nothing, and is said; a node without a cluster has no such file, and that is no problem.
func TestVotesThatCannotBeRead(t *testing.T) {
	for name, text := range map[string]string{
		"half a file": "nodelist {\n node {\n name: a\n", "one brace too many": "}\n", "no nodes": "quorum {\n}\n",
		"a nameless node": "nodelist {\n node {\n nodeid: 1\n }\n}\n", "odd votes": "nodelist {\n node {\n name: a\n quorum_votes: many\n }\n}\n",
	} {
		got, err := newFakePVE(t).driver(t, newTree(map[string]string{"corosync.conf": text})).votes(context.Background())
		if got != nil || err == nil || !strings.Contains(err.Error(), "corosync.conf on n1 cannot be read") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := newFakePVE(t).driver(t, newTree(nil)).votes(context.Background()); got != nil || err != nil {
		t.Errorf("without a cluster: %+v, %v", got, err)
	}
	inv, err := inventoryPVE(t).driver(t, newTree(nil).fail("read", "corosync.conf", syscall.EIO)).Inventory(context.Background())
	if err != nil || len(inv.Problems) != 1 || !strings.Contains(inv.Problems[0], "corosync.conf") {
		t.Errorf("an unreadable file must be said and hold nothing up: %v, %v", inv.Problems, err)
	}
}

func FuzzCorosyncConf(f *testing.F) {
	f.Add([]byte(strings.Replace(twoNodes, "%s", qdevice, 1)))
	f.Add([]byte("nodelist {\nnode {\n}\n}\nname: x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := parseVotes(data)
		if (v == nil) == (err == nil) {
			t.Fatalf("%+v, %v", v, err)
		}
		v.Fatal()
	})
}
