package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bascule/ha/waittest"
)

// newLab starts a lab of two nodes with stand-ins for Bascule, and takes it down at the end.
func newLab(t *testing.T, change func(*Options)) *Lab {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "lab") // t.TempDir's names are too long for unix sockets
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Dir: dir, Nodes: 2, Guests: 2, Corosync: "tuned", BootTime: 200 * time.Millisecond, OffTime: 100 * time.Millisecond, StartTimeout: 2 * waittest.Hang,
		Daemon: []Program{
			{Role: "guard", Argv: []string{exe, "standin", "guard"}},
			{Role: "basculed", Argv: []string{exe, "standin", "basculed"}},
		},
		Progress: func(line string) { t.Log(line) },
	}
	if change != nil {
		change(&o)
	}
	l, err := Up(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background(), true); err != nil {
			t.Error(err)
		}
		// The world is a process of its own: what its race detector or a panic said is in its log.
		log := readText(l.worldLog())
		if strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic:") {
			t.Errorf("the world's log:\n%s", log)
		}
		must(t, os.RemoveAll(l.Dir))
	})
	return l
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*waittest.Hang)
	defer cancel()
	if err := Await(ctx, what, func(context.Context) error { return condition() }); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func nodeStatus(t *testing.T, l *Lab, node string) NodeStatus {
	t.Helper()
	s, err := l.Status(t.Context())
	must(t, err)
	for _, n := range s.Nodes {
		if n.Name == node {
			return n
		}
	}
	t.Fatalf("%s is not in the status", node)
	return NodeStatus{}
}

func processesOn(l *Lab, node string) []Process {
	return slices.DeleteFunc(l.Processes(), func(p Process) bool { return p.Node != node })
}

// TestLab walks through the life of one lab: starting one takes seconds, so its parts share it.
func TestLab(t *testing.T) {
	l := newLab(t, nil)
	t.Run("guests run", func(t *testing.T) { testGuests(t, l) })
	t.Run("crash", func(t *testing.T) { testCrash(t, l) })
	t.Run("network", func(t *testing.T) { testNetwork(t, l) })
	t.Run("power cut and return", func(t *testing.T) { testPower(t, l) })
	t.Run("watchdog", func(t *testing.T) { testWatchdogReset(t, l) })
	t.Run("bmc", func(t *testing.T) { testBMC(t, l) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, l) })
	t.Run("up again", func(t *testing.T) {
		o := l.Options
		if _, err := Up(t.Context(), o); err == nil || !strings.Contains(err.Error(), "a lab is up in") {
			t.Errorf("a second lab in the same directory: %v", err)
		}
	})
}

func testGuests(t *testing.T, l *Lab) {
	eventually(t, "both guests write", func() error {
		for id, node := range map[int]string{101: "node1", 201: "node2"} {
			line, ok, err := l.LastLine(id)
			if err != nil || !ok || line.Node != node {
				return fmt.Errorf("guest %d: %+v %v", id, line, err)
			}
			if on := l.RunningOn(id); !slices.Equal(on, []string{node}) {
				return fmt.Errorf("guest %d runs on %v", id, on)
			}
			if boot := nodeStatus(t, l, node).BootID; line.Incarnation != boot {
				return fmt.Errorf("guest %d writes incarnation %s in boot %s", id, line.Incarnation, boot)
			}
		}
		return nil
	})
}

func testCrash(t *testing.T, l *Lab) {
	before := nodeStatus(t, l, "node1").Daemons["basculed"]
	child := number(readText(l.Node("node1", "child")))
	must(t, l.Signal(t.Context(), "node1", "basculed", "KILL"))
	eventually(t, "basculed is started again", func() error {
		if now := nodeStatus(t, l, "node1").Daemons["basculed"]; now == 0 || now == before {
			return fmt.Errorf("pid %d", now)
		}
		if alive(child) {
			return fmt.Errorf("its child %d was left behind", child)
		}
		return l.Ready(t.Context())
	})
}

// dialAPI connects to a node's public API port as a person would and checks that it echoes.
func dialAPI(t *testing.T, l *Lab, i int) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", fmt.Sprint(l.Public(i), ":", PortAPI), waittest.Hang)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func echo(conn net.Conn, limit time.Duration) error {
	_ = conn.SetDeadline(time.Now().Add(limit))
	if _, err := io.WriteString(conn, "x"); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	return err
}

