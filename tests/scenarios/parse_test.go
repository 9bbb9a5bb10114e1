package scenarios

import (
	"strings"
	"testing"
)

// What cannot be understood is one clear error with its line.
func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"# x\n\nfrobnicate node2\nalways all guests run", `x:3: unknown word "frobnicate"`},
		{"20s explode node2\nalways all guests run", `x:1: command "20s explode node2": there is no verb "explode"`},
		{"20s power-off\nalways all guests run", "x:1: command \"20s power-off\": power-off takes: NODE"},
		{"20s power-off node9\nalways all guests run", `x:1: power-off: "node9" is no NODE of this site`},
		{"20s crash-guest 909\nalways all guests run", `x:1: crash-guest: "909" is no VMID of this site`},
		{"20s device-dead node2-pdu\nalways all guests run", `x:1: device-dead: "node2-pdu" is no DEVICE of this site`},
		{"20s fence node2 for 9s\nalways all guests run", "x:1: command \"20s fence node2 for 9s\": fence does not last"},
		{"site\n  colour red\nalways all guests run", `x:2: unknown word "colour" in the site block`},
		{"site\n  nodes many\nalways all guests run", "x:2: nodes takes: N"},
		{"site\n  watchdog node2 cat\nalways all guests run", "x:2: watchdog takes: NODE|all hw|mux|softdog|none"},
		{"site\n  watchdog node7 hw\nalways all guests run", `x:2: "node7" is no node of this site`},
		{"site\n  guest 101 in node2\nalways all guests run", "x:2: guest 101 in node2: write ID on NODE"},
		{"site\n  guest 101 on node2 blue\nalways all guests run", `x:2: guest 101 on node2 blue: unknown option "blue"`},
		{"site\n  levels node2: node2-pdu\nalways all guests run", `levels of node2: there is no device "node2-pdu"`},
		{"site\n  timing patience 3s\nalways all guests run", "timing patience: there is no such wait"},
		{"site\n  profile brisk\nalways all guests run", "timing profile \"brisk\""},
		{"\nby node node2 fenced", "x:2: write: by T FACT"},
		{"between 20s and 10s node node2 fenced", "x:1: 20s does not lie before 10s"},
		{"by 20s node node2 dead", `x:1: node node2 is never "dead"`},
		{"by 20s node node9 fenced", `x:1: "node9" is no node of this site`},
		{"by 20s guest 999 started", `x:1: "999" is no guest of this site`},
		{"by 20s weather node1 fine", `x:1: unknown word "weather"`},
		{"by 20s guest 101 runs at node1", "x:1: guest 101 runs at node1: write:"},
		{"expect node node2 online", "x:1: write: expect SUBJECT:"},
		{"expect node node2: online -> dead", `x:1: unknown value "dead"`},
		{"proof node2 Hearsay", `x:1: unknown value "Hearsay"`},
		{"commands node2: read*", "x:1: write: commands DEVICE:"},
		{"count sheep 3", "x:1: write: count WHAT"},
		{"count starts node1 3", "x:1: write: count WHAT"},
		{"allow R9\nalways all guests run", "x:1: allow R9: the judge has no such rule"},
		{"until soon\nalways all guests run", "x:1: until soon: write a duration"},
		{"by 50s all guests run\nuntil 40s", "x:1: 50s lies after the scenario's end, 40s"},
		{"60s fence node2\nalways all guests run\nuntil 40s", "x:1: 1m0s lies after the scenario's end"},
		{"20s fence node2", "x: it expects nothing"},
	} {
		_, err := Parse("x", c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestSiteDefaultsAndOverrides(t *testing.T) {
	s, err := Parse("x", "site\n  nodes 2\n  witness\n  watchdog node1 mux\n  guest 101 on node2 ct memory 4 storages iscsi\n  device pdu power for node1\n  levels node1: node1-bmc / pdu / manual\nalways all guests run")
	if err != nil {
		t.Fatal(err)
	}
	x := s.site.spec
	if len(x.Hosts) != 3 || !x.Hosts[2].Witness || x.QDevice != "node3" || x.Hosts[0].Watchdog != "mux" || x.Hosts[1].Watchdog != "hw" {
		t.Errorf("hosts: %+v, qdevice %q", x.Hosts, x.QDevice)
	}
	if g := x.Guests[0]; len(x.Guests) != 4 || g.ID != 101 || g.Node != "node2" || g.Kind != "lxc" || g.Memory != 4<<30 || g.Storages[0] != "iscsi" {
		t.Errorf("guests: %+v", x.Guests)
	}
	if l := x.Plans["node1"].Levels; len(l) != 3 || l[1][0].Name != "pdu" || l[2][0].Kind != "manual" {
		t.Errorf("levels of node1: %+v", l)
	}
	if l := x.Plans["node2"].Levels; len(l) != 2 || l[0][0].Name != "node2-bmc" {
		t.Errorf("levels of node2: %+v", l)
	}
}
