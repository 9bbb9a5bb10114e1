package sim

import (
	"reflect"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// storageLoops look at the storages of this host as ha/agent/storages.go does: each by itself, one look at a time.
func (d *Daemon) storageLoops() {
	if !d.w.spec.Looks {
		return
	}
	d.sights = map[string]node.Sight{}
	for _, disk := range d.w.machine.disks {
		if disk.configured(d.h) {
			d.lookAt(disk)
		}
	}
}

// lookAt begins a look: an answer comes at once, none at the look's end.
func (d *Daemon) lookAt(disk *Disk) {
	answered := func(l ha.StorageLook) {
		l.Storage = disk.Name
		is := d.sighted(l)
		d.p.After(is.Next(d.now(), d.cfg.Timing).Sub(d.now()), func() { d.lookAt(disk) })
	}
	if !disk.out(d.h.boot) && !disk.fails[d.h.index] && !disk.answers(d.h) {
		d.p.After(d.cfg.Timing.StorageLook(), func() {
			if disk.usable(d.h) { // it came back in between
				answered(ha.StorageLook{})
				return
			}
			answered(ha.StorageLook{Hung: true, Problem: "it gave no answer in time"})
		})
		return
	}
	d.p.After(20*time.Millisecond, func() {
		if disk.usable(d.h) {
			answered(ha.StorageLook{})
			return
		}
		answered(ha.StorageLook{Problem: "input/output error"})
	})
}

func (d *Daemon) sighted(l ha.StorageLook) node.Sight {
	was := d.sights[l.Storage]
	is := was.After(l, time.Unix(0, 0).Add(d.w.loop.Now()))
	d.sights[l.Storage] = is
	if was.State != is.State {
		d.w.loop.Logf(d.h.Name, "storage %s: %s -> %s (%s)", l.Storage, was.State, is.State, l.Problem)
	}
	was.Fails, was.Since = is.Fails, is.Since
	if !reflect.DeepEqual(was, is) {
		d.rep.wake()
	}
	return is
}