func testNetwork(t *testing.T, l *Lab) {
	must(t, l.Cut(t.Context(), "node2", "", false))
	s, err := l.Status(t.Context())
	must(t, err)
	if diff := cmp.Diff([]string{"node2"}, s.Cuts); diff != "" {
		t.Error(diff)
	}
	eventually(t, "node2 loses corosync's quorum", func() error {
		if nodeStatus(t, l, "node2").Quorate {
			return errors.New("it is quorate")
		}
		return nil
	})
	must(t, echo(dialAPI(t, l, 2), waittest.Hang)) // a person is on no cable
	must(t, l.Heal(t.Context(), "node2", ""))
	must(t, l.Cut(t.Context(), "node2", "node1", true))
	s, err = l.Status(t.Context())
	must(t, err)
	if diff := cmp.Diff([]string{"node1->node2"}, s.Cuts); diff != "" {
		t.Error(diff)
	}
	must(t, l.Heal(t.Context(), "node2", "node1"))
}

func testPower(t *testing.T, l *Lab) {
	open := dialAPI(t, l, 2)
	must(t, echo(open, waittest.Hang))
	boot := nodeStatus(t, l, "node2").BootID
	if n := len(processesOn(l, "node2")); n < 4 { // guard, basculed, its child, a guest
		t.Errorf("%d processes on node2: %+v", n, processesOn(l, "node2"))
	}

	child := number(readText(l.Node("node2", "child"))) // without a mark
	if !alive(child) {
		t.Fatalf("basculed's child %d does not live", child)
	}
	at, err := l.Kill(t.Context(), "node2")
	must(t, err)
	t.Logf("the power cut took %s", time.Since(at))
	if left := processesOn(l, "node2"); len(left) != 0 {
		t.Errorf("these outlived the power cut: %+v", left)
	}
	if alive(child) {
		t.Errorf("basculed's child %d outlived the power cut", child)
	}
	must(t, l.assertOnce(at, EventPowerCut, "node2"))
	off := l.eventAfter(t, EventPowerOff, "node2", at)
	if line, ok, err := l.LastLine(201); err != nil || !ok || line.At.After(off) {
		t.Errorf("the guest's last line %+v (%v) is later than the end of all processes at %s", line, err, off)
	}
	if err := echo(open, 300*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection to the dead node: %v, want silence", err)
	}

	must(t, l.PowerOn(t.Context(), "node2"))
	eventually(t, "node2 is back", func() error { return l.Ready(t.Context()) })
	if now := nodeStatus(t, l, "node2"); now.BootID == boot || now.Power != "on" {
		t.Errorf("after the boot: %+v", now)
	}
	if err := echo(open, waittest.Hang); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the old connection after the power is back: %v, want a reset", err)
	}
}

// eventAfter is the moment of the first event of this kind from a moment on.
func (l *Lab) eventAfter(t *testing.T, kind, node string, from time.Time) time.Time {
	t.Helper()
	events, _, err := l.Events(0)
	must(t, err)
	for _, e := range events {
		if e.Kind == kind && e.Node == node && !e.At().Before(from) {
			return e.At()
		}
	}
	t.Fatalf("no event %s of %s after %s", kind, node, from)
	return time.Time{}
}

// assertOnce checks that an event of this kind was recorded for this moment.
func (l *Lab) assertOnce(at time.Time, kind, node string) error {
	events, _, err := l.Events(0)
	for _, e := range events {
		if e.Kind == kind && e.Node == node && e.At().Equal(at) {
			return nil
		}
	}
	return fmt.Errorf("no event %s of %s at %s among %d (%v)", kind, node, at, len(events), err)
}

func testWatchdogReset(t *testing.T, l *Lab) {
	before := nodeStatus(t, l, "node1")
	if before.Watchdog != time.Minute {
		t.Fatalf("the guard has armed the watchdog with %s", before.Watchdog)
	}
	must(t, os.WriteFile(l.Node("node1", shortWatchdog), nil, 0o644))
	eventually(t, "the guard arms a short watchdog", func() error {
		if now := nodeStatus(t, l, "node1"); now.Watchdog != 500*time.Millisecond && now.BootID == before.BootID {
			return fmt.Errorf("armed with %s", now.Watchdog)
		}
		return nil
	})
	must(t, l.Signal(t.Context(), "node1", "guard", "STOP"))
	eventually(t, "the watchdog resets node1", func() error {
		if now := nodeStatus(t, l, "node1"); now.BootID == before.BootID || now.Power != "on" {
			return fmt.Errorf("boot %s, power %s", now.BootID, now.Power)
		}
		return l.Ready(t.Context())
	})
}

