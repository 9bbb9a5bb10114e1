package proxmox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	goproxmox "github.com/luthermonson/go-proxmox"

	"bascule/ha"
	"bascule/ha/pve"
)

// command is one POST about a guest and the words with which PVE says that there was nothing to do.
type command struct {
	id      ha.VMID
	kind    ha.GuestKind
	action  string // for people: start, stop, shutdown, migrate
	path    string // below the guest: status/start
	params  any
	already string // "VM 101 already running"; empty: none
}

// Start starts a guest and waits for the worker's exit status. An already running guest is success. When ctx ends
// first the worker goes on and *StillRunningError is returned. The caller still has to see the guest in Running.
func (d *Driver) Start(ctx context.Context, id ha.VMID, kind ha.GuestKind) error {
	return d.carryOut(ctx, command{id: id, kind: kind, action: "start", path: "status/start",
		already: kind.Label(id) + " already running"}, nil)
}

// Stop ends a guest at once, like pulling the plug, aborting a shutdown under way. A stopped guest is success.
func (d *Driver) Stop(ctx context.Context, id ha.VMID, kind ha.GuestKind) error {
	c := command{id: id, kind: kind, action: "stop", path: "status/stop",
		params: map[string]int{"overrule-shutdown": 1}, already: kind.Label(id) + " not running"}
	err := d.carryOut(ctx, c, nil)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusBadRequest && status.Fields["overrule-shutdown"] != "" {
		c.params = nil // an older PVE has refused the parameter, and so has done nothing
		return d.carryOut(ctx, c, nil)
	}
	return err
}

// Shutdown asks a guest to shut down and waits. timeout (whole seconds, at least one) is PVE's: when it passes the
// guest runs on and ErrShutdownTimeout is returned; it is never turned into a stop. A stopped guest is success.
func (d *Driver) Shutdown(ctx context.Context, id ha.VMID, kind ha.GuestKind, timeout time.Duration) error {
	seconds := max(1, int(timeout/time.Second))
	return d.carryOut(ctx, command{id: id, kind: kind, action: "shutdown", path: "status/shutdown",
		params:  map[string]int{"timeout": seconds, "forceStop": 0},
		already: kind.Label(id) + " not running"}, nil)
}

// Migrate moves a guest to another node and waits until its config has left this node's directory. A running VM goes
// live when live is set (without it PVE refuses); a running container is stopped, moved and started. progress, if
// given, receives the lines of the task's log.
func (d *Driver) Migrate(ctx context.Context, id ha.VMID, kind ha.GuestKind, target ha.NodeName, live bool,
	progress ...func(line string)) error {
	if !plainName(string(target)) || target == d.node {
		return d.guestErr(kind, id, "migrate", fmt.Errorf("%q is no other node", target), "")
	}
	c := command{id: id, kind: kind, action: "migrate", path: "migrate"}
	switch kind {
	case ha.LXC:
		c.params = &goproxmox.ContainerMigrateOptions{Target: string(target), Restart: true}
	default:
		options := &goproxmox.VirtualMachineMigrateOptions{Target: string(target)}
		if live {
			running, err := d.Running(ctx, id, kind)
			if err != nil {
				return err
			}
			options.Online = goproxmox.IntOrBool(running)
		}
		c.params = options
	}
	var tell func(string)
	if len(progress) > 0 {
		tell = progress[0]
	}
	if err := d.carryOut(ctx, c, tell); err != nil {
		return err
	}
	return d.hasLeft(ctx, id, kind, target)
}

// hasLeft checks what a good exit status of a migration promises.
func (d *Driver) hasLeft(ctx context.Context, id ha.VMID, kind ha.GuestKind, target ha.NodeName) error {
	here, err := d.exists(ctx, configName(d.node, kind, id))
	if err != nil {
		return d.guestErr(kind, id, "looking where it is after its migration", err, "")
	}
	if here {
		return d.guestErr(kind, id, "migrate to "+string(target), ErrNoResult,
			"its task ended well but the config is still here; read the task's log")
	}
	return nil
}

