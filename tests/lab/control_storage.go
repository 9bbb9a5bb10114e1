package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// storageFault changes how one node reaches a storage. The node's basculed (lab build) looks at storages/NAME below its root, a link to the
// directory that all nodes share: a link to itself gives errors, a pipe in the place of the file that it reads gives no answer, a directory
// of the node's own is a storage that is not one and the same. A file storages/NAME.slow beside it has each look wait first.
func (w *World) storageFault(c Command) (string, error) {
	n, err := w.node(c.Node)
	if err != nil {
		return "", err
	}
	if c.Store != sharedStorage && !(c.Store == secondStorage && w.opt.Storages) {
		return "", fmt.Errorf("the lab has no storage %q", c.Store)
	}
	dir := w.layout.Node(n.name, "root", "storages", c.Store)
	pipe := filepath.Join(dir, ".bascule", "look-"+n.name)
	slow := dir + ".slow"
	clear := func() error { return errors.Join(os.RemoveAll(dir), os.RemoveAll(slow)) } // nothing but what a look wrote is in it
	switch c.Fault {
	case "fail":
		err = errors.Join(clear(), os.MkdirAll(filepath.Dir(dir), 0o755))
		if err == nil {
			err = os.Symlink(filepath.Base(dir), dir)
		}
	case "hang":
		err = errors.Join(clear(), os.MkdirAll(filepath.Dir(pipe), 0o755))
		if err == nil {
			err = syscall.Mkfifo(pipe, 0o600)
		}
	case "slow":
		err = errors.Join(clear(), os.MkdirAll(filepath.Dir(slow), 0o755))
		if err == nil {
			err = os.WriteFile(slow, nil, 0o600)
		}
	case "apart":
		err = errors.Join(clear(), os.MkdirAll(dir, 0o755))
	case "heal":
		err = clear()
	default:
		return "", fmt.Errorf("storage fault %q: write fail, hang, slow, apart or heal", c.Fault)
	}
	if err == nil {
		err = w.pve.SetMounted(c.Store, n.name, c.Fault != "fail")
	}
	if err != nil {
		return "", fmt.Errorf("storage %s of %s: %w", c.Store, n.name, err)
	}
	what := c.Store + " " + c.Fault
	w.events.add(EventStorage, n.name, what)
	return what, nil
}
