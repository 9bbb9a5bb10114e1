package pvesim

import (
	"fmt"
	"maps"
	"os"
)

// PUT and POST …/config: plain keys, no disks and no hot-plugging.

var configPrivs = map[string]string{
	"qemu": "VM.Config.Disk|VM.Config.CDROM|VM.Config.CPU|VM.Config.Memory|VM.Config.Network|VM.Config.HWType|VM.Config.Options|VM.Config.Cloudinit",
	"lxc":  "VM.Config.Disk|VM.Config.CPU|VM.Config.Memory|VM.Config.Network|VM.Config.Options",
}

// configChange checks what the API checks before it changes a config: who asks, the digest, the lock.
func (q *call) configChange() (*guestState, map[string]string, error) {
	edits := maps.Clone(q.params)
	for _, key := range splitList(edits["delete"]) {
		edits[key] = ""
	}
	for _, key := range []string{"skiplock", "digest", "force", "background_delay", "delete", "revert"} {
		delete(edits, key)
	}
	if _, touches := edits["lock"]; touches && q.kind() == "qemu" && !q.who.root() {
		return nil, nil, die("only root can set 'lock' config")
	}
	g, err := q.c.guestAt(q.n, q.kind(), q.vmid())
	if err != nil {
		return nil, nil, err
	}
	if want := q.params["digest"]; want != "" && want != g.cfg.digest {
		return nil, nil, die("detected modified configuration - file changed by other user? Try again.")
	}
	if lock := g.cfg.lock(); lock != "" && !q.flag("skiplock") {
		return nil, nil, die("%s", lockedMessage(g.kind, lock))
	}
	return g, edits, nil
}

func apiSetConfig(q *call) (any, error) {
	g, edits, err := q.configChange()
	if err != nil {
		return nil, err
	}
	p := configPath(q.n.Name, g.kind, g.vmid)
	return nil, q.writeFile(p, changeConfig(g.kind, q.file(p), g.running, edits))
}

// apiSetConfigLater is the same as a task: what goes wrong with the writing shows there.
func apiSetConfigLater(q *call) (any, error) {
	g, edits, err := q.configChange()
	if err != nil {
		return nil, err
	}
	t, err := q.c.fork(q.n, workerSpec{Kind: g.kind, VMID: g.vmid, Action: "config", User: q.who.id, Params: edits})
	if err != nil {
		return nil, err
	}
	return t.upid.String(), nil
}

// setConfig is the worker's part.
func (w *worker) setConfig() error {
	unlock, err := w.lockConfig()
	if err != nil {
		return err
	}
	defer unlock()
	p := configPath(w.spec.Node, w.spec.Kind, w.spec.VMID)
	data, err := w.fs.read(p)
	if err != nil {
		return fmt.Errorf("unable to open file '/etc/pve/%s' - %w", p, err)
	}
	_, running := findGuest(w.spec.Dir, w.spec.Kind, w.spec.VMID)
	if err := w.fs.write(p, changeConfig(w.spec.Kind, data, running, w.spec.Params)); err != nil {
		return fmt.Errorf("unable to open file '/etc/pve/%s.tmp.%d' - %w", p, os.Getpid(), err)
	}
	return nil
}

func lockedMessage(kind, lock string) string {
	if kind == "lxc" {
		return "CT is locked (" + lock + ")"
	}
	return "VM is locked (" + lock + ")"
}
