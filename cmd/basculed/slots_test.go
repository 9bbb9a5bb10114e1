package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bascule/config"
	"bascule/fencing"
	"bascule/fencing/sbd"
	"bascule/ha/guard"
	"bascule/ha/node"
)

const slotsConfig = `cluster: lab
node: node1
members: [{name: node1, address: 10.0.0.1}, {name: node2, address: 10.0.0.2}]
fencing:
  devices:
    - {name: bmc1, node: node1, method: redfish}
    - {name: sbd1, node: node1, method: sbd, settings: {disks: "/dev/a, /dev/b", slot: n1, msgwait: 20s}}
    - {name: sbd2, node: node2, method: sbd, settings: {disks: /dev/a, slot: n2, msgwait: 20s}}
    - {name: bad1, node: node1, method: sbd, settings: {disks: disk, slot: n1, msgwait: 20s}}
`

func TestSlotsAreThoseOfThisNodesSbdDevices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "basculed.yaml")
	if err := os.WriteFile(file, []byte(slotsConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.LoadGuard(file)
	if err != nil {
		t.Fatal(err)
	}
	got, problems := slots(cfg.Own)
	if len(got) != 1 || got[0].Device() != "sbd1" {
		t.Fatalf("%+v", got)
	}
	if c := got[0].(sbdSlot).config; c.Slot != "n1" || !slices.Equal(c.Disks, []string{"/dev/a", "/dev/b"}) {
		t.Errorf("%+v", c)
	}
	if len(problems) != 1 || !strings.Contains(problems[0], "basculed.yaml:9:") || !strings.Contains(problems[0], "is not watched") {
		t.Errorf("%q", problems)
	}
}

func TestSightInTheGuardsWords(t *testing.T) {
	c := sbd.Config{Disks: []string{"/dev/a", "/dev/b"}}
	for command, want := range map[sbd.Command]node.NodeEnd{sbd.Off: node.EndOff, sbd.Reset: node.EndReset, sbd.Crashdump: node.EndCrash} {
		v := sbd.Verdict{Until: 7, Problems: []string{"", "it hangs"}, Poisoned: &sbd.Mailbox{Command: command, From: "node2"}}
		s := sight(c, v, []sbd.Notice{{Disk: 1, Text: "it hangs"}})
		if s.Message != want || s.From != "node2" || s.Until != 7 || s.Problem != "/dev/b: it hangs" || !slices.Equal(s.Notes, []string{"/dev/b: it hangs"}) {
			t.Errorf("%v: %+v", command, s)
		}
		if err := (guard.SysRq{Root: t.TempDir()}).End(s.Message); !errors.Is(err, os.ErrNotExist) { // a key that the kernel knows
			t.Errorf("%v: %v", command, err)
		}
	}
	if s := sight(c, sbd.Verdict{Until: 7, Problems: []string{"", ""}}, nil); s.Message != "" || s.Problem != "" {
		t.Errorf("%+v", s)
	}
	if _, err := sbd.Watched(map[string]string{"disks": "/dev/a"}); !errors.Is(err, fencing.ErrSettings) {
		t.Errorf("%v", err)
	}
}
