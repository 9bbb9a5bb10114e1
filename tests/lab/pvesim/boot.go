package pvesim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// bootGuests is pve-guests.service: when the node is quorate it starts a task startall, once per boot.
func (c *Cluster) bootGuests(session context.Context, n *node) {
	defer c.wg.Done()
	if c.WaitQuorate(session, n.Name) != nil {
		return // switched off before that
	}
	defer c.boots.Add(1)
	starts := false
	for _, g := range c.guestsOn(n) {
		starts = starts || g.cfg.onboot()
	}
	if !starts {
		return
	}
	if _, err := c.spawn(n, workerSpec{Action: "startall", User: "root@pam"}); err != nil && !errors.Is(err, errOff) {
		c.opt.Log("pvesim: startall on %s: %v", n.Name, err)
	}
}

// StopAll is an orderly node shutdown's task stopall: every running guest is shut down by a task of its own, user
// root@pam. It returns the task's UPID without waiting. Fails if the node is unknown or off.
func (c *Cluster) StopAll(node string) (string, error) {
	n := c.nodes[node]
	if n == nil {
		return "", fmt.Errorf("pvesim: stopall: no node %q", node)
	}
	t, err := c.spawn(n, workerSpec{Action: "stopall", User: "root@pam"})
	if err != nil {
		return "", fmt.Errorf("pvesim: stopall on %s: %w", node, err)
	}
	return t.upid.String(), nil
}

// localGuest is a guest in the worker's own directory of the tree.
type localGuest struct {
	vmid int
	kind string
	cfg  *guestConfig
}

func (w *worker) localGuests() ([]localGuest, error) {
	var out []localGuest
	for kind, dir := range map[string]string{"qemu": "qemu-server", "lxc": "lxc"} {
		names, err := w.fs.list("local/" + dir)
		if err != nil {
			return nil, fmt.Errorf("listing the guests failed: %w", err)
		}
		for _, name := range names {
			id, ok := strings.CutSuffix(name, ".conf")
			vmid, err := strconv.Atoi(id)
			if !ok || err != nil {
				continue
			}
			data, err := w.fs.read("local/" + dir + "/" + name)
			if err != nil {
				continue // moved away meanwhile
			}
			out = append(out, localGuest{vmid, kind, parseConfig(kind, data)})
		}
	}
	slices.SortFunc(out, func(a, b localGuest) int { return a.vmid - b.vmid })
	return out, nil
}

// startAll starts the guests with "onboot: 1" one after the other; one that fails does not stop the rest.
func (w *worker) startAll() error {
	guests, err := w.localGuests()
	if err != nil {
		return err
	}
	resources, _ := w.fs.read("ha/resources.cfg") // often absent
	for _, g := range guests {
		if _, managed := haManaged(resources, g.kind, g.vmid); managed || !g.cfg.onboot() || g.cfg.template() {
			continue
		}
		if _, running := findGuest(w.spec.Dir, g.kind, g.vmid); running {
			continue
		}
		w.say(startLine(g))
		if err := w.local(g, "start"); err != nil {
			w.say(err.Error())
		}
	}
	return nil
}

func startLine(g localGuest) string {
	what := "VM "
	if g.kind == "lxc" {
		what = "CT "
	}
	return "Starting " + what + strconv.Itoa(g.vmid)
}

func (w *worker) local(g localGuest, action string) error {
	return w.ctl.do(controlRequest{Op: "run", Target: w.spec.Node, Kind: g.kind, VMID: g.vmid, Action: action})
}

// stopAll shuts all running guests down, all at once.
func (w *worker) stopAll() error {
	guests, err := w.localGuests()
	if err != nil {
		return err
	}
	results := make(chan error)
	waiting := 0
	for _, g := range guests {
		if _, running := findGuest(w.spec.Dir, g.kind, g.vmid); !running {
			continue
		}
		waiting++
		go func() { results <- w.local(g, "shutdown") }()
	}
	for range waiting {
		if err := <-results; err != nil {
			w.say(err.Error())
		}
	}
	return nil
}
