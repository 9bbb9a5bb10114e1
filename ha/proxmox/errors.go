package proxmox

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	goproxmox "github.com/luthermonson/go-proxmox"

	"bascule/ha"
	"bascule/ha/pve"
)

// Errors that callers test with errors.Is. What is returned wraps them and names guest, node, what happened and the
// operator's next step.
var (
	// ErrConfigGone: no config of the guest where it was looked for. Drop the plan and observe again.
	ErrConfigGone = ha.ErrConfigGone
	// ErrConfigElsewhere: pmxcfs says that a third node holds a config of this VMID. Observe again.
	ErrConfigElsewhere = errors.New("another node holds a config of this VMID")
	// ErrNoQuorum: corosync has no quorum here, so /etc/pve is read-only and PVE starts nothing.
	ErrNoQuorum = ha.ErrNoQuorum
	// ErrLocked: the guest's config carries a lock that must not be removed, or that a running task holds.
	ErrLocked = errors.New("the guest is locked")
	// ErrBusy: another PVE process held the guest's config file lock for too long.
	ErrBusy = fmt.Errorf("another PVE process holds the guest's config lock: %w", ha.ErrTryAgain)
	// ErrStillRunning: begun, and its end is not known: it may yet happen, may run on, or may have ended. Callers
	// must count the guest as held by this node until they have looked.
	ErrStillRunning = ha.ErrStillRunning
	// ErrManagedByHA: the guest is in ha/resources.cfg, and PVE diverts commands to its own HA manager (R7).
	ErrManagedByHA = errors.New("the guest is managed by Proxmox's own HA")
	// ErrNoResult: the worker ended without a result (killed, log lost). The guest may or may not have changed.
	ErrNoResult = errors.New("the PVE worker ended without a result")
	// ErrShutdownTimeout: the guest did not shut down in the time given; it still runs.
	ErrShutdownTimeout = errors.New("the guest did not shut down in time")
	// ErrNoAnswer: the node's own PVE API gave no usable answer (refused, timed out, codes above 501, nonsense).
	ErrNoAnswer = fmt.Errorf("the node's PVE API gave no answer: %w", ha.ErrTryAgain)
	// ErrNotMounted: the tree is not the pmxcfs of this node (not mounted, or another node's).
	ErrNotMounted = errors.New("/etc/pve is not mounted as this node's")
)

// StatusError is an HTTP answer other than 2xx. Unwrap gives the sentinel that its words stand for.
type StatusError struct {
	Method  string
	Path    string // without /api2/json
	Code    int
	Message string            // the body's message, else the HTTP reason
	Fields  map[string]string // refused parameters of a 400
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("PVE answered %s %s with %d %s", e.Method, e.Path, e.Code, e.Message)
	for _, key := range slices.Sorted(maps.Keys(e.Fields)) {
		text += fmt.Sprintf(" (%s: %s)", key, strings.TrimSpace(e.Fields[key]))
	}
	if e.Code == http.StatusUnauthorized {
		text += "; check token id and secret of the configuration with `pveum user token list USER`"
	}
	return text
}

// Unwrap returns the sentinels that the answer stands for.
func (e *StatusError) Unwrap() []error {
	var errs []error
	switch e.Code {
	case http.StatusUnauthorized, http.StatusForbidden:
		errs = append(errs, goproxmox.ErrNotAuthorized)
	}
	if e.Code > http.StatusNotImplemented { // 502 to 504 of a proxy, 595 to 599 of PVE's own: nobody who knows has spoken
		errs = append(errs, ErrNoAnswer)
	}
	if s := classify(e.Message); s != nil {
		errs = append(errs, s)
	}
	return errs
}

// TaskError is a PVE worker that ended badly.
type TaskError struct {
	UPID       string
	Action     string // start, stop, shutdown, migrate
	Guest      string // "VM 101"
	Node       ha.NodeName
	ExitStatus string   // PVE's own words
	Log        []string // the last lines of the task's log; may be empty
}

func (e *TaskError) Error() string {
	text := fmt.Sprintf("%s on %s: %s failed: %s", e.Guest, e.Node, e.Action, e.ExitStatus)
	if last := len(e.Log) - 1; last > 0 {
		text += fmt.Sprintf(" (before that: %s)", e.Log[last-1])
	}
	return text + "; read the task with `pvenode task log " + e.UPID + "`"
}

// Unwrap returns the sentinel that the exit status stands for, or nil.
func (e *TaskError) Unwrap() error {
	if s := classify(e.ExitStatus); s != nil {
		return s
	}
	if e.Action == "shutdown" && (strings.Contains(e.ExitStatus, "timeout") || strings.Contains(e.ExitStatus, "lxc-stop")) {
		return ErrShutdownTimeout
	}
	return nil
}

// StillRunningError is a PVE worker whose end was not waited for. UPID is empty when even the answer to the request
// was lost, so that it is not known whether a worker exists.
type StillRunningError struct {
	UPID   string
	Action string
	Guest  string
	Node   ha.NodeName
	Err    error // why the waiting ended
}

func (e *StillRunningError) Error() string {
	worker := "its worker " + e.UPID + " may still run"
	if e.UPID == "" {
		worker = "PVE's answer was lost, a worker may run"
	}
	return fmt.Sprintf("%s on %s: %s: %s: %v; look at `pvenode task list --source active` on %s",
		e.Guest, e.Node, e.Action, worker, e.Err, e.Node)
}

// Unwrap makes errors.Is find ErrStillRunning and the reason.
func (e *StillRunningError) Unwrap() []error { return []error{ErrStillRunning, e.Err} }

// WeakTokenError is a token with too few privileges: PVE answers it with shorter lists instead of errors.
type WeakTokenError struct {
	TokenID string
	Missing []string // "VM.Audit on /vms", sorted
}

func (e *WeakTokenError) Error() string {
	user, _, _ := strings.Cut(e.TokenID, "!")
	return fmt.Sprintf("API token %s lacks %s; as root on any node run: "+
		"pveum role add Bascule --privs \"%s\" (role modify, if it exists); pveum acl modify / --users %s --roles Bascule ; "+
		"pveum acl modify / --tokens '%s' --roles Bascule",
		e.TokenID, strings.Join(e.Missing, ", "), strings.Join(pve.Privileges(), " "), user, e.TokenID)
}

// classify finds the sentinel for PVE's own words, or nil.
func classify(text string) error {
	switch {
	case strings.Contains(text, "no quorum"),
		strings.Contains(text, "unable to open file '/etc/pve/") && strings.Contains(text, "Permission denied"):
		return ErrNoQuorum
	case strings.Contains(text, "is locked ("):
		return ErrLocked
	case strings.Contains(text, "can't lock file"):
		return ErrBusy
	case strings.Contains(text, "Configuration file '") && strings.Contains(text, "does not exist"):
		return ErrConfigGone
	case strings.Contains(text, "unexpected status"), strings.Contains(text, "no such task"):
		return ErrNoResult
	case strings.Contains(text, "powerdown failed - got timeout"), strings.Contains(text, "container did not stop"):
		return ErrShutdownTimeout
	}
	return nil
}

// guestErr puts guest, node and what was attempted before an error, and the next step behind it.
func (d *Driver) guestErr(kind ha.GuestKind, id ha.VMID, op string, err error, next string) error {
	if next != "" {
		next = "; " + next
	}
	return fmt.Errorf("%s on %s: %s: %w%s", kind.Label(id), d.node, op, err, next)
}
