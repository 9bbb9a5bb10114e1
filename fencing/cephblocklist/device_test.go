package cephblocklist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
	"bascule/ha/waittest"
)

var node2 = []string{"ip:10.0.5.12", "iqn:not-ours", "ip:fd00:5::12"}

var timeLimit = fencingtest.Within

func soon(t *testing.T) context.Context { return timeLimit(t, 40*time.Second) }

// noProcessLeft demands that every bridge is gone. The executor does not wait for a method that is late, so it may take a moment.
func noProcessLeft(t *testing.T, c cluster) {
	t.Helper()
	for _, pid := range c.read().PIDs {
		waittest.Until(t, waittest.Hang, fmt.Sprintf("process %d has ended", pid), func() bool { return syscall.Kill(pid, 0) != nil })
	}
}

// access reads and demands the same answer for both storages.
func access(t *testing.T, d *device, clients []string) (ha.StorageAccess, error) {
	t.Helper()
	got, err := d.Read(soon(t), clients)
	if len(got) != 2 || got[0].Storage != "ceph-vm" || got[1].Storage != "ceph-data" || got[0].Access != got[1].Access {
		t.Fatalf("%v", got)
	}
	if err != nil && got[0].Access != ha.AccessUnknown {
		t.Errorf("failed, yet says %v", got)
	}
	return got[0].Access, err
}

func revoke(t *testing.T, d *device, clients []string) {
	t.Helper()
	if err := d.Revoke(soon(t), clients); err != nil {
		t.Fatal(err)
	}
}

func TestRevokeWritesWholeAddressesForYears(t *testing.T) {
	c := newCluster(t)
	revoke(t, c.open(), node2)
	s := c.read()
	for _, text := range []string{"cidr:10.0.5.12:0/32", "cidr:[fd00:5::12]:0/128"} {
		until, err := time.Parse(stamp, s.Ranges[text])
		if err != nil || until.Before(time.Now().Add(9*year)) {
			t.Errorf("%s until %q: %v", text, s.Ranges[text], err)
		}
	}
	if len(s.Ranges) != 2 || len(s.Blocklist) != 0 {
		t.Errorf("%v %v", s.Ranges, s.Blocklist)
	}
	c = newCluster(t)
	c.change(func(s *state) { s.NoRanges = true })
	revoke(t, c.open(), node2)
	if s = c.read(); s.Blocklist["10.0.5.12:0/0"] == "" || s.Blocklist["[fd00:5::12]:0/0"] == "" || len(s.Blocklist) != 2 {
		t.Errorf("%v", s.Blocklist)
	}
}

func TestWhatCountsAsRevoked(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(*state)
		want  ha.StorageAccess
		err   error
	}{
		{"plain and range", func(s *state) { s.Blocklist["10.0.5.12:0/0"] = when(2 * year) }, ha.AccessRevoked, nil},
		{"typed", func(s *state) { s.Blocklist["any:10.0.5.12:0/0"] = when(2 * year) }, ha.AccessRevoked, nil},
		{"a wider range", func(s *state) { s.Ranges["cidr:10.0.4.0:0/22"] = when(2 * year) }, ha.AccessRevoked, nil},
		{"one process only", func(s *state) { s.Blocklist["10.0.5.12:0/4711"] = when(2 * year) }, ha.AccessOpen, nil},
		{"one port only", func(s *state) { s.Blocklist["10.0.5.12:6789/0"] = when(2 * year) }, ha.AccessOpen, nil},
		{"a neighbour", func(s *state) { s.Ranges["cidr:10.0.5.13:0/32"] = when(2 * year) }, ha.AccessOpen, nil},
		{"ended", func(s *state) { s.Blocklist["10.0.5.12:0/0"] = when(-time.Second) }, ha.AccessOpen, nil},
		{"an hour, as others do", func(s *state) { s.Blocklist["10.0.5.12:0/0"] = when(time.Hour) }, ha.AccessUnknown, fencing.ErrRefused},
		{"an hour and for years", func(s *state) {
			s.Blocklist["10.0.5.12:0/0"] = when(time.Hour)
			s.Ranges["cidr:10.0.5.12:0/32"] = when(lasting)
		}, ha.AccessRevoked, nil},
		{"an entry that makes no sense", func(s *state) { s.Blocklist["10.0.5.12"] = when(lasting) }, ha.AccessUnknown, fencing.ErrRubbish},
		{"a time that makes no sense", func(s *state) { s.Blocklist["10.0.5.12:0/0"] = "never" }, ha.AccessUnknown, fencing.ErrRubbish},
		{"a range that makes no sense", func(s *state) { s.Ranges["cidr:10.0.5.12:0/33"] = when(lasting) }, ha.AccessUnknown, fencing.ErrRubbish},
		{"no blocklist", func(s *state) { s.Dump = `{"epoch":5,"pools":[]}` }, ha.AccessUnknown, fencing.ErrRubbish},
		{"no map", func(s *state) { s.Dump = `null` }, ha.AccessUnknown, fencing.ErrRubbish},
		{"half a map", func(s *state) { s.Dump = `{"epoch":5,"pools":[` }, ha.AccessUnknown, fencing.ErrRubbish},
	} {
		x := newCluster(t)
		x.change(func(s *state) {
			s.Ranges["cidr:[fd00:5::12]:0/128"] = when(lasting)
			c.setup(s)
		})
		got, err := access(t, x.open(), node2)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %s, %v; want %s, %v", c.name, got, err, c.want, c.err)
		}
	}
}

