package proxmox

import (
	"context"
	"syscall"
	"testing"

	"bascule/ha"
)

// A file that cannot be read is no empty one: the guest may be in it.
func TestUnreadHAResourcesRefuse(t *testing.T) {
	f, tree := newFakePVE(t), newTree(nil).fail("read", "ha/resources.cfg", syscall.EIO)
	if err := f.driver(t, tree).Start(context.Background(), 100, ha.QEMU); err == nil || len(f.asked) > 0 {
		t.Errorf("got %v, sent %q", err, f.asked)
	}
}
