package pvesim

import (
	"errors"
	"fmt"
	"time"
)

// migrateCT moves a container: a running one is shut down here and started there.
func (w *worker) migrateCT() error {
	unlock, err := w.lockConfig()
	if err != nil {
		return err
	}
	defer unlock()
	m, err := w.newMigration()
	if err != nil {
		return err
	}
	if err := m.prepareCT(); err != nil {
		return m.abort(err)
	}
	if err := w.failure(); err != nil {
		return err
	}
	if m.running {
		w.stamp("shutdown CT %d", w.spec.VMID)
		limit := 180 * time.Second
		if w.spec.Params["timeout"] != "" {
			limit = w.shutdownTimeout()
		}
		if err := w.endCT(m.pids, limit, false); err != nil {
			return m.abort(err)
		}
	}
	if err := m.moveCT(); err != nil {
		return m.restartHere(err)
	}
	err = m.remote("unlock")
	if m.running {
		w.stamp("start container on target node")
		w.stamp("# %s pct start %d", m.ssh(), w.spec.VMID)
		err = errors.Join(err, m.remote("run"))
	}
	return m.complete(err)
}

func (m *migration) prepareCT() error {
	if err := m.checkLock(m.cfg); err != nil {
		return err
	}
	if m.running && m.spec.Params["restart"] != "1" {
		return errors.New("lxc live migration is currently not implemented")
	}
	if mounts := m.cfg.bindMounts(); len(mounts) > 0 {
		return fmt.Errorf("cannot migrate local bind mount point '%s'", mounts[0])
	}
	return m.connect()
}

func (m *migration) moveCT() error {
	if err := m.setLock("migrate"); err != nil {
		return err
	}
	m.stamp("starting migration of CT %d to node '%s' (%s)", m.spec.VMID, m.target, m.address())
	if err := m.copyVolumes(); err != nil {
		return err
	}
	if err := m.transfer(m.spec.Timing.Migrate / 2); err != nil {
		return err
	}
	m.stamp("start final cleanup")
	return m.moveConfig()
}

// restartHere brings a container back that was shut down for a migration that failed.
func (m *migration) restartHere(cause error) error {
	m.stamp("ERROR: %v", cause)
	if err := m.setLock(""); err != nil {
		m.stamp("ERROR: %v", err)
	}
	if m.running {
		m.stamp("start container on source node")
		if err := m.launch([]string{monitorTitle(m.spec.VMID)}, roleMonitor, false, "startup failed"); err != nil {
			m.stamp("ERROR: %v", err)
		}
	}
	m.stamp("ERROR: migration finished with problems (duration %s)", m.duration())
	return errProblems
}
