//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/tests/lab"
)

// restoredAndHalfUp is the procedure of docs/operate.md with real daemons, up to the start: back up, go on (node2's guests move), lose all
// machines, restore on every voter, start two of the three. It returns where the guests ran when the power went, and when the two came up.
func restoredAndHalfUp(t *testing.T, bmcOf3 string) (b *bed, ran map[string][]int, at time.Time) {
	t.Helper()
	b = up(t, lab.Options{})
	file := filepath.Join(b.Options.Dir, "backup.tar.gz")
	config := func(n string) string { return b.Node(n, "basculed.yaml") }
	if text, code := b.hactl("node1", "backup", file, "--config", config("node1")); code != 0 {
		t.Fatalf("hactl backup: %d %s", code, text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the backup's mode: %v, %v", info, err)
	}
	moved := b.guestsOn("node2")
	if text, code := b.hactl("node1", "drain", "node2", "--wait"); code != 0 || len(moved) == 0 {
		t.Fatalf("hactl drain: %d %s; moved %v", code, text, moved)
	}
	ran = map[string][]int{}
	for _, n := range b.Names() {
		ran[n] = b.guestsOn(n)
	}
	for _, n := range b.Names() {
		_, err := b.Kill(b.ctx, n)
		b.must(err)
	}
	b.must(b.BMC(b.ctx, "node3", bmcOf3))
	for _, n := range b.Names() {
		c := exec.CommandContext(b.ctx, filepath.Join(bin(), "hactl"), "restore", file, "--yes", "--config", config(n), "--basculed", filepath.Join(bin(), "basculed"))
		out, err := c.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "epoch 2") {
			t.Fatalf("hactl restore on %s: %v\n%s", n, err, out)
		}
	}
	at = time.Now()
	for _, n := range []string{"node1", "node2"} {
		b.must(b.PowerOn(b.ctx, n))
	}
	return b, ran, at
}

// Every guest is frozen and nothing is started while node3 may run something that the restored store does not know of. When it has reported
// all run again, where they were when the power went and not where the backup says, each once.
func TestRestoreFreezesUntilAllHaveReported(t *testing.T) {
	b, ran, at := restoredAndHalfUp(t, "refuse")
	all := b.Options.GuestIDs()
	frozen := func(ctx context.Context) error {
		s, err := b.status(ctx, "node1")
		if err != nil {
			return err
		}
		if !s.Etcd.Available || len(s.Guests) != len(all) || s.Term < 1_000_000_000 {
			return fmt.Errorf("store %+v with %d guests, term %d", s.Etcd, len(s.Guests), s.Term)
		}
		for _, g := range s.Guests {
			if g.State != ha.GuestFrozen || !strings.Contains(g.Reason, "waiting for node3") {
				return fmt.Errorf("guest %d is %s: %s", g.VMID, g.State, g.Reason)
			}
		}
		return nil
	}
	t.Logf("every guest is frozen %s after two of three came up", b.within(2*time.Minute, "every guest is frozen", frozen))
	b.throughout(20*time.Second, "nothing is started", func(ctx context.Context) error {
		for _, n := range b.Names() {
			if here := b.guestsOn(n); len(here) > 0 {
				return fmt.Errorf("guests %v run on %s", here, n)
			}
		}
		return frozen(ctx)
	})
	b.must(b.PowerOn(b.ctx, "node3"))
	t.Logf("every guest runs once %s after the last one came up", b.within(3*time.Minute, "every guest runs once", b.runOnce(all)))
	for n, guests := range ran {
		if here := b.guestsOn(n); !slices.Equal(here, guests) {
			t.Errorf("%s runs %v; when the power went it ran %v", n, here, guests)
		}
	}
	if sent := b.happened(at, "", bmcCommand); len(sent) > 0 {
		t.Errorf("somebody was switched: %v", sent)
	}
}

