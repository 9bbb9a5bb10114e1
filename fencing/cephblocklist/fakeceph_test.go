package cephblocklist

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/fencing/fencingtest"
)

// fakeBridge as its first argument makes this test binary, in place of bridge.py, the way to a small Ceph cluster whose state is a file
// beside the settings' conf.
const fakeBridge = "fake-bridge"

// realMark in the environment of a child keeps the real bridge.
const realMark = "BASCULE_TEST_REAL_CEPH"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == fakeBridge {
		bridgeToFake()
		os.Exit(0)
	}
	if os.Getenv(realMark) == "" {
		interpreter = []string{"/proc/self/exe", fakeBridge}
	}
	fencingtest.Main(m, Method)
}

var child = fencingtest.Child

const key = "AQDfakefakefakefakefakefakefakefakefakefake=="

// state is the fake cluster.
type state struct {
	Fault     fencingtest.Fault
	Epoch     int64
	Blocklist map[string]string
	Ranges    map[string]string
	Pools     []pool
	OSDs      []osd
	Tree      []crushNode
	Watchers  []watch
	WatchEnds bool // of the last of them, once it has been seen
	NoRanges  bool
	Denied    []string // prefixes of commands that the account may not give
	ProbeRet  *int     // what placement groups answer, if not "no such object"
	Forget    bool     // takes entries off again while placement groups are asked
	Self      string
	Dump      string     // instead of the osd dump
	Heard     []string   // commands
	PIDs      []int      // of bridges
	Seen      [][]string // their command lines and environments
}

// cluster is the test's hand on it.
type cluster struct {
	t   *testing.T
	dir string
}

func newCluster(t *testing.T) cluster {
	c := cluster{t, t.TempDir()}
	c.write(state{
		Fault: fencingtest.Healthy, Epoch: 10, Blocklist: map[string]string{}, Ranges: map[string]string{},
		Pools: []pool{{1, "vms", 8, rjenkins, -1, -1}, {3, "data", 6, rjenkins, -1, -1}},
		OSDs:  []osd{{0, 1, "10.0.5.11:6801/5"}, {1, 1, "10.0.5.12:6801/7"}, {2, 0, "10.0.5.12:6805/9"}},
		Tree: []crushNode{{-1, "default", "root", []int{-2, -3}}, {-2, "node1", "host", []int{0}}, {0, "osd.0", "osd", nil},
			{-3, "node2", "host", []int{1, 2}}, {1, "osd.1", "osd", nil}, {2, "osd.2", "osd", nil}},
		Self: "[v2:10.0.5.11:0/99,v1:10.0.5.11:0/99]",
	})
	c.file("ceph.conf", "[global]\n", 0o644)
	c.file("keyring", "[client.bascule]\n\tkey = "+key+"\n", 0o600)
	return c
}

func (c cluster) file(name, content string, mode os.FileMode) string {
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c cluster) settings() map[string]string {
	return map[string]string{"storages": "ceph-vm, ceph-data", "pools": "vms,data", "conf": filepath.Join(c.dir, "ceph.conf"), "keyring": filepath.Join(c.dir, "keyring")}
}

func (c cluster) open(more ...string) *device {
	c.t.Helper()
	s := c.settings()
	for i := 0; i+1 < len(more); i += 2 {
		s[more[i]] = more[i+1]
	}
	d, err := Method.Storage(s)
	if err != nil {
		c.t.Fatal(err)
	}
	return d.(*device)
}

func (c cluster) write(s state) {
	if err := store(c.dir, s); err != nil {
		c.t.Fatal(err)
	}
}

func (c cluster) read() state {
	var s state
	if err := locked(c.dir, func(x *state) { s = *x }); err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (c cluster) change(f func(*state)) {
	c.t.Helper()
	if err := locked(c.dir, f); err != nil {
		c.t.Fatal(err)
	}
}

// Break implements fencingtest.StorageMachine.
func (c cluster) Break(f fencingtest.Fault) { c.change(func(s *state) { s.Fault = f }) }

// Writes implements fencingtest.StorageMachine.
func (c cluster) Writes(client string) bool {
	s := c.read()
	return s.Fault == fencingtest.Behind || !s.blocks(netip.MustParseAddr(strings.TrimPrefix(client, "ip:")))
}

// SetWrites implements fencingtest.StorageMachine.
func (c cluster) SetWrites(client string, can bool) {
	a := netip.MustParseAddr(strings.TrimPrefix(client, "ip:"))
	c.change(func(s *state) {
		delete(s.Blocklist, whole(a))
		delete(s.Ranges, cidr(a))
		if !can {
			s.Blocklist[whole(a)] = when(3 * year)
		}
	})
}

func (s *state) blocks(a netip.Addr) bool {
	_, plain := s.Blocklist[whole(a)]
	_, ranged := s.Ranges[cidr(a)]
	return plain || ranged
}

func cidr(a netip.Addr) string {
	return fmt.Sprintf("cidr:%s/%d", netip.AddrPortFrom(a, 0), a.BitLen())
}

func when(d time.Duration) string {
	return time.Now().Add(d).UTC().Format("2006-01-02T15:04:05.000000-0700")
}

func store(dir string, s state) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	next := filepath.Join(dir, fmt.Sprintf("state.%d", os.Getpid())) // whoever writes may be killed meanwhile
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(dir, "state"))
}

// locked changes the state while nobody else does.
func locked(dir string, f func(*state)) error {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	f(&s)
	return store(dir, s)
}
