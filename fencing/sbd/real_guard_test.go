//go:build fencingreal

package sbd

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"bascule/ha/guard"
	"bascule/ha/node"
	"bascule/ha/waittest"
)

// The daemon's own guard, with the disks and the messages of the real tool.
func TestRealGuardWatchesItsSlot(t *testing.T) {
	needReal(t, "sbd", "go")
	bin := buildGuard(t)
	t.Run("a message ends the node", func(t *testing.T) { messageEndsTheNode(t, bin) })
	t.Run("a message while the guard is away", func(t *testing.T) { messageWhileAway(t, bin) })
	t.Run("disks lost", func(t *testing.T) { disksLost(t, bin) })
}

func messageEndsTheNode(t *testing.T, bin string) {
	for what, want := range map[string]string{"reset": "b", "off": "o"} {
		devs := loops(t, 3)
		run(t, "sbd", dashD(devs, "-1", "5", "-2", "1", "-3", "1", "-4", "10", "create")...)
		run(t, "sbd", dashD(devs, "allocate", "n1")...)
		old, cancel := context.WithTimeout(context.Background(), time.Second) // for an earlier boot
		exec.CommandContext(old, "sbd", dashD(devs, "message", "n1", "off")...).Run()
		cancel()
		g := newGuarded(t, bin, devs)
		g.obeys()
		run(t, "sbd", "-d", devs[0], "message", "n1", "test")
		if key, _ := g.ended(2500 * time.Millisecond); key != "" {
			t.Fatalf("it ended by %q without a message of this boot", key)
		}
		if list := run(t, "sbd", "-d", devs[0], "list"); list != "0\tn1\tclear\t\n" {
			t.Errorf("%q", list)
		}
		sent := sendReal(t, devs, what)
		key, at := g.ended(10 * time.Second)
		if key != want {
			t.Fatalf("message %s: key %q", what, key)
		}
		t.Logf("sbd message n1 %s: the kernel is asked after %v by %q", what, at.Sub(sent).Round(time.Millisecond), key)
		if fed := g.dog.unfed(t, 3*time.Second, 10*time.Second); fed.After(at.Add(50 * time.Millisecond)) {
			t.Errorf("fed %v after the end was asked for", fed.Sub(at))
		}
		g.await("why", time.Second, func(st guard.Status) bool {
			return st.Phase == node.GuardFailing && strings.Contains(st.Detail, "message "+what)
		})
		g.kill()
	}
}

// A message that comes while the guard is away is obeyed when it is back: it is the same boot.
func messageWhileAway(t *testing.T, bin string) {
	devs := loops(t, 1)
	run(t, "sbd", dashD(devs, "-1", "5", "-2", "1", "-3", "1", "-4", "10", "create")...)
	g := newGuarded(t, bin, devs)
	g.obeys()
	g.kill()
	sendReal(t, devs, "reset")
	waittest.Until(t, waittest.Hang, "the message lies on the disk", func() bool {
		return strings.Contains(run(t, "sbd", "-d", devs[0], "list"), "\treset\t")
	})
	began := time.Now()
	g.start()
	key, at := g.ended(10 * time.Second)
	if key != "b" {
		t.Fatalf("key %q", key)
	}
	t.Logf("the kernel is asked %v after the guard's start", at.Sub(began).Round(time.Millisecond))
}

// Disks that are lost end the feeding within their watchdog time, and the agent's word that nobody counts on messages lets it go on.
func disksLost(t *testing.T, bin string) {
	devs := loops(t, 3)
	run(t, "sbd", dashD(devs, "-1", "5", "-2", "1", "-3", "1", "-4", "10", "create")...)
	g := newGuarded(t, bin, devs)
	g.obeys()
	overwrite := func(dev string) {
		run(t, "dd", "if=/dev/zero", "of="+dev, "bs=512", "count=1", "oflag=direct", "conv=notrunc", "status=none")
	}
	overwrite(devs[0])
	g.dog.keepsFed(t, 3*time.Second, 6*time.Second) // two of three are seen
	overwrite(devs[1])
	lost := time.Now()
	g.await("the loss", 10*time.Second, func(st guard.Status) bool { return !st.Slots.Seen })
	fed := g.dog.unfed(t, 4*time.Second, 15*time.Second)
	if fed.Sub(lost) > 5*time.Second {
		t.Fatalf("fed %v after the disks were lost", fed.Sub(lost))
	}
	t.Logf("fed last %v after the disks were lost", fed.Sub(lost).Round(time.Millisecond))
	if _, err := g.client.Obey(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	g.dog.keepsFed(t, 3*time.Second, 3*time.Second)
	if key, _ := g.ended(10 * time.Millisecond); key != "" {
		t.Errorf("ended by %q", key)
	}
}
