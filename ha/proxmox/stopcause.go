package proxmox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/pve"
)

// CauseKind sorts the reasons for which a guest is stopped.
type CauseKind string

// The kinds of causes. Only CauseUser changes what is requested of a guest.
const (
	CauseNone CauseKind = "none"    // no task explains it: it crashed, or shut down from inside
	CauseUser CauseKind = "user"    // a user's stop, shutdown, hibernation or removal
	CauseOwn  CauseKind = "own"     // a stop that this driver's token asked for
	CausePVE  CauseKind = "proxmox" // under stopall (node shutdown), vzdump, migration, snapshot or reboot
	CauseGone CauseKind = "gone"    // its config is not under this node any more
)

// Cause is why a guest is stopped.
type Cause struct {
	Kind CauseKind
	What string    // the task's type, or the lock that tells
	Who  string    // user or token of the task; empty: not known
	UPID string    // empty: no task
	At   time.Time // the task's end, or start if it runs; zero: not known
	Over bool      // the task that stopped it has ended
}

// String tells people.
func (c Cause) String() string {
	if c.Kind == CauseNone {
		return "no task stopped it: it crashed or was shut down from inside"
	}
	text := fmt.Sprintf("%s (%s)", c.What, c.Kind)
	if c.Who != "" {
		text += " by " + c.Who
	}
	return text
}

// Tasks that stop a guest without a user's wish that it stay so, and those that express such a wish.
var (
	passingTasks = []string{"stopall", "suspendall", "migrateall", "vzdump", "qmigrate", "vzmigrate", "qmrollback",
		"vzrollback", "qmsnapshot", "vzsnapshot", "qmreboot", "vzreboot"}
	stopTasks = []string{"qmstop", "qmshutdown", "vzstop", "vzshutdown", "qmsuspend", "vzsuspend", "qmdestroy",
		"vzdestroy", "hastop"}
	lockCauses = map[string]string{"backup": "vzdump", "migrate": "migration", "rollback": "snapshot",
		"snapshot": "snapshot", "snapshot-delete": "snapshot"}
)

// Recent tasks that are looked at: of the guest, and of the whole node (stopall has no VMID).
const (
	guestTasks = 50
	nodeTasks  = 500
)

// StopCause finds out why a guest that ran at since is stopped now, from the tasks that ended after since or still
// run, and from the lock in its config.
func (d *Driver) StopCause(ctx context.Context, id ha.VMID, since time.Time) (Cause, error) {
	lock, here, err := d.ownLock(ctx, id)
	if err != nil {
		return Cause{}, fmt.Errorf("guest %d on %s: asking why it is stopped: %w", id, d.node, err)
	}
	rows, err := d.tasksAbout(ctx, id, since, lock == "backup")
	if err != nil {
		return Cause{}, fmt.Errorf("guest %d on %s: asking why it is stopped: %w", id, d.node, err)
	}
	if err := d.CheckPrivileges(ctx); err != nil { // a token without Sys.Audit is shown no task of others: a user's stop would read as a crash
		return Cause{}, fmt.Errorf("guest %d on %s: asking why it is stopped: %w", id, d.node, err)
	}
	if what, ok := lockCauses[lock]; ok && slices.ContainsFunc(rows, passing) { // without a task it is left over, and no reason to wait
		return Cause{Kind: CausePVE, What: what, Over: !slices.ContainsFunc(rows, func(r taskRow) bool { return passing(r) && r.running() })}, nil
	}
	cause := d.judge(rows)
	if !here && cause.Kind != CauseUser {
		cause.Kind = CauseGone
		if cause.What == "" {
			cause.What = "its config is not under " + string(d.node)
		}
	}
	return cause, nil
}

func passing(r taskRow) bool { return slices.Contains(passingTasks, string(r.Type)) }

// ownLock reads the guest's lock, whichever kind it is, and whether its config is here.
func (d *Driver) ownLock(ctx context.Context, id ha.VMID) (lock string, here bool, err error) {
	for _, kind := range []ha.GuestKind{ha.QEMU, ha.LXC} {
		if err := checkIDs(id, kind); err != nil {
			return "", false, err
		}
		config, err := d.readOwnConfig(ctx, id, kind)
		if errors.Is(err, ErrConfigGone) {
			continue
		}
		if err != nil {
			return "", false, err
		}
		return config.Lock(), true, nil
	}
	return "", false, nil
}

// tasksAbout lists the tasks since then that could have stopped the guest, newest first; with backups, a vzdump of many guests, too: its
// row does not say of which.
func (d *Driver) tasksAbout(ctx context.Context, id ha.VMID, since time.Time, backups bool) ([]taskRow, error) {
	own, err := d.tasks(ctx, fmt.Sprintf("source=all&vmid=%d&limit=%d", id, guestTasks))
	if err != nil {
		return nil, err
	}
	all, err := d.tasks(ctx, fmt.Sprintf("source=all&limit=%d", nodeTasks))
	if err != nil {
		return nil, err
	}
	seen := make(map[pve.Word]bool)
	var rows []taskRow
	for _, r := range append(own, all...) {
		relevant := r.of(id) || (r.ID == "" && (backups || r.Type != "vzdump"))
		if seen[r.UPID] || !relevant || (!r.running() && r.End.Value < since.Unix()) {
			continue
		}
		seen[r.UPID] = true
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, func(a, b taskRow) int { return int(b.Start.Value - a.Start.Value) })
	return rows, nil
}

// judge takes the newest task that did stop guests. A stop inside a passing task belongs to that: stopall and vzdump
// make stop tasks of their own.
func (d *Driver) judge(rows []taskRow) Cause {
	for _, r := range rows {
		if !slices.Contains(stopTasks, string(r.Type)) || !r.good() {
			continue
		}
		for _, p := range rows {
			if passing(p) && p.Start.Value <= r.Start.Value &&
				(p.running() || r.Start.Value <= p.End.Value) {
				return causeOf(CausePVE, p)
			}
		}
		if r.who() == d.tokenID {
			return causeOf(CauseOwn, r)
		}
		return causeOf(CauseUser, r)
	}
	for _, p := range rows {
		if passing(p) {
			return causeOf(CausePVE, p)
		}
	}
	return Cause{Kind: CauseNone}
}

func causeOf(kind CauseKind, r taskRow) Cause {
	at := r.End
	if r.running() {
		at = r.Start
	}
	return Cause{Kind: kind, What: string(r.Type), Who: r.who(), UPID: string(r.UPID), At: time.Unix(at.Value, 0), Over: !r.running()}
}
