package sim

import (
	"errors"
	"fmt"
	"time"

	"bascule/ha"
)

// migration is a move in flight. Its worker on the source leads it; each side can be lost in each phase.
type migration struct {
	t        *task
	to       *Host
	tb       *boot    // the target's boot; another one is another machine
	src      *process // nil: the guest does not run
	in       *process // the target's process
	need     time.Duration
	silent   time.Duration // how long the target has not answered
	switched bool
}

const (
	migratePoll  = 500 * time.Millisecond // the worker's looks at QEMU's progress
	migrateGives = 15 * time.Second       // without an answer of the target for so long the connection is given up
)

var errMigration = errors.New("migration aborted")

// Migrate moves a guest to another node: a running VM live, a container by stop, move and start there.
func (c *PVE) Migrate(id ha.VMID, kind ha.GuestKind, target ha.NodeName, live bool, done func(error)) {
	c.ask(id, "migrate", true, done, func(t *task) {
		m := &migration{t: t, to: t.h.m.Host(string(target)), src: t.b.guestProcess(t.g)}
		t.gone = m.workerDied
		m.begin(live)
	})
}

func (m *migration) begin(live bool) {
	t := m.t
	f := t.h.own(t.g.id)
	switch {
	case f == nil:
		t.end(fmt.Errorf("configuration file 'nodes/%s/%d.conf' does not exist", t.h.Name, t.g.id))
		return
	case f.lock != "":
		t.end(fmt.Errorf("%s %w (%s)", t.g.kind.Label(t.g.id), errLocked, f.lock))
		return
	case m.src != nil && t.g.kind == ha.QEMU && !live:
		t.end(errors.New("can't migrate running VM without --online"))
		return
	case t.g.spec.Pinned != "":
		t.end(fmt.Errorf("can't migrate: %s", t.g.spec.Pinned))
		return
	case m.to == nil || m.to == t.h || !m.answers():
		t.after(t.between(time.Second, 4*time.Second), func() { t.end(fmt.Errorf("%w: no route to host", errMigration)) })
		return
	}
	m.tb = m.to.boot
	t.h.setLock(t.g.id, "migrate", m.in1(func(err error) {
		switch {
		case err != nil:
			t.end(err)
		case m.src != nil && t.g.kind == ha.QEMU:
			t.after(t.between(300*time.Millisecond, time.Second), m.spawnIncoming)
		case m.src != nil:
			m.restart()
		default:
			t.after(t.between(200*time.Millisecond, 600*time.Millisecond), func() { m.rename(m.unlockThere) })
		}
	}))
}

// in1 brings a kernel's answer into the worker's process.
func (m *migration) in1(f func(error)) func(error) {
	return func(err error) { m.t.w.proc.Post(func() { f(err) }) }
}

// answers says whether the target's machine and its network answer the source now.
func (m *migration) answers() bool {
	n := m.t.h.m.net
	return m.to.Runs() && (m.tb == nil || m.to.boot == m.tb) && n.Both(NetCluster, m.t.h.Name, m.to.Name)
}

// spawnIncoming starts QEMU on the target by a worker of its own there, which waits for the memory.
func (m *migration) spawnIncoming() {
	t := m.t
	if !m.answers() {
		m.abort("target does not answer")
		return
	}
	m.to.work(t.g, "start --incoming", nil, func(there *task) {
		there.after(there.between(200*time.Millisecond, 500*time.Millisecond), func() {
			for _, d := range t.g.disks {
				if !d.usable(m.to) {
					there.end(fmt.Errorf("storage '%s' is not online", d.Name))
					return
				}
			}
			m.in = m.to.spawn(t.g, whatGuest)
			m.in.incoming = true
			if t.ended || t.w.killed { // nobody is left who would fill it
				m.orphan()
			}
			there.end(nil)
		})
	})
	m.need = t.between(time.Second, 6*time.Second)
	t.after(migratePoll, m.transfer)
}

