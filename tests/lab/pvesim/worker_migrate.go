package pvesim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// migration is what the migrations of VMs and containers share.
type migration struct {
	*worker
	target  string
	cfg     *guestConfig
	pids    guestPIDs
	running bool
}

var (
	errAborted  = errors.New("migration aborted")
	errProblems = errors.New("migration problems")
)

func (w *worker) newMigration() (*migration, error) {
	cfg, err := w.config(w.spec.Node)
	if err != nil {
		return nil, err
	}
	m := &migration{worker: w, target: w.spec.Params["target"], cfg: cfg}
	m.pids, m.running = findGuest(w.spec.Dir, w.spec.Kind, w.spec.VMID)
	return m, nil
}

// remote asks something of the target node.
func (m *migration) remote(op string) error {
	return m.ctl.do(controlRequest{Op: op, Target: m.target, Kind: m.spec.Kind, VMID: m.spec.VMID, Action: "start"})
}

func (m *migration) address() string { return m.spec.Address[m.target] }

// ssh is the command line with which a migration reaches its target, as task logs show it.
func (m *migration) ssh() string {
	return fmt.Sprintf("/usr/bin/ssh -e none -o 'BatchMode=yes' -o 'HostKeyAlias=%[1]s' -o 'UserKnownHostsFile=/etc/pve/nodes/%[1]s/ssh_known_hosts' "+
		"-o 'GlobalKnownHostsFile=none' root@%[2]s", m.target, m.address())
}

