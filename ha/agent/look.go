package agent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

const (
	lookEvery     = 2 * time.Second
	corosyncEvery = 500 * time.Millisecond
	guardEvery    = time.Second
	lookTimeout   = 20 * time.Second
)

// LookNow asks for an inventory at once.
func (a *Agent) LookNow() { poke(a.looks) }

// lookLoop takes inventories of this node's Proxmox. The first one is taken before anything else is said about guests.
func (a *Agent) lookLoop(ctx context.Context) error {
	strays := map[ha.VMID]int{}
	for {
		a.look(ctx, strays)
		select {
		case <-ctx.Done():
			return nil
		case <-a.looks:
		case <-time.After(lookEvery):
		}
	}
}

func (a *Agent) look(ctx context.Context, strays map[ha.VMID]int) {
	began := a.cfg.Now()
	c, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	inv, err := a.cfg.Proxmox.Inventory(c)
	if err != nil {
		if ctx.Err() == nil {
			a.Problem("proxmox", "Proxmox on this node does not answer: "+err.Error()+"; look at pveproxy, pvedaemon and pve-cluster")
		}
		return
	}
	a.Problem("proxmox", "")
	a.Problem("inventory", strings.Join(inv.Problems, "; "))
	a.mu.Lock()
	changed := !sameInventory(a.inventory, inv)
	a.inventory, a.looked = inv, true
	a.mu.Unlock()
	if changed {
		a.reports.wake()
	}
	a.send(ctx, node.Looked{Began: began, Guests: inv.Guests, Managed: inv.Managed, Quorate: a.quorate(), Strays: a.findStrays(inv, strays)})
}

func sameInventory(a, b ha.Inventory) bool {
	return string(ha.Encode(a)) == string(ha.Encode(b))
}

// findStrays finds protected guests that run here although their config lies elsewhere, in two looks in a row; a migration's
// target that has not been switched over is none.
func (a *Agent) findStrays(inv ha.Inventory, seen map[ha.VMID]int) []ha.VMID {
	a.mu.Lock()
	refs := node.StrayCandidates(&a.view, inv)
	a.mu.Unlock()
	if len(refs) == 0 {
		clear(seen)
		return nil
	}
	procs, err := a.cfg.Processes.Find(refs)
	if err != nil {
		a.log.WithField("reason", err.Error()).Warn("cannot look for guests that run here without their config")
		return nil
	}
	now := map[ha.VMID]bool{}
	for _, p := range procs {
		if p.What != "worker" && !p.Incoming {
			now[p.Guest] = true
		}
	}
	var out []ha.VMID
	for _, ref := range refs {
		if !now[ref.ID] {
			delete(seen, ref.ID)
			continue
		}
		if seen[ref.ID]++; seen[ref.ID] >= 2 {
			out = append(out, ref.ID)
			a.log.WithField("guest", int(ref.ID)).WithField("reason", "its config lies on another node").Error("guest runs here without a right to; it is ended")
		}
	}
	return out
}

// corosyncLoop keeps the membership as the local .members shows it.
func (a *Agent) corosyncLoop(ctx context.Context) error {
	for {
		c, cancel := context.WithTimeout(ctx, 5*time.Second)
		v, err := a.cfg.Proxmox.Members(c)
		cancel()
		if err != nil {
			v = ha.CorosyncView{}
			if !errors.Is(err, context.Canceled) {
				a.Problem("pmxcfs", "/etc/pve/.members cannot be read: "+err.Error()+"; look at pve-cluster (pmxcfs)")
			}
		} else {
			a.Problem("pmxcfs", "")
		}
		a.mu.Lock()
		changed := v.Known != a.corosync.Known || v.Quorate != a.corosync.Quorate || !slices.Equal(v.Online, a.corosync.Online)
		a.corosync = v
		a.mu.Unlock()
		if changed {
			a.reports.wake()
			a.WakeLeader()
			a.LookNow()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(corosyncEvery):
		}
	}
}

// quorate says whether the newest look at corosync found its quorum here.
func (a *Agent) quorate() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.corosync.Known && a.corosync.Quorate
}
