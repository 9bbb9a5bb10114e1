package pvesim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// apiGuestAction is POST …/status/start, stop and shutdown. For a VM nearly everything is accepted: whether it was
// carried out shows in the task. Containers refuse some things at once.
func apiGuestAction(action string) func(*call) (any, error) {
	return func(q *call) (any, error) {
		t, err := q.c.act(q.n, q.kind(), q.vmid(), action, q.who.id, q.params)
		if err != nil {
			return nil, err
		}
		return t.upid.String(), nil
	}
}

// act checks what Proxmox checks before it forks the worker of an action, and forks it.
func (c *Cluster) act(n *node, kind string, vmid int, action, user string, params map[string]string) (*task, error) {
	q := &call{c: c, n: n}
	if action == "start" {
		if err := q.quorate(); err != nil {
			return nil, err
		}
	}
	_, managed := haManaged(q.file("ha/resources.cfg"), kind, vmid)
	if _, running := findGuest(n.dir, kind, vmid); kind == "lxc" {
		if action == "start" && running {
			return nil, die("CT %d already running", vmid)
		}
		if action != "start" && !running {
			return nil, die("CT %d not running", vmid)
		}
	}
	spec := workerSpec{Kind: kind, VMID: vmid, Action: action, User: user, Params: maps.Clone(params)}
	if managed {
		what := action
		if action == "shutdown" {
			what = "stop"
		}
		spec.Type, spec.Action, spec.Params = "ha"+what, "ha", map[string]string{"what": what}
	}
	if params["overrule-shutdown"] == "1" {
		c.abortShutdowns(n, vmid)
	}
	return c.fork(n, spec)
}

// fork is spawn with the error of an API call.
func (c *Cluster) fork(n *node, spec workerSpec) (*task, error) {
	t, err := c.spawn(n, spec)
	if err != nil {
		return nil, die("fork failed: %v", err)
	}
	return t, nil
}

func (c *Cluster) abortShutdowns(n *node, vmid int) {
	active, _ := n.tasks.newestFirst()
	for _, t := range active {
		if t.upid.id == strconv.Itoa(vmid) && strings.HasSuffix(t.upid.kind, "shutdown") {
			c.interrupt(t)
		}
	}
}

// Operator is a person's own "qm" or "pct" on a node: action is start, stop or shutdown, the user root@pam. It
// returns the task's UPID without waiting for its end. Fails as the command would: without quorum, with the node
// off, or when a container is already in that state.
func (c *Cluster) Operator(node string, vmid int, action string) (string, error) {
	n := c.nodes[node]
	if n == nil {
		return "", fmt.Errorf("pvesim: operator: no node %q", node)
	}
	if !slices.Contains([]string{"start", "stop", "shutdown"}, action) {
		return "", fmt.Errorf("pvesim: operator: action %q is none of start, stop, shutdown", action)
	}
	c.mu.Lock()
	powered, view := n.powered, n.view
	c.mu.Unlock()
	if !powered {
		return "", fmt.Errorf("pvesim: operator: %s of guest %d on %s: %w", action, vmid, node, errOff)
	}
	kind := "qemu"
	if at, ok := view.vms[vmid]; ok {
		kind = at.kind
	}
	t, err := c.act(n, kind, vmid, action, "root@pam", nil)
	if err != nil {
		return "", fmt.Errorf("pvesim: operator: %s of guest %d on %s: %w", action, vmid, node, err)
	}
	return t.upid.String(), nil
}

// Unlock is a person's own "qm unlock" or "pct unlock" on a node: no token can do that through the API. Fails if the
// node is off, has no such guest, or has no quorum.
func (c *Cluster) Unlock(node string, vmid int) error {
	n := c.nodes[node]
	if n == nil {
		return fmt.Errorf("pvesim: unlock: no node %q", node)
	}
	c.mu.Lock()
	kind, powered := n.view.vms[vmid].kind, n.powered
	c.mu.Unlock()
	if !powered {
		return fmt.Errorf("pvesim: unlock of guest %d on %s: %w", vmid, node, errOff)
	}
	if kind == "" {
		kind = "qemu"
	}
	p := configPath(node, kind, vmid)
	data, e := c.fsRead(n, p)
	if e != success {
		//lint:ignore ST1005 PVE's own words
		return fmt.Errorf("Configuration file '%s' does not exist", p)
	}
	if e := c.fsWrite(context.Background(), n, p, editConfig(data, map[string]string{"lock": ""})); e != success {
		return fmt.Errorf("unable to open file '/etc/pve/%s.tmp.%d' - %s", p, os.Getpid(), e.text())
	}
	return nil
}