func (m *migration) duration() string {
	s := int(time.Since(m.began).Seconds())
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

func (m *migration) abort(err error) error {
	m.stamp("ERROR: migration aborted (duration %s): %v", m.duration(), err)
	return errAborted
}

// connect is the first contact with the target; an unreachable one costs seconds and ends the migration.
func (m *migration) connect() error {
	if err := m.remote("connect"); err != nil {
		m.stamp("# %s /bin/true", m.ssh())
		m.stamp("ssh: connect to host %s port 22: %v", m.address(), err)
		//lint:ignore ST1005 PVE's own words
		return errors.New("Can't connect to destination address using public key")
	}
	return nil
}

// setLock writes "lock: migrate", or removes it.
func (m *migration) setLock(lock string) error {
	p := configPath(m.spec.Node, m.spec.Kind, m.spec.VMID)
	data, err := m.fs.read(p)
	if err != nil {
		return fmt.Errorf("unable to open file '/etc/pve/%s' - %w", p, err)
	}
	if err := m.fs.write(p, editConfig(data, map[string]string{"lock": lock})); err != nil {
		return fmt.Errorf("unable to open file '/etc/pve/%s.tmp.%d' - %w", p, os.Getpid(), err)
	}
	return nil
}

// moveConfig gives the guest to the target.
func (m *migration) moveConfig() error {
	from, to := configPath(m.spec.Node, m.spec.Kind, m.spec.VMID), configPath(m.target, m.spec.Kind, m.spec.VMID)
	if err := m.fs.rename(from, to); err != nil {
		return fmt.Errorf("failed to move config to node '%s' - rename failed: %w", m.target, err)
	}
	return nil
}

// copyVolumes brings disks on local storages to the target.
func (m *migration) copyVolumes() error {
	data, err := m.fs.read("storage.cfg")
	if err != nil {
		return fmt.Errorf("unable to open file '/etc/pve/storage.cfg' - %w", err)
	}
	stores := parseStorages(data)
	if missing := missingStorages(m.cfg, stores, m.target); len(missing) > 0 {
		return fmt.Errorf("storage '%s' is not available on node '%s'", missing[0], m.target)
	}
	for _, v := range m.cfg.volumes() {
		s, _ := findStorage(stores, v.storage) // there: missingStorages found it
		if s.shared {
			if m.spec.Kind == "lxc" {
				m.stamp("volume '%s' is on shared storage '%s'", v.id(), v.storage)
			}
			continue
		}
		if v.cdrom {
			continue
		}
		if m.running && m.spec.Kind == "qemu" && m.spec.Params["with-local-disks"] != "1" {
			return errors.New("can't live migrate attached local disks without with-local-disks option")
		}
		m.stamp("copying local disk image %s", v.id())
		to := volumePath(m.spec.Lab, filepath.Join(m.spec.Lab, m.target), s, v)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// transfer takes the time of the migration, looking after both ends if the guest runs.
func (m *migration) transfer(d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		select {
		case <-m.interrupted:
			return errors.New("interrupted by signal")
		case <-time.After(min(100*time.Millisecond, time.Until(end))):
		}
		if !m.running || m.spec.Kind != "qemu" {
			continue
		}
		if !alive(m.pids.outer) {
			return errors.New("VM " + fmt.Sprint(m.spec.VMID) + " not running")
		}
		if err := m.remote("probe"); err != nil {
			return fmt.Errorf("migration tunnel: %w", err)
		}
	}
	return nil
}

// migrateVM moves a VM: live if it runs, else only its config.
func (w *worker) migrateVM() error {
	unlock, err := w.lockConfig()
	if err != nil {
		return err
	}
	defer unlock()
	m, err := w.newMigration()
	if err != nil {
		return err
	}
	if err := w.checkLock(m.cfg); err != nil {
		return m.abort(err)
	}
	if err := w.failure(); err != nil {
		return err
	}
	if m.running {
		w.stamp("conntrack state migration not supported or disabled, active connections might get dropped")
	}
	if err := m.connect(); err != nil {
		return m.abort(err)
	}
	if err := m.setLock("migrate"); err != nil {
		return m.abort(err)
	}
	w.stamp("starting migration of VM %d to node '%s' (%s)", w.spec.VMID, m.target, m.address())
	if err := m.copyVolumes(); err != nil {
		if err := m.setLock(""); err != nil {
			w.stamp("ERROR: %v", err)
		}
		return m.abort(err)
	}
	if m.running {
		return m.live()
	}
	if err := m.transfer(w.spec.Timing.Migrate); err != nil {
		return m.giveUp(err)
	}
	if err := m.moveConfig(); err != nil {
		return m.giveUp(err)
	}
	return m.complete(m.remote("unlock"))
}

// live moves a running VM. From the start of the target's process until the end of the source's there are two; only
// one of them ever writes: the source is stopped before its config moves, and the target goes on only after that.
func (m *migration) live() error {
	m.stamp("starting VM %d on remote node '%s'", m.spec.VMID, m.target)
	if err := m.remote("incoming"); err != nil {
		return m.giveUp(fmt.Errorf("online migrate failure - remote command failed: %w", err))
	}
	socket := fmt.Sprintf("unix:/run/qemu-server/%d.migrate", m.spec.VMID)
	for _, line := range []string{"start remote tunnel", "ssh tunnel ver 1", "starting online/live migration on " + socket, "set migration capabilities",
		"migration downtime limit: 100 ms", "migration cachesize: 8.0 MiB", "set migration parameters", "start migrate command to " + socket} {
		m.stamp("%s", line)
	}
	if err := m.transfer(m.spec.Timing.Migrate); err != nil {
		m.remote("cancel") // it may be what failed
		return m.giveUp(fmt.Errorf("online migrate failure - %w", err))
	}
	if err := m.pause(); err != nil {
		m.remote("cancel")
		return m.giveUp(fmt.Errorf("online migrate failure - %w", err))
	}
	m.stamp("average migration speed: 64.5 MiB/s - downtime 9 ms")
	m.stamp("migration completed, transferred 649.1 KiB VM-state")
	m.stamp("migration status: completed")
	if err := m.moveConfig(); err != nil {
		// Real Proxmox leaves both processes paused here: nobody knows who owns the guest.
		m.stamp("ERROR: %v", err)
		m.stamp("ERROR: migration finished with problems (duration %s)", m.duration())
		return errProblems
	}
	resumed := m.remote("resume")
	if resumed != nil {
		m.stamp("ERROR: %v", resumed)
	}
	return m.complete(errors.Join(resumed, m.kill(m.pids.outer), m.remote("unlock")))
}

// pause stops the source's process for good, and waits until it has really stopped.
func (m *migration) pause() error {
	if err := sendSignal(m.pids.outer, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stopping the source failed: %w", err)
	}
	for end := time.Now().Add(2 * time.Second); !stopped(m.pids.outer); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			sendSignal(m.pids.outer, syscall.SIGCONT) // it goes on here
			return errors.New("the source did not stop")
		}
	}
	return nil
}

// giveUp ends a migration whose guest stays where it is.
func (m *migration) giveUp(err error) error {
	m.stamp("ERROR: %v", err)
	m.stamp("aborting phase 2 - cleanup resources")
	m.stamp("migrate_cancel")
	if err := m.setLock(""); err != nil {
		m.stamp("ERROR: %v", err)
	}
	m.stamp("ERROR: migration finished with problems (duration %s)", m.duration())
	return errProblems
}

func (m *migration) complete(err error) error {
	if err != nil {
		m.stamp("ERROR: %v", err)
		m.stamp("ERROR: migration finished with problems (duration %s)", m.duration())
		return errProblems
	}
	m.stamp("migration finished successfully (duration %s)", m.duration())
	return nil
}