// node3 stays off and its BMC says so: nobody has to be asked. Its guests run on the others, also those whose configuration lies there although
// the backup has them elsewhere.
func TestRestoreWithAMemberProvenOff(t *testing.T) {
	b, ran, _ := restoredAndHalfUp(t, "clear")
	took := b.within(3*time.Minute, "every guest runs once", b.runOnce(b.Options.GuestIDs(), "node3"))
	t.Logf("all guests, node3's %v among them, run %s after two of three came up", ran["node3"], took)
}

// Two of three voters have lost their data for good: the one that is left begins alone, and lets the others in again. Its guests are where they were.
func TestRestoreOnOneVoter(t *testing.T) {
	b := up(t, lab.Options{})
	file := filepath.Join(b.Options.Dir, "backup.tar.gz")
	if text, code := b.hactl("node1", "backup", file, "--config", b.Node("node1", "basculed.yaml")); code != 0 {
		t.Fatalf("hactl backup: %d %s", code, text)
	}
	if out, err := exec.CommandContext(b.ctx, "tar", "-tzf", file).CombinedOutput(); err != nil || !strings.Contains(string(out), "basculed.yaml") {
		t.Fatalf("tar -tzf: %v\n%s", err, out)
	}
	for _, n := range b.Names() {
		_, err := b.Kill(b.ctx, n)
		b.must(err)
	}
	for _, n := range []string{"node2", "node3"} {
		b.must(os.RemoveAll(b.Node(n, "data", "etcd")))
	}
	for _, n := range b.Names() {
		c := exec.CommandContext(b.ctx, filepath.Join(bin(), "hactl"), "restore", file, "--yes", "--voters", "node1", "--again", "2",
			"--config", b.Node(n, "basculed.yaml"), "--basculed", filepath.Join(bin(), "basculed"))
		want := "epoch 3"
		if n != "node1" {
			want = "nothing is restored here"
		}
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("hactl restore on %s: %v\n%s", n, err, out)
		}
	}
	for _, n := range b.Names() {
		b.must(b.PowerOn(b.ctx, n))
	}
	t.Logf("every guest runs once %s after all came up", b.within(3*time.Minute, "every guest runs once", b.runOnce(b.Options.GuestIDs())))
	for _, n := range []string{"node2", "node3"} {
		if text, code := b.hactl("node1", "etcd", "add", n); code != 0 {
			t.Fatalf("hactl etcd add %s: %d %s", n, code, text)
		}
	}
	t.Logf("all in order %s later", b.healthy(time.Minute))
}

// A new gossip key for real daemons under load: no guest is touched, nobody is suspected, and each daemon keeps the key over a restart.
func TestRotateGossipKeyUnderDaemons(t *testing.T) {
	b := up(t, lab.Options{})
	begin, pids := time.Now(), b.guestPids()
	old, err := os.ReadFile(b.Node("node1", "secrets", "gossip.key"))
	b.must(err)
	text, code := b.hactl("node1", "keys", "rotate-gossip", "--config", b.Node("node1", "basculed.yaml"))
	if code != 0 || !strings.Contains(text, "is encrypted with a new key") {
		t.Fatalf("%d %s", code, text)
	}
	for _, n := range b.Names() {
		if now, err := os.ReadFile(b.Node(n, "secrets", "gossip.key")); err != nil || string(now) == string(old) || strings.Count(string(now), "\n") != 1 {
			t.Errorf("%s's key file: %v", n, err)
		}
	}
	b.must(b.Signal(b.ctx, "node2", "basculed", "KILL"))
	b.throughout(20*time.Second, "the guests' processes are untouched", func(context.Context) error {
		for id, was := range pids {
			if now := b.guestPids()[id]; now != was {
				return fmt.Errorf("guest %d was process %q and is %q", id, was, now)
			}
		}
		return nil
	})
	b.healthy(30 * time.Second)
	if ends := b.happened(begin, "", lab.EventReset, bmcCommand); len(ends) > 0 {
		t.Errorf("nodes were reset or switched: %v", ends)
	}
}
