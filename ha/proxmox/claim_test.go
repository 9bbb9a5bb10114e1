package proxmox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bascule/ha"
)

const (
	dead101 = "nodes/n2/qemu-server/101.conf"
	own101  = "nodes/n1/qemu-server/101.conf"
)

func claim(t *testing.T, tree *fakeTree) (ClaimResult, error) {
	t.Helper()
	return newFakePVE(t).driver(t, tree).Claim(context.Background(), 101, ha.QEMU, "n2")
}

func TestClaimRenamesTheSameName(t *testing.T) {
	tree := newTree(map[string]string{dead101: "name: web\n", "nodes/n2/qemu-server/102.conf": "name: other\n"})
	result, err := claim(t, tree)
	if err != nil || result != Claimed {
		t.Fatalf("got %s, %v", result, err)
	}
	if data, _ := tree.get(own101); data != "name: web\n" {
		t.Errorf("config is %q", data)
	}
	if _, found := tree.get(dead101); found {
		t.Error("the source is still there")
	}
	if _, found := tree.get("nodes/n2/qemu-server/102.conf"); !found {
		t.Error("another guest was touched")
	}
}

func TestClaimOfContainer(t *testing.T) {
	tree := newTree(map[string]string{"nodes/n2/lxc/200.conf": "hostname: ct\n"})
	result, err := newFakePVE(t).driver(t, tree).Claim(context.Background(), 200, ha.LXC, "n2")
	if _, found := tree.get("nodes/n1/lxc/200.conf"); err != nil || result != Claimed || !found {
		t.Fatalf("got %s, %v, found %t", result, err, found)
	}
}

// pmxcfs would overwrite an existing target without a word.
func TestClaimNeverRenamesOntoAFile(t *testing.T) {
	tree := newTree(map[string]string{own101: "name: mine\n", dead101: "name: stale\n"})
	result, err := claim(t, tree)
	if err != nil || result != ClaimedBefore {
		t.Fatalf("got %s, %v", result, err)
	}
	if slices.ContainsFunc(tree.calls, func(s string) bool { return strings.HasPrefix(s, "rename") }) {
		t.Errorf("renamed: %q", tree.calls)
	}
	if data, _ := tree.get(own101); data != "name: mine\n" {
		t.Errorf("the config became %q", data)
	}
}

func TestClaimErrors(t *testing.T) {
	const third = "nodes/n3/qemu-server/101.conf"
	for name, c := range map[string]struct {
		tree *fakeTree
		want error
	}{
		"source gone":      {newTree(nil), ErrConfigGone},
		"no own directory": {newTree(nil).fail("readdir", "nodes/n1/qemu-server", syscall.ENOENT), ErrNotMounted},
		"third node":       {newTree(map[string]string{dead101: "", third: ""}), ErrConfigElsewhere},
		"minority, cut in flight": {newTree(map[string]string{dead101: ""}).fail("rename", dead101, syscall.EPERM),
			ErrNoQuorum},
		"minority": {newTree(map[string]string{dead101: ""}).fail("rename", dead101, syscall.EACCES), ErrNoQuorum},
		"pmxcfs crashed": {newTree(map[string]string{dead101: ""}).fail("rename", dead101, syscall.ENOTCONN),
			syscall.ENOTCONN},
		"stat fails": {newTree(map[string]string{dead101: ""}).fail("stat", own101, syscall.EIO), syscall.EIO},
	} {
		result, err := claim(t, c.tree)
		if !errors.Is(err, c.want) || result != "" {
			t.Errorf("%s: got %q, %v", name, result, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "VM 101 on n1") || !strings.Contains(err.Error(), "n2")) {
			t.Errorf("%s: %v does not name guest and nodes", name, err)
		}
	}
}

func TestClaimFromOneself(t *testing.T) {
	d := newFakePVE(t).driver(t, newTree(nil))
	if _, err := d.Claim(context.Background(), 101, ha.QEMU, "n1"); !errors.Is(err, ErrConfigGone) {
		t.Errorf("got %v, want ErrConfigGone", err)
	}
	if _, err := d.Claim(context.Background(), 101, ha.QEMU, "../n2"); err == nil {
		t.Error("a name that climbs was accepted")
	}
}

// A node that has just come back answers EBUSY in passing.
func TestClaimOutlastsEBUSY(t *testing.T) {
	tree := newTree(map[string]string{dead101: ""}).fail("rename", dead101, syscall.EBUSY, syscall.EBUSY)
	if result, err := claim(t, tree); err != nil || result != Claimed {
		t.Fatalf("got %s, %v", result, err)
	}
	tree = newTree(map[string]string{dead101: ""}).fail("rename", dead101, syscall.EBUSY)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := newFakePVE(t).driver(t, tree).Claim(ctx, 101, ha.QEMU, "n2")
	if !errors.Is(err, syscall.EBUSY) || !errors.Is(err, ha.ErrTryAgain) {
		t.Fatalf("got %v, want EBUSY and ErrTryAgain", err)
	}
}

// While corosync re-forms the rename blocks. The caller stops waiting, the rename comes through later, and the next
// attempt finds the guest claimed.
func TestBlockedRenameIsOpenThenFound(t *testing.T) {
	tree := newTree(map[string]string{dead101: "name: web\n"})
	ctx, cancel := context.WithCancel(context.Background())
	tree.block = func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return &PendingError{Begun: true, Err: ctx.Err()}
	}
	d := newFakePVE(t).driver(t, tree)
	_, err := d.Claim(ctx, 101, ha.QEMU, "n2")
	if !errors.Is(err, ErrStillRunning) || !errors.Is(err, context.Canceled) || errors.Is(err, ErrConfigGone) {
		t.Fatalf("got %v, want ErrStillRunning", err)
	}
	if err := tree.renameNow(dead101, own101); err != nil {
		t.Fatal(err)
	}
	if result, err := d.Claim(context.Background(), 101, ha.QEMU, "n2"); err != nil || result != ClaimedBefore {
		t.Fatalf("got %s, %v, want ClaimedBefore", result, err)
	}
}

// The blocked rename may also come through between the look and the next attempt's rename.
func TestBlockedRenameComesThroughBetween(t *testing.T) {
	tree := newTree(map[string]string{dead101: "name: web\n"})
	tree.block = func(context.Context) error { return tree.renameNow(dead101, own101) }
	if result, err := claim(t, tree); err != nil || result != ClaimedBefore {
		t.Fatalf("got %s, %v, want ClaimedBefore", result, err)
	}
}
