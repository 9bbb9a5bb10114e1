package proxmox

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/waittest"
)

// The API would be proxied to a dead node (595 after 3 to 30 s). The tree tells at once, for dead nodes' guests too.
func TestConfigAtReadsTheTree(t *testing.T) {
	f := newFakePVE(t)
	tree := newTree(map[string]string{dead101: "name: web\n", "nodes/n1": "", "nodes/n2": ""})
	d := f.driver(t, tree)
	for id, want := range map[ha.VMID]ha.NodeName{101: "n2", 102: ""} {
		if at, err := d.ConfigAt(context.Background(), id, ha.QEMU); at != want || err != nil {
			t.Errorf("%d: got %q, %v, want %q", id, at, err, want)
		}
	}
	if at, err := d.ConfigAt(context.Background(), 101, ha.LXC); at != "" || err != nil {
		t.Errorf("as a container: got %q, %v", at, err)
	}
	if len(f.asked) > 0 {
		t.Errorf("asked %q", f.asked)
	}
	for op, name := range map[string]string{"readdir": "nodes", "stat": own101} {
		tree := newTree(map[string]string{"nodes/n1": ""}).fail(op, name, syscall.EIO)
		if _, err := f.driver(t, tree).ConfigAt(context.Background(), 101, ha.QEMU); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s fails: got %v", op, err)
		}
	}
}

// slowTree is a mount that answers nothing: every call waits for its context.
type slowTree struct{ Tree }

func (slowTree) ReadFile(ctx context.Context, name string) ([]byte, error) {
	<-ctx.Done()
	return nil, pathError("read", name, &PendingError{Begun: true, Err: ctx.Err()})
}

func (slowTree) ReadDir(ctx context.Context, name string) ([]string, error) {
	<-ctx.Done()
	return nil, pathError("readdir", name, &PendingError{Begun: true, Err: ctx.Err()})
}

func (slowTree) Exists(ctx context.Context, name string) (bool, error) {
	<-ctx.Done()
	return false, pathError("stat", name, &PendingError{Begun: true, Err: ctx.Err()})
}

// A pmxcfs that hangs holds up no reading beyond its deadline, whatever the caller's is.
func TestHungTreeEndsReads(t *testing.T) {
	for name, call := range everyCall {
		switch name {
		case "Claim": // waits as long as its caller lets: a rename goes through when corosync has re-formed
			continue
		case "Running", "StoragesActive", "CheckPrivileges": // read nothing there
			continue
		}
		limit := 50 * time.Millisecond
		waittest.BestOf(t, func() string { // what is asked before must have been answered by then
			d := lyingPVE(t).driver(t, slowTree{}, func(c *Config) { c.CallTimeout = limit })
			limit *= 2
			if err := call(context.Background(), d); !errors.Is(err, ErrStillRunning) {
				return fmt.Sprintf("%s: got %v", name, err)
			}
			return ""
		})
	}
}

// root may still open files for writing without quorum, and access(2) says yes: neither is asked. Nor is anything written to try it.
func TestQuorumIsReadNotTried(t *testing.T) {
	const minority = `{ "nodename": "n1", "version": 8, "cluster": { "name": "feas", "version": 3, "nodes": 3, "quorate": 0 },
		"nodelist": { "n1": { "id": 1, "online": 1, "ip": "10.99.0.1"}, "n2": { "id": 2, "online": 0, "ip": "10.99.0.2"} } }`
	tree := newTree(map[string]string{".members": minority})
	view, err := newFakePVE(t).driver(t, tree).Members(context.Background())
	if err != nil || view.Quorate || len(view.Online) != 1 || len(tree.calls) != 1 || tree.calls[0] != "read .members" {
		t.Errorf("got %+v, %v after %q", view, err, tree.calls)
	}
}
