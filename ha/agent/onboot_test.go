package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

func (w *world) kept(n ha.NodeName) []ha.VMID {
	w.t.Helper()
	ids, err := OnbootKept(w.nodes[n].onbootFile())
	if err != nil {
		w.t.Error(err)
	}
	return ids
}

// lookingProxmox looks at the copy on disk at the moment when onboot is taken away.
type lookingProxmox struct {
	fakeProxmox
	file string
	saw  map[ha.VMID][]ha.VMID
}

func (p lookingProxmox) SetOnboot(ctx context.Context, id ha.VMID, kind ha.GuestKind, on bool) error {
	p.saw[id], _ = OnbootKept(p.file)
	return p.fakeProxmox.SetOnboot(ctx, id, kind, on)
}

// A node's own copy has the guest before its onboot is taken away; every node's copy has it, because guests move; nobody's has it once
// it is given back.
func TestOwnCopyOfOnboot(t *testing.T) {
	inColdWorld(t, 2, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true).onboot = true
		w.guest(102, ha.LXC, "n1", true)
		saw := map[ha.VMID][]ha.VMID{}
		w.start("n1", func(c *Config) {
			c.Proxmox = lookingProxmox{c.Proxmox.(fakeProxmox), w.nodes["n1"].onbootFile(), saw}
		})
		w.start("n2")
		w.settle()
		w.until(10*time.Second, "both copies have 101", func(ha.Snapshot) bool {
			return slices.Equal(w.kept("n1"), []ha.VMID{101}) && slices.Equal(w.kept("n2"), []ha.VMID{101})
		})
		if !slices.Contains(saw[101], 101) {
			t.Errorf("when onboot was taken away the copy was %v", saw[101])
		}
		w.edit(101, func(g *guest) { g.protected = false })
		w.until(20*time.Second, "no copy has it", func(ha.Snapshot) bool { return len(w.kept("n1")) == 0 && len(w.kept("n2")) == 0 })
	})
}

// A store that was restored may have lost a note: then the copy is all that there is. What it shows from before the newest note
// counts as little.
func TestCopyOfOnbootOutlivesTheStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "onboot.json")
	c, err := openOnbootCopy(file)
	if err != nil {
		t.Fatal(err)
	}
	state := func(epoch ha.Epoch, rev int64, ids ...ha.VMID) node.State {
		s := node.State{Synced: true, Onboot: map[ha.VMID]bool{}, Epoch: node.Epoch{Known: epoch, Rev: rev}}
		for _, id := range ids {
			s.Onboot[id] = true
		}
		return s
	}
	want := func(when string, ids ...ha.VMID) {
		t.Helper()
		if err := c.write(); err != nil {
			t.Fatal(err)
		}
		if got, err := OnbootKept(file); err != nil || !slices.Equal(got, ids) {
			t.Errorf("%s: %v, %v, want %v", when, got, err, ids)
		}
	}
	c.follow(state(1, 10, 101, 102))
	want("as the store has it", 101, 102)
	if err := c.note(103, 1, 20); err != nil {
		t.Fatal(err)
	}
	c.follow(state(1, 19, 101, 102))
	want("an older view", 101, 102, 103)
	c.follow(state(1, 21, 101, 103))
	want("102 was given back", 101, 103)
	back := state(1, 5)
	back.Epoch.WentBack = true
	c.follow(back)
	c.follow(node.State{Epoch: node.Epoch{Known: 1, Rev: 30}})
	want("a store that went back, and a machine that has seen none", 101, 103)
	c.follow(state(2, 100, 101))
	want("restored without 103", 101, 103)
	if c, err = openOnbootCopy(file); err != nil {
		t.Fatal(err)
	}
	c.follow(state(2, 110))
	want("restarted; 101 was given back in this epoch", 103)
	if err := ForgetOnboot(file, []ha.VMID{103}); err != nil {
		t.Fatal(err)
	}
	if got, err := OnbootKept(file); err != nil || len(got) != 0 {
		t.Errorf("put back: %v, %v", got, err)
	}
}

// What cannot be read is said and never taken for "nobody".
func TestUnreadableCopyOfOnboot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "onboot.json")
	for _, text := range []string{"", "{", `{"schema": 99, "guests": []}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := OnbootKept(file); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
		if c, err := openOnbootCopy(file); err == nil || c == nil {
			t.Errorf("%q was opened", text)
		}
		if err := ForgetOnboot(file, []ha.VMID{1}); err == nil {
			t.Errorf("%q was written over", text)
		}
	}
}