func TestTheProofNeedsMoreThanTheList(t *testing.T) {
	shutdown, denied := -int(blocklisted), -int(syscall.EPERM)
	for _, c := range []struct {
		name  string
		setup func(*state)
		err   error
		text  string
	}{
		{"a placement group is silent", func(s *state) { s.Fault = fencingtest.Behind }, fencing.ErrTimeout, "1 of 6 placement groups of pool data do not say that they enforce it (3.5)"},
		{"a watch stays", func(s *state) { s.Watchers = []watch{{"vms/vm-100-disk-0", "10.0.5.12:0/77"}} }, fencing.ErrTimeout, "10.0.5.12 has vms/vm-100-disk-0 open"},
		{"a watcher that makes no sense", func(s *state) { s.Watchers = []watch{{"vms/x", "?"}} }, fencing.ErrRubbish, `"?"`},
		{"taken off during the look", func(s *state) { s.Forget = true }, fencing.ErrTimeout, "changed during the look"},
		{"this member is blocked", func(s *state) { s.ProbeRet = &shutdown }, fencing.ErrRefused, "itself on the blocklist"},
		{"no right to ask", func(s *state) { s.ProbeRet = &denied }, fencing.ErrRefused, "ceph auth caps"},
		{"a pool is gone", func(s *state) { s.Pools = s.Pools[:1] }, fencing.ErrSettings, `no pool "data": write one of vms`},
		{"a pool has a cache tier", func(s *state) { s.Pools[0].WriteTier = 4 }, fencing.ErrSettings, "cache tier"},
		{"a pool with another hash", func(s *state) { s.Pools[0].Hash = 1 }, fencing.ErrRubbish, "object hash 1"},
		{"a pool without groups", func(s *state) { s.Pools[0].PGs = 0 }, fencing.ErrRubbish, "0 placement groups"},
	} {
		limit := 20 * time.Second
		if errors.Is(c.err, fencing.ErrTimeout) {
			limit = 3 * time.Second
		}
		waittest.BestOf(t, func() string { // by then it must have answered what keeps it waiting
			x := newCluster(t)
			d := x.open()
			revoke(t, d, node2)
			x.change(c.setup)
			got, err := d.Read(timeLimit(t, limit), node2)
			limit *= 2
			if got[0].Access != ha.AccessUnknown {
				t.Errorf("%s: %v, %v", c.name, got, err)
			}
			if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) {
				return fmt.Sprintf("%s: %v, %v; want %v %q", c.name, got, err, c.err, c.text)
			}
			return ""
		})
	}
}

func TestWatchesOfOthersAndLateOnes(t *testing.T) {
	x := newCluster(t)
	d := x.open()
	revoke(t, d, node2)
	x.change(func(s *state) {
		s.Watchers, s.WatchEnds = []watch{{"vms/a", "10.0.5.13:0/77"}, {"vms/b", "10.0.5.12:0/77"}}, true
	})
	if got, err := access(t, d, node2); got != ha.AccessRevoked || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if left := x.read().Watchers; len(left) != 1 {
		t.Errorf("nobody looked: %v", left)
	}
}

func TestALivingNodesReadingShowsWhatWouldFail(t *testing.T) {
	denied := -int(syscall.EPERM)
	for _, c := range []struct {
		name  string
		setup func(*state)
		want  ha.StorageAccess
		err   error
	}{
		{"all is well", func(*state) {}, ha.AccessOpen, nil},
		{"may not change the blocklist", func(s *state) { s.Denied = []string{"osd blocklist"} }, ha.AccessUnknown, fencing.ErrRefused},
		{"may not mark OSDs down", func(s *state) { s.Denied = []string{"osd down"} }, ha.AccessUnknown, fencing.ErrRefused},
		{"may not read the tree", func(s *state) { s.Denied = []string{"osd tree"} }, ha.AccessUnknown, fencing.ErrRefused},
		{"may not ask placement groups", func(s *state) { s.ProbeRet = &denied }, ha.AccessUnknown, fencing.ErrRefused},
		{"a placement group is silent", func(s *state) { s.Fault = fencingtest.Behind }, ha.AccessOpen, nil}, // what is open is said
		{"no such host", func(s *state) { s.Tree = s.Tree[:3] }, ha.AccessUnknown, fencing.ErrSettings},
		{"host names another node", func(s *state) { s.OSDs[1].Addr = "10.0.5.13:6801/7" }, ha.AccessUnknown, fencing.ErrWrongMachine},
		{"no such pool", func(s *state) { s.Pools = nil }, ha.AccessUnknown, fencing.ErrRubbish},
	} {
		x := newCluster(t)
		x.change(c.setup)
		before := x.read()
		got, err := access(t, x.open("mark_down", "true", "host", "node2"), node2)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %s, %v; want %s, %v", c.name, got, err, c.want, c.err)
		}
		if after := x.read(); after.Epoch != before.Epoch || !slices.Equal(after.OSDs, before.OSDs) || len(after.Ranges)+len(after.Blocklist) > 0 {
			t.Errorf("%s: a reading changed the cluster", c.name)
		}
	}
	x := newCluster(t)
	x.Break(fencingtest.Behind) // asked about nobody, a silent group is a problem
	if _, err := x.open().Read(soon(t), nil); !errors.Is(err, fencing.ErrTimeout) {
		t.Errorf("%v", err)
	}
}