func testBMC(t *testing.T, l *Lab) {
	must(t, l.BMC(t.Context(), "node2", "hang"))
	if got := nodeStatus(t, l, "node2").BMC; got != "hang" {
		t.Errorf("the fault is %q", got)
	}
	must(t, l.BMC(t.Context(), "node2", "clear"))
	if err := l.BMC(t.Context(), "node2", "explode"); err == nil {
		t.Error("an unknown fault was accepted")
	}
}

func testRefusals(t *testing.T, l *Lab) {
	ctx := t.Context()
	_, killErr := l.Kill(ctx, "node7")
	for name, err := range map[string]error{
		"kill unknown":   killErr,
		"cut itself":     l.Cut(ctx, "node1", "node1", false),
		"signal unknown": l.Signal(ctx, "node1", "guard", "NONSENSE"),
		"signal role":    l.Signal(ctx, "node1", "systemd", "STOP"),
		"operator":       l.Operator(ctx, "node1", 101, "explode"),
		"pve":            l.PVE(ctx, "node1", "explode"),
		"storage":        l.Storage(ctx, "node1", "ceph-vm", "explode"),
		"no storage":     l.Storage(ctx, "node1", "ceph-data", "fail"),
		"link":           l.Link(ctx, "", "node1", 0, 0.5),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestUpShowsTheLogOfWhatDoesNotStart(t *testing.T) {
	exe, err := os.Executable()
	must(t, err)
	dir, err := os.MkdirTemp("", "lab")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	_, err = Up(t.Context(), Options{
		Dir: dir, Nodes: 1, Guests: -1, Fencing: Watchdog, StartTimeout: 2 * waittest.Hang,
		Daemon: []Program{{Role: "basculed", Argv: []string{exe, "standin", "crash", "on purpose"}}},
	})
	if err == nil || !strings.Contains(err.Error(), "this stand-in always crashes: on purpose") {
		t.Errorf("the error does not tell why: %v", err)
	}
	if pid := worldPid(dir); pid != 0 {
		t.Errorf("the world %d outlived the failed start", pid)
	}
	// A directory of a lab that is down is replaced; one with other things in it is not.
	if err := clearDir(dir); err != nil {
		t.Error(err)
	}
	must(t, os.WriteFile(dir+"/precious", nil, 0o644))
	if err := clearDir(dir); err == nil {
		t.Error("a directory that is no lab was emptied")
	}
}

func TestDownCleansUpAfterADeadWorld(t *testing.T) {
	l := newLab(t, func(o *Options) { o.Nodes, o.Guests = 2, 1 })
	pid := worldPid(l.Dir)
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	awaitEnd(t.Context(), pid, waittest.Hang)
	if len(l.Processes()) == 0 {
		t.Fatal("the nodes died with the world: nothing to clean up")
	}
	child := number(readText(l.Node("node1", "child")))
	must(t, Clean(t.Context(), l.Dir, true))
	if alive(child) {
		t.Errorf("basculed's child %d is left", child)
	}
	if left := l.Processes(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestEventsRoundTrip(t *testing.T) {
	path := t.TempDir() + "/events.jsonl"
	log, err := newEventLog(path)
	must(t, err)
	at := time.Unix(1700000000, 123456789)
	log.addAt(at, EventPowerCut, "node1", "why")
	first, offset, err := readEvents(path, 0)
	must(t, err)
	log.add(EventPowerOn, "node1", "")
	second, _, err := readEvents(path, offset)
	must(t, err)
	if len(first) != 1 || !first[0].At().Equal(at) || first[0].Detail != "why" || len(second) != 1 || second[0].Kind != EventPowerOn {
		t.Errorf("%+v, %+v", first, second)
	}
	if data, err := json.Marshal(first[0]); err != nil || !strings.Contains(string(data), `"time":1700000000123456789`) {
		t.Errorf("%s %v", data, err)
	}
}
