package proxmox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/pve"
)

// Pauses between looks at a task: a VM's start takes 0.4 s, a migration many seconds.
const (
	firstLook = 50 * time.Millisecond
	slowLook  = 500 * time.Millisecond
	logPage   = 500
	logPages  = 20
	logTail   = 10
)

// worker is a PVE task that is followed.
type worker struct {
	upid   string
	action string
	kind   ha.GuestKind
	id     ha.VMID
}

// taskType reads the type from "UPID:node:pid:pstart:starttime:type:id:user:", and checks that the worker is here.
func (d *Driver) taskType(upid string) (string, error) {
	f := strings.Split(upid, ":")
	if len(f) < 8 || f[0] != "UPID" {
		return "", fmt.Errorf("PVE answered %q where a task's UPID belongs", upid)
	}
	if ha.NodeName(f[1]) != d.node {
		return "", fmt.Errorf("PVE runs task %s on %s; the configured address is not %s's own API", upid, f[1], d.node)
	}
	return f[5], nil
}

// taskStatus is a task's state. A running one has no exit status.
type taskStatus struct {
	Status     pve.Word `json:"status"`
	ExitStatus pve.Word `json:"exitstatus"`
}

// follow waits for a worker's end. nil: it ended well, with or without warnings. *TaskError: it ended badly.
// *StillRunningError: ctx ended first, or PVE would not say. A pause in PVE's answers (its daemons restart at updates)
// does not end the waiting: workers outlive them.
func (d *Driver) follow(ctx context.Context, w worker, progress func(string)) error {
	lines, unsure := 0, 0
	for pause := firstLook; ; pause = min(2*pause, slowLook) {
		var status taskStatus
		err := d.get(ctx, d.nodePath("/tasks/%s/status", url.PathEscape(w.upid)), &status)
		exit := string(status.ExitStatus)
		switch {
		case err != nil && isNoSuchTask(err):
			return d.taskError(ctx, w, "no such task: its log is lost")
		case err != nil && final(err):
			return d.stillRunning(w.kind, w.id, w.action, w.upid, err)
		case err == nil && status.Status == "stopped" && exit != "" && exit != "unexpected status":
			d.report(ctx, w, progress, lines)
			return d.verdict(ctx, w, exit)
		case err == nil && status.Status == "stopped":
			// Killed, or its last line is not on disk yet: believe it when it says so again.
			if unsure++; unsure > 2 {
				return d.taskError(ctx, w, "unexpected status: the worker was killed")
			}
		}
		lines = d.report(ctx, w, progress, lines)
		if waited := d.sleep(ctx, pause); waited != nil {
			return d.stillRunning(w.kind, w.id, w.action, w.upid, waited)
		}
	}
}

// verdict reads an exit status.
func (d *Driver) verdict(ctx context.Context, w worker, exit string) error {
	if exit == "OK" || strings.HasPrefix(exit, "WARNINGS: ") {
		if exit != "OK" {
			d.log.WithField("guest", int(w.id)).Warnf("%s of %s ended with %s, see task %s",
				w.action, w.kind.Label(w.id), strings.ToLower(exit), w.upid)
		}
		return nil
	}
	return d.taskError(ctx, w, exit)
}

func (d *Driver) taskError(ctx context.Context, w worker, exit string) error {
	return &TaskError{UPID: w.upid, Action: w.action, Guest: w.kind.Label(w.id), Node: d.node,
		ExitStatus: exit, Log: d.logTail(ctx, w.upid)}
}

func (d *Driver) stillRunning(kind ha.GuestKind, id ha.VMID, action, upid string, why error) error {
	return &StillRunningError{UPID: upid, Action: action, Guest: kind.Label(id), Node: d.node, Err: why}
}

// isNoSuchTask: PVE does not know the UPID (400).
func isNoSuchTask(err error) bool {
	var s *StatusError
	return errors.As(err, &s) && s.Code == http.StatusBadRequest && strings.Contains(s.Fields["upid"], "no such task")
}

// final says whether asking again is useless.
func final(err error) bool {
	var s *StatusError
	return errors.As(err, &s) && s.Code >= 400 && s.Code < 500
}

// logLines reads a task's log from a line on.
func (d *Driver) logLines(ctx context.Context, upid string, start int) ([]string, error) {
	var rows []struct {
		Line pve.Number `json:"n"`
		Text pve.Word   `json:"t"`
	}
	path := d.nodePath("/tasks/%s/log?start=%d&limit=%d", url.PathEscape(upid), start, logPage)
	if err := d.get(ctx, path, &rows); err != nil {
		return nil, err
	}
	lines := make([]string, 0, len(rows))
	for _, r := range rows {
		if r.Text != "no content" { // PVE's word for an empty log or page
			lines = append(lines, string(r.Text))
		}
	}
	return lines, nil
}

// logTail returns the last lines of a task's log; nothing when it cannot be read, because the exit status has told.
func (d *Driver) logTail(ctx context.Context, upid string) []string {
	var tail []string
	for page := range logPages {
		lines, err := d.logLines(ctx, upid, page*logPage)
		if err != nil {
			d.log.WithError(err).Debugf("the log of task %s cannot be read", upid)
			break
		}
		tail = append(tail, lines...)
		tail = tail[max(0, len(tail)-logTail):]
		if len(lines) < logPage {
			break
		}
	}
	return tail
}

// report hands new log lines to progress and returns how many have been handed over.
func (d *Driver) report(ctx context.Context, w worker, progress func(string), done int) int {
	if progress == nil {
		return done
	}
	lines, err := d.logLines(ctx, w.upid, done)
	if err != nil {
		return done
	}
	for _, line := range lines {
		progress(line)
	}
	return done + len(lines)
}

// taskRow is a task in the node's list. A running one has no end and the status RUNNING, or none.
type taskRow struct {
	UPID    pve.Word   `json:"upid"`
	Type    pve.Word   `json:"type"`
	ID      pve.Word   `json:"id"`
	User    pve.Word   `json:"user"`
	TokenID pve.Word   `json:"tokenid"`
	Status  pve.Word   `json:"status"`
	Start   pve.Number `json:"starttime"`
	End     pve.Number `json:"endtime"`
}

// tasks lists tasks of this node. The query must name the source: PVE's default leaves running ones out.
func (d *Driver) tasks(ctx context.Context, query string) ([]taskRow, error) {
	var rows []taskRow
	err := d.get(ctx, d.nodePath("/tasks?%s", query), &rows)
	return rows, err
}

func (r taskRow) running() bool { return r.Status == "" || r.Status == "RUNNING" || !r.End.Set }

func (r taskRow) of(id ha.VMID) bool { return string(r.ID) == strconv.Itoa(int(id)) }

func (r taskRow) good() bool {
	return r.running() || r.Status == "OK" || strings.HasPrefix(string(r.Status), "WARNINGS: ")
}

// who is the user or token that started the task.
func (r taskRow) who() string {
	if r.TokenID != "" && !strings.Contains(string(r.User), "!") {
		return string(r.User) + "!" + string(r.TokenID)
	}
	return string(r.User)
}
