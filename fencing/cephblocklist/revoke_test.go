package cephblocklist

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
)

func TestOSDsAreMarkedDownOnlyAtTheNodesAddresses(t *testing.T) {
	x := newCluster(t)
	d := x.open("mark_down", "true", "host", "node2")
	revoke(t, d, node2)
	if s := x.read(); s.OSDs[0].Up != 1 || s.OSDs[1].Up != 0 {
		t.Errorf("%+v", s.OSDs)
	}
	for _, c := range []struct {
		name    string
		setup   func(*state)
		clients []string
		err     error
	}{
		{"host of another node", func(s *state) { s.Tree[3].Children = []int{0, 1} }, node2, fencing.ErrWrongMachine},
		{"the list does not show it", func(s *state) { s.Fault = fencingtest.Lies }, node2, fencing.ErrRefused},
		{"no such host", func(s *state) { s.Tree = s.Tree[:2] }, node2, fencing.ErrSettings},
		{"refused", func(s *state) { s.Denied = []string{"osd down"} }, node2, fencing.ErrRefused},
		{"a host that is no host", func(s *state) { s.Tree[3].Type = "rack" }, node2, fencing.ErrSettings},
	} {
		x := newCluster(t)
		x.change(c.setup)
		err := x.open("mark_down", "true", "host", "node2").Revoke(soon(t), c.clients)
		if s := x.read(); !errors.Is(err, c.err) || s.OSDs[0].Up != 1 || s.OSDs[1].Up != 1 {
			t.Errorf("%s: %v, %+v", c.name, err, s.OSDs)
		}
	}
}

func TestAMemberDoesNotBlockItself(t *testing.T) {
	x := newCluster(t)
	err := x.open().Revoke(soon(t), []string{"ip:10.0.5.12", "ip:10.0.5.11"})
	if s := x.read(); !errors.Is(err, fencing.ErrWrongMachine) || len(s.Heard) != 0 {
		t.Errorf("%v, heard %v", err, s.Heard)
	}
}

func TestRestoreRemovesOnlyWhatWeAdded(t *testing.T) {
	x := newCluster(t)
	d := x.open()
	revoke(t, d, node2)
	revoke(t, d, []string{"ip:10.0.5.14"})
	x.change(func(s *state) {
		s.Blocklist["10.0.5.12:0/4711"] = when(year) // one process, by an image's lock
		s.Blocklist["10.0.5.13:0/0"] = when(lasting) // another node
	})
	if err := d.Restore(soon(t), node2); err != nil {
		t.Fatal(err)
	}
	s := x.read()
	if len(s.Ranges) != 1 || s.Ranges["cidr:10.0.5.14:0/32"] == "" || len(s.Blocklist) != 2 {
		t.Errorf("%v %v", s.Ranges, s.Blocklist)
	}
	if got, err := access(t, d, node2); got != ha.AccessOpen || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	for name, until := range map[string]time.Duration{"10.0.5.12:0/0": time.Hour, "10.0.5.12/32": 5 * year, "10.0.4.0/22": lasting} {
		x := newCluster(t)
		d := x.open()
		revoke(t, d, node2)
		x.change(func(s *state) {
			if addr, bits, ok := strings.Cut(name, "/"); ok && bits != "0" {
				s.Ranges["cidr:"+addr+":0/"+bits] = when(until)
			} else {
				s.Blocklist[name] = when(until)
			}
		})
		if err := d.Restore(soon(t), node2); !errors.Is(err, fencing.ErrRefused) || !strings.Contains(err.Error(), "not ours") {
			t.Errorf("%s: %v", name, err)
		}
		if s := x.read(); len(s.Ranges)+len(s.Blocklist) != 1 {
			t.Errorf("%s: %v %v", name, s.Ranges, s.Blocklist)
		}
	}
	x.change(func(s *state) { s.Denied = []string{"osd blocklist"} })
	if err := d.Restore(soon(t), []string{"ip:10.0.5.14"}); !errors.Is(err, fencing.ErrRefused) {
		t.Errorf("%v", err)
	}
}