// carryOut sends a command once and follows its worker.
func (d *Driver) carryOut(ctx context.Context, c command, progress func(string)) error {
	if err := checkIDs(c.id, c.kind); err != nil {
		return err
	}
	if err := d.notManaged(ctx, c.id, c.kind); err != nil {
		return d.guestErr(c.kind, c.id, c.action, err, "")
	}
	upid, err := d.post(ctx, d.nodePath("/%s/%d/%s", c.kind, c.id, c.path), c.params)
	if err != nil {
		return d.notTaken(c, err)
	}
	taskType, err := d.taskType(upid)
	if err != nil {
		return d.stillRunning(c.kind, c.id, c.action, upid, err)
	}
	if strings.HasPrefix(taskType, "ha") {
		// hastart and its kin end OK as soon as the wish is queued; what becomes of it is PVE's HA manager's business.
		return d.guestErr(c.kind, c.id, c.action, fmt.Errorf("%w: PVE made it task %s", ErrManagedByHA, upid),
			haAdvice(c.kind, c.id))
	}
	err = d.follow(ctx, worker{upid: upid, action: c.action, kind: c.kind, id: c.id}, progress)
	var failed *TaskError
	if errors.As(err, &failed) && c.alreadySo(failed.ExitStatus) {
		return nil
	}
	return err
}

// notTaken judges a POST that brought no task.
func (d *Driver) notTaken(c command, err error) error {
	var status *StatusError
	switch {
	case errors.Is(err, errSent):
		return d.stillRunning(c.kind, c.id, c.action, "", err)
	case errors.As(err, &status) && c.alreadySo(status.Message):
		return nil
	case errors.Is(err, ErrNoQuorum):
		return d.guestErr(c.kind, c.id, c.action, err, "look at `pvecm status`")
	}
	return d.guestErr(c.kind, c.id, c.action, err, "")
}

// alreadySo recognises PVE's refusal to do what is done. The whole sentence must match: "VM 10 …" is not "VM 101 …".
func (c command) alreadySo(message string) bool {
	return c.already != "" && strings.TrimSpace(message) == c.already
}

// Running says whether a guest of this node runs, by status/current only: every other list is stale for minutes.
// ErrConfigGone: its config is not under this node.
func (d *Driver) Running(ctx context.Context, id ha.VMID, kind ha.GuestKind) (bool, error) {
	running, _, err := d.current(ctx, id, kind)
	return running, err
}

// migrating are QEMU's own words for a process that is one end of a migration. Left behind by one that was cut short it does nothing for
// ever: the source has handed its guest over and must not go on, because the target may have written; the target waits.
var migrating = []string{"postmigrate", "inmigrate"}

// current says whether a guest of this node runs, and whether all that runs is what a migration left behind.
func (d *Driver) current(ctx context.Context, id ha.VMID, kind ha.GuestKind) (running, stalled bool, err error) {
	if err := checkIDs(id, kind); err != nil {
		return false, false, err
	}
	var current struct {
		Status pve.Word   `json:"status"`
		QMP    pve.Word   `json:"qmpstatus"`
		VMID   pve.Number `json:"vmid"`
	}
	if err := d.get(ctx, d.nodePath("/%s/%d/status/current", kind, id), &current); err != nil {
		return false, false, d.guestErr(kind, id, "asking whether it runs", err, "")
	}
	if current.VMID.Set && current.VMID.Value != int64(id) {
		return false, false, d.guestErr(kind, id, "asking whether it runs",
			fmt.Errorf("%w: PVE answered about %d", ErrNoAnswer, current.VMID.Value), "")
	}
	switch current.Status {
	case "running":
		return true, slices.Contains(migrating, string(current.QMP)), nil
	case "stopped":
		return false, false, nil
	}
	return false, false, d.guestErr(kind, id, "asking whether it runs",
		fmt.Errorf("%w: status is %q", ErrNoAnswer, current.Status), "ask again")
}
