package sim

import (
	"reflect"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

const (
	lookEvery     = 2 * time.Second
	corosyncEvery = 500 * time.Millisecond
	healthEvery   = 2 * time.Second
)

// lookLoop takes an inventory now and then, and at once when asked.
func (d *Daemon) lookLoop() {
	if d.looking {
		d.lookSoon = true
		return
	}
	d.looking = true
	began := d.now()
	d.pve.Inventory(func(inv ha.Inventory, err error) {
		d.looking = false
		if err == nil {
			changed := !d.looked || !reflect.DeepEqual(d.inv, inv)
			d.inv, d.looked = inv, true
			if changed {
				d.rep.wake()
			}
			d.event(node.Looked{Began: began, Guests: inv.Guests, Managed: inv.Managed, Quorate: d.coro.Known && d.coro.Quorate, Strays: d.findStrays(inv)})
		}
		if d.lookSoon {
			d.lookSoon = false
			d.p.Post(d.lookLoop)
			return
		}
		d.p.After(lookEvery, func() {
			if !d.looking {
				d.lookLoop()
			}
		})
	})
}

func (d *Daemon) lookNow() {
	if d.cfg.Witness {
		return
	}
	if d.looking {
		d.lookSoon = true
		return
	}
	d.p.Post(func() {
		if !d.looking {
			d.lookLoop()
		}
	})
}

// findStrays finds protected guests that run here although their config lies elsewhere, in two looks in a row.
func (d *Daemon) findStrays(inv ha.Inventory) []ha.VMID {
	refs := node.StrayCandidates(d.snapshot(), inv)
	if len(refs) == 0 {
		clear(d.strays)
		return nil
	}
	procs, err := d.pve.Find(refs)
	if err != nil {
		return nil
	}
	var out []ha.VMID
	for _, ref := range refs {
		here := slices.ContainsFunc(procs, func(p Process) bool { return p.Guest == ref.ID && p.What != whatWorker && !p.Incoming })
		if !here {
			delete(d.strays, ref.ID)
			continue
		}
		if d.strays[ref.ID]++; d.strays[ref.ID] >= 2 {
			out = append(out, ref.ID)
		}
	}
	return out
}

// corosyncLoop keeps the membership as the local .members shows it.
func (d *Daemon) corosyncLoop() {
	d.pve.Members(func(v ha.CorosyncView, err error) {
		if err != nil {
			v = ha.CorosyncView{}
		}
		changed := v.Known != d.coro.Known || v.Quorate != d.coro.Quorate || !slices.Equal(v.Online, d.coro.Online)
		d.coro = v
		if changed {
			d.coroAt = d.w.loop.Now()
			d.rep.wake()
			d.wakeLeader()
			d.lookNow()
		}
		d.p.After(corosyncEvery, d.corosyncLoop)
	})
}

// healthLoop keeps etcd's raft leader off the node that leads, while nothing is going on.
func (d *Daemon) healthLoop() {
	if d.state.Lease.Leads(d.now()) && d.w.store.RaftLeader() == d.h.Name && d.calm() {
		d.store.MoveRaftLeaderOff(d.h.Name)
	}
	d.p.After(healthEvery, d.healthLoop)
}

// calm says whether nothing is going on that a change of raft's leader would hold up.
func (d *Daemon) calm() bool {
	s := d.snapshot()
	g := d.w.gossip.View(d.h.Name)
	for n, rec := range s.Nodes {
		_, lease := s.Leases[n]
		if rec.Rec.State == ha.NodeSuspect || rec.Rec.State == ha.NodeFencing || rec.Rec.State == ha.NodeOnline && (!lease || !g[n].Alive) {
			return false
		}
	}
	for _, g := range s.Guests {
		if g.Rec.State == ha.GuestRecovery || g.Rec.State == ha.GuestStarting || g.Rec.State == ha.GuestFence || g.Rec.Move != nil {
			return false
		}
	}
	return true
}