// TaskStatus is a task's exit status once its worker is gone. Errors if nobody knows the task.
func (c *Cluster) TaskStatus(id string) (status string, ended bool, err error) {
	u, ok := parseUPID(id)
	if !ok || c.nodes[u.node] == nil {
		return "", false, fmt.Errorf("pvesim: %q is no UPID of this cluster", id)
	}
	t := c.nodes[u.node].tasks.find(id)
	if t == nil {
		return "", false, errors.New("pvesim: no such task: " + id)
	}
	if t.running() {
		return "", false, nil
	}
	return t.status, true, nil
}

func apiMigratePreconditions(q *call) (any, error) {
	g, refused := q.c.guestAt(q.n, q.kind(), q.vmid())
	if refused != nil {
		return nil, refused
	}
	stores := parseStorages(q.file("storage.cfg"))
	allowed, denied, localDisks := []string{}, object{}, []object{}
	for _, name := range q.c.order { // offline nodes are listed too
		if name == q.n.Name {
			continue
		}
		missing := missingStorages(g.cfg, stores, name)
		reasons := object{}
		if len(missing) > 0 {
			reasons["unavailable_storages"] = missing
		} else {
			allowed = append(allowed, name)
		}
		if g.kind == "qemu" || len(missing) > 0 {
			denied[name] = reasons
		}
	}
	if g.kind == "lxc" {
		return object{"running": flag(g.running), "allowed-nodes": allowed, "not-allowed-nodes": denied}, nil
	}
	for _, v := range g.cfg.volumes() {
		if s, ok := findStorage(stores, v.storage); ok && !s.shared && !v.cdrom {
			localDisks = append(localDisks, object{"volid": v.id(), "drivename": v.key, "size": v.size, "shared": 0, "cdrom": 0, "replicate": 1,
				"is_attached": 1, "is_unused": 0, "is_vmstate": 0, "is_tpmstate": flag(strings.HasPrefix(v.key, "tpmstate")), "is_cloudinit": 0})
		}
	}
	out := object{"running": flag(g.running), "allowed_nodes": allowed, "not_allowed_nodes": denied, "local_disks": localDisks,
		"local_resources": localResources(g.cfg), "mapped-resources": []string{}, "mapped-resource-info": object{}, "has-dbus-vmstate": 1}
	if g.ha["managed"] == 1 {
		out["dependent-ha-resources"] = []string{}
	}
	return out, nil
}

// missingStorages are the storages of a guest's disks that a node has not.
func missingStorages(cfg *guestConfig, stores []storageConf, node string) []string {
	var out []string
	for _, v := range cfg.volumes() {
		s, ok := findStorage(stores, v.storage)
		if (!ok || !s.on(node)) && !slices.Contains(out, v.storage) {
			out = append(out, v.storage)
		}
	}
	return out
}

func localResources(cfg *guestConfig) []string {
	out := []string{}
	for key := range cfg.values {
		if strings.HasPrefix(key, "usb") || strings.HasPrefix(key, "hostpci") {
			out = append(out, key)
		}
	}
	return out
}

func apiMigrate(q *call) (any, error) {
	if err := q.quorate(); err != nil {
		return nil, err
	}
	target, c := q.params["target"], q.c
	if target == q.n.Name {
		return nil, badParam("target", "target is local node.")
	}
	if c.nodes[target] == nil {
		return nil, die("no such cluster node '%s'", target)
	}
	g, refused := c.guestAt(q.n, q.kind(), q.vmid())
	if refused != nil {
		return nil, refused
	}
	if lock := g.cfg.lock(); lock != "" && g.kind == "qemu" {
		return nil, die("%s", lockedMessage(g.kind, lock))
	}
	if g.running && g.kind == "qemu" && !q.flag("online") {
		return nil, die("can't migrate running VM without --online")
	}
	if g.running && g.kind == "lxc" && !q.flag("online") && !q.flag("restart") {
		return nil, die("can't migrate running container without --online or --restart")
	}
	if missing := missingStorages(g.cfg, parseStorages(q.file("storage.cfg")), target); g.kind == "qemu" && len(missing) > 0 {
		return nil, die("storage '%s' is not available on node '%s'", missing[0], target)
	}
	spec := workerSpec{Kind: g.kind, VMID: g.vmid, Action: "migrate", User: q.who.id, Params: maps.Clone(q.params)}
	if g.ha["managed"] == 1 {
		spec.Type, spec.Action, spec.Params = "hamigrate", "ha", map[string]string{"what": "migration", "target": target}
	}
	t, err := c.fork(q.n, spec)
	if err != nil {
		return nil, err
	}
	return t.upid.String(), nil
}
