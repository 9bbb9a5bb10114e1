package pve

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

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
    name: nikita
    nodeid: 2
    quorum_votes: 1
    ring0_addr: 10.7.1.12
    ring1_addr: 10.7.2.12
  }
  node {
    name: camille
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 10.7.1.11
    ring1_addr: 10.7.2.11
  }
}

quorum {
%s  provider: corosync_votequorum
}

totem {
  cluster_name: i11
  config_version: 4
  interface {
    linknumber: 0
  }
  interface {
    linknumber: 1
  }
  token: 1000
  version: 2
}
`

const qdevice = `  device {
    model: net
    net {
      algorithm: ffsplit
      host: 10.7.1.9
      tls: on
    }
    votes: 1
  }
`

// with puts more into the quorum section.
func with(quorum string) string { return strings.Replace(twoNodes, "%s", quorum, 1) }

func TestCorosync(t *testing.T) {
	got, err := ParseCorosync([]byte(with(qdevice)))
	if err != nil {
		t.Fatal(err)
	}
	want := Corosync{Cluster: "i11", Transport: "knet", Links: []int{0, 1}, Token: time.Second, TokenSet: true, Coefficient: DefaultCoefficient,
		Device: &QDevice{Model: "net", Host: "10.7.1.9", Algorithm: "ffsplit", Votes: 1},
		Nodes: []CorosyncNode{
			{Name: "camille", ID: 1, Votes: 1, Addresses: map[int]string{0: "10.7.1.11", 1: "10.7.2.11"}},
			{Name: "nikita", ID: 2, Votes: 1, Addresses: map[int]string{0: "10.7.1.12", 1: "10.7.2.12"}},
		}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if n := got.Votes().All(); n != 3 {
		t.Errorf("%d votes, want 3: two nodes' and the device's", n)
	}
	if b := got.Block(); b != 2200*time.Millisecond {
		t.Errorf("block %v, want 2.2 s for two nodes with a token of 1 s", b)
	}
}

func TestCorosyncDefaultsBlock(t *testing.T) {
	c, err := ParseCorosync([]byte("nodelist {\nnode {\nname: a\n}\nnode {\nname: b\n}\nnode {\nname: c\n}\n}\n"))
	if b := c.Block(); b != 8030*time.Millisecond || c.TokenSet || c.CoefficientSet || err != nil { // 8.0 to 8.2 s were measured
		t.Errorf("block %v of %+v, %v, want 8.03 s", b, c, err)
	}
	if c, err = ParseCorosync([]byte("nodelist {\nnode {\nname: a\n}\n}\ntotem {\ntoken_coefficient: 0\n}\n")); err != nil || c.Coefficient != 0 || !c.CoefficientSet {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestVotesOfCorosync(t *testing.T) {
	nodes := []ha.CorosyncVote{{Node: "camille", Votes: 1}, {Node: "nikita", Votes: 1}}
	device := &ha.CorosyncVotes{Nodes: nodes, QDevice: 1, QDeviceHost: "10.7.1.9"}
	for name, c := range map[string]struct {
		text  string
		want  *ha.CorosyncVotes
		fatal int
	}{
		"two nodes":                {with(""), &ha.CorosyncVotes{Nodes: nodes}, 2},
		"with a QDevice":           {with(qdevice), device, 0},
		"a device's votes left":    {with(strings.Replace(qdevice, "    votes: 1\n", "", 1)), device, 0},
		"a device without a vote":  {with(strings.Replace(qdevice, "votes: 1", "votes: 0", 1)), &ha.CorosyncVotes{Nodes: nodes, QDeviceHost: "10.7.1.9"}, 2},
		"two_node":                 {with("  two_node: 1\n"), &ha.CorosyncVotes{Nodes: nodes, TwoNode: true}, 0},
		"two_node in words":        {with("  two_node: yes\n"), &ha.CorosyncVotes{Nodes: nodes, TwoNode: true}, 0},
		"no two_node":              {with("  two_node: 0\n"), &ha.CorosyncVotes{Nodes: nodes}, 2},
		"of two the last counts":   {with("  two_node: 0\n  two_node: 1\n"), &ha.CorosyncVotes{Nodes: nodes, TwoNode: true}, 0},
		"sections that come twice": {with("") + "quorum {\n two_node: 1\n}\nnodelist {\n node {\n name: proxima\n }\n}\n", &ha.CorosyncVotes{Nodes: append(nodes[:2:2], ha.CorosyncVote{Node: "proxima", Votes: 1}), TwoNode: true}, 0},
		"of two sections too":      {with("  two_node: 1\n") + "quorum {\n two_node: 0\n}\n", &ha.CorosyncVotes{Nodes: nodes}, 2},
		"a heavy node": {"nodelist {\n node {\n name: a\n quorum_votes: 2\n }\n # node {\n node {\n name: b\n }\n}\n",
			&ha.CorosyncVotes{Nodes: []ha.CorosyncVote{{Node: "a", Votes: 2}, {Node: "b", Votes: 1}}}, 1},
		"two_node elsewhere": {with("") + "totem {\n two_node: 1\n}\n", &ha.CorosyncVotes{Nodes: nodes}, 2},
	} {
		got, err := ParseCorosync([]byte(c.text))
		if diff := cmp.Diff(c.want, got.Votes()); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		if n := len(got.Votes().Fatal()); n != c.fatal {
			t.Errorf("%s: the loss of %v ends the quorum, want %d nodes", name, got.Votes().Fatal(), c.fatal)
		}
	}
}

// What is not understood is refused whole: half of the votes would be worse than none.
func TestCorosyncRefuses(t *testing.T) {
	node := func(lines string) string { return "nodelist {\n node {\n name: a\n" + lines + " }\n}\n" }
	if _, err := ParseCorosync([]byte(node(""))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, says string }{
		"empty":              {"", "no node"},
		"no nodes":           {"quorum {\n}\n", "no node"},
		"half a file":        {"nodelist {\n node {\n name: a\n", "block node is not closed"},
		"half a section":     {"totem {\n", "block totem is not closed"},
		"one brace too many": {node("") + "}\n", "line 6 closes"},
		"a word":             {node(" what\n"), "line 4 is neither"},
		"a value of nothing": {node(" : x\n"), "line 4 is neither"},
		"a nameless node":    {"nodelist {\n node {\n nodeid: 1\n ring0_addr: 10.0.0.1\n }\n}\n", "has no name"},
		"votes in words":     {node(" quorum_votes: many\n"), `node a: quorum_votes: "many"`},
		"no votes":           {node(" quorum_votes:\n"), "quorum_votes"},
		"votes below none":   {node(" quorum_votes: -1\n"), "quorum_votes"},
		"too many votes":     {node(" quorum_votes: 99999\n"), "quorum_votes"},
		"an id in words":     {node(" nodeid: one\n"), "nodeid"},
		"a device's votes":   {node("") + "quorum {\n device {\n votes: x\n }\n}\n", "votes"},
		"a token in words":   {node("") + "totem {\n token: 1s\n}\n", "token"},
		"a coefficient":      {node("") + "totem {\n token_coefficient: -1\n}\n", "token_coefficient"},
	} {
		if _, err := ParseCorosync([]byte(c.text)); !errors.Is(err, ErrCorosync) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrCorosync that says %q", name, err, c.says)
		}
	}
}
