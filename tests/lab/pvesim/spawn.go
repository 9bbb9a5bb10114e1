package pvesim

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// workerSpec is what a worker process is told.
type workerSpec struct {
	Lab      string // the lab directory
	Dir      string // the node's directory
	Exe      string
	Node     string
	UPID     string // filled in by the worker itself
	Type     string // qmstart …
	User     string
	Start    int64 // seconds since 1970
	Kind     string
	Action   string
	VMID     int
	Params   map[string]string
	Address  map[string]string // of the nodes, for log lines
	Fail     string            // end with this status
	Incoming string            // a VM's start for a migration from this node
	Timing   Timing
}

// taskType is the name of an action's task.
func taskType(kind, action string) string {
	prefix := "qm"
	if kind == "lxc" {
		prefix = "vz"
	}
	switch {
	case action == "migrate" && kind == "qemu":
		return "qmigrate"
	case action == "startall" || action == "stopall":
		return action
	}
	return prefix + action
}

var errOff = errors.New("the node is off")

// spawn starts a worker process on a node and returns its task. The process has its final title when spawn returns,
// belongs to no session of ours, and goes on whatever happens to the API.
func (c *Cluster) spawn(n *node, spec workerSpec) (*task, error) {
	if spec.Type == "" {
		spec.Type = taskType(spec.Kind, spec.Action)
	}
	spec.Lab, spec.Dir, spec.Exe, spec.Node = c.opt.Dir, n.dir, c.opt.Executable, n.Name
	spec.Start, spec.Timing, spec.Address = c.now().Unix(), c.opt.Timing, map[string]string{}
	for name, peer := range c.nodes {
		spec.Address[name] = peer.Address
	}
	n.spawning.Lock()
	defer n.spawning.Unlock()
	c.mu.Lock()
	powered := n.powered
	key := failKey{n.Name, spec.VMID, spec.Action}
	if message, ok := c.failNext[key]; ok && powered {
		spec.Fail = message
		delete(c.failNext, key)
	}
	c.mu.Unlock()
	if !powered {
		return nil, errOff
	}
	return c.startWorker(n, spec)
}

func (c *Cluster) startWorker(n *node, spec workerSpec) (*task, error) {
	ready, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pvesim: starting a worker: %w", err)
	}
	defer ready.Close()
	cmd, err := childCommand(spec.Exe, []string{"pve worker"}, roleWorker, n.dir, spec)
	if err != nil {
		theirs.Close()
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{theirs}
	if stderr, err := os.OpenFile(filepath.Join(n.dir, "log/pve-workers.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err == nil {
		cmd.Stderr = stderr
		defer stderr.Close()
	}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return nil, fmt.Errorf("pvesim: starting a worker: %w", err)
	}
	st, err := statPid(cmd.Process.Pid)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pvesim: a worker of %s vanished at its start: %w", n.Name, err), cmd.Wait())
	}
	u := upid{node: n.Name, pid: cmd.Process.Pid, pstart: st.start, start: spec.Start, kind: spec.Type, user: spec.User}
	if spec.VMID != 0 {
		u.id = strconv.Itoa(spec.VMID)
	}
	// Only made, never emptied: a quick worker may have written to it already.
	if log, err := os.OpenFile(n.tasks.logPath(u), os.O_CREATE|os.O_WRONLY, 0o644); err != nil {
		c.opt.Log("pvesim: log of %s: %v", u, err)
	} else {
		log.Close()
	}
	t := n.tasks.add(u)
	c.tellTasks(n)
	go func() { // ends with the worker, which Close does not wait for
		cmd.Wait() // how it ended is in the task's log
		if err := n.tasks.finish(t, c.now()); err != nil {
			c.opt.Log("%v", err)
		}
		c.tellTasks(n)
		c.opt.Log("pvesim: end task %s %s", u, t.status)
	}()
	ready.SetReadDeadline(time.Now().Add(5 * time.Second))
	ready.Read(make([]byte, 1)) // one byte, or the end if it died: both mean that it is no longer starting
	return t, nil
}

// childCommand prepares a process of a node in one of our roles. Its environment is small and marks it as the node's.
func childCommand(exe string, argv []string, role, nodeDir string, spec any) (*exec.Cmd, error) {
	encoded, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("pvesim: encoding the task of a %s: %w", role, err)
	}
	return &exec.Cmd{
		Path: exe, Args: argv, Dir: "/",
		Env:         []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", nodeDirEnv + "=" + nodeDir, roleEnv + "=" + role, specEnv + "=" + string(encoded), "GOMAXPROCS=2"},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}, nil
}

// interrupt ends a task's worker as "stop task" does: asked first, killed after five seconds.
func (c *Cluster) interrupt(t *task) {
	if !t.running() {
		return
	}
	sendSignal(t.upid.pid, syscall.SIGTERM) // it may be gone already: then done closes
	select {
	case <-t.done:
	case <-time.After(5 * time.Second):
		sendSignal(t.upid.pid, syscall.SIGKILL)
		<-t.done
	}
}

func apiTaskStop(q *call) (any, error) {
	t, err := q.task("Sys.Modify")
	if err != nil {
		return nil, err
	}
	if t != nil {
		q.c.interrupt(t)
	}
	return nil, nil
}