// transfer looks how far the memory is, until the switch-over.
func (m *migration) transfer() {
	t := m.t
	switch {
	case m.src.dead || m.src.killed:
		m.abort("the VM ended on the source")
		return
	case m.in != nil && (m.in.dead || m.in.killed):
		m.abort("the VM ended on the target")
		return
	case m.to.boot != m.tb && m.silent == 0:
		m.silent = t.between(0, migrateGives)
	}
	if !m.answers() || m.in == nil {
		if m.silent += migratePoll; m.silent > migrateGives {
			m.abort("connection to the target lost")
			return
		}
		t.after(migratePoll, m.transfer)
		return
	}
	m.silent = 0
	if m.need -= migratePoll; m.need > 0 {
		t.after(migratePoll, m.transfer)
		return
	}
	if t.g.spec.FailMigrations > 0 {
		t.g.spec.FailMigrations--
		m.abort("QEMU: load of migration failed")
		return
	}
	m.switchOver()
}

// switchOver is one instant: the source stands still for ever, the target runs.
func (m *migration) switchOver() {
	m.switched = true
	m.src.paused = true
	m.in.incoming, m.in.arrived = false, true
	m.in.begins("live migration")
	m.rename(func() {
		t := m.t
		t.after(t.between(100*time.Millisecond, 500*time.Millisecond), func() {
			t.b.causes[t.g.id] = stopCause{ha.CausePassing, "migration", t.b.clock.Now()}
			m.src.end()
			m.unlockThere()
		})
	})
}

// rename moves the config; without quorum the task fails and leaves everything as it is.
func (m *migration) rename(then func()) {
	t := m.t
	t.h.cfsWrite(func(tr *tree) error { return tr.rename(t.h.Name, t.g.id, m.to.Name, t.g.id) }, m.in1(func(err error) {
		if err != nil {
			t.end(fmt.Errorf("moving the config: %w", err))
			return
		}
		t.h.logf("config %d.conf: %s -> %s (migration)", t.g.id, t.h.Name, m.to.Name)
		then()
	}))
}

// unlockThere takes the lock away on the target, which ends the move.
func (m *migration) unlockThere() {
	if !m.answers() {
		m.t.end(fmt.Errorf("%w: the target does not answer: the lock stays", errMigration))
		return
	}
	m.to.setLock(m.t.g.id, "", m.in1(m.t.end))
}

// abort gives up before the switch-over: the source runs on.
func (m *migration) abort(why string) {
	t := m.t
	m.endIncoming()
	err := fmt.Errorf("%w: %s", errMigration, why)
	t.h.setLock(t.g.id, "", m.in1(func(error) { t.end(err) }))
}

// endIncoming ends the waiting process; one that cannot be told is an orphan.
func (m *migration) endIncoming() {
	if m.in == nil || m.in.dead {
		return
	}
	if m.answers() {
		m.in.kill()
		return
	}
	m.orphan()
}

// workerDied: the worker was killed, or its machine ended. Before the switch-over the target's process is left alone.
func (m *migration) workerDied() {
	if m.in != nil && !m.switched {
		m.orphan()
	}
}

// orphan is a waiting process whose source is gone: it sees the connection's end and goes soon, or never hears of it and stays.
func (m *migration) orphan() {
	if m.to.boot != m.tb || m.to.m.loop.Chance(m.to.stream, 0.5) {
		return
	}
	in := m.in
	m.tb.kernel.After(m.to.between(100*time.Millisecond, 2*time.Second), in.kill)
}

// restart is pct migrate --restart: stop here, move the config, start there.
func (m *migration) restart() {
	t := m.t
	t.stop(ha.CausePassing, "migration", func(err error) {
		if err != nil {
			m.abort(err.Error())
			return
		}
		if t.g.spec.FailMigrations > 0 {
			t.g.spec.FailMigrations--
			m.abort("rsync failed")
			return
		}
		m.rename(m.startThere)
	})
}

// startThere unlocks and starts the container on the target: two commands of the source's worker, which sends the second one if it still
// lives then. Each goes on by itself; a start that waits for pmxcfs is seen there by its command line and counts as a worker.
func (m *migration) startThere() {
	t := m.t
	if !m.answers() {
		t.end(fmt.Errorf("%w: the target does not answer: moved, not started", errMigration))
		return
	}
	m.to.setLock(t.g.id, "", m.in1(func(err error) {
		if err != nil || m.to.boot != m.tb {
			t.end(err)
			return
		}
		m.to.work(t.g, "start", m.in1(t.end), (*task).start)
	}))
}
