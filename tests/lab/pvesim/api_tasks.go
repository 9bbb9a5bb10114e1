package pvesim

import (
	"bytes"
	"os"
	"slices"
	"strings"
)

func apiTasks(q *call) (any, error) {
	active, archive := q.n.tasks.newestFirst()
	var list []*task
	source := q.params["source"]
	if source == "active" || source == "all" {
		list = append(list, active...)
	}
	if source != "active" {
		list = append(list, archive...)
	}
	rows, total := []object{}, 0
	start, limit := intParam(q.params, "start", 0), intParam(q.params, "limit", 50)
	for _, t := range list {
		if !q.selects(t) {
			continue
		}
		total++
		if total > start && (limit == 0 || len(rows) < limit) {
			rows = append(rows, t.listRow())
		}
	}
	if total == 0 {
		return rows, nil // a total of zero is left out
	}
	return result{data: rows, total: &total}, nil
}

func (q *call) selects(t *task) bool {
	p := q.params
	if !q.who.has("Sys.Audit") && !t.upid.ownedBy(q.who) {
		return false
	}
	if v, ok := p["vmid"]; ok && v != t.upid.id {
		return false
	}
	if v, ok := p["typefilter"]; ok && !strings.Contains(t.upid.kind, v) {
		return false
	}
	if v, ok := p["userfilter"]; ok && !strings.Contains(t.upid.user, v) {
		return false
	}
	if t.upid.start < int64(intParam(p, "since", 0)) {
		return false
	}
	if v := intParam(p, "until", 0); v != 0 && t.upid.start > int64(v) {
		return false
	}
	if v, ok := p["statusfilter"]; ok && !slices.ContainsFunc(splitList(v), func(want string) bool { return t.outcome() == strings.ToLower(want) }) {
		return false
	}
	failed := !t.running() && t.status != "OK"
	return !q.flag("errors") || failed
}

// outcome sorts exit statuses as the list's filter does.
func (t *task) outcome() string {
	switch {
	case t.running():
		return "running"
	case t.status == "OK":
		return "ok"
	case t.status == "unexpected status":
		return "unknown"
	case strings.HasPrefix(t.status, "WARNINGS: "):
		return "warning"
	}
	return "error"
}

// task finds the task a path names, with the checks that the task calls share.
func (q *call) task(priv string) (*task, *apiError) {
	u, ok := parseUPID(q.path["upid"])
	if !ok {
		return nil, badParam("upid", "unable to parse worker upid")
	}
	if u.node != q.n.Name {
		return nil, badParam("upid", "no such task")
	}
	if !u.ownedBy(q.who) && !q.who.has(priv) {
		return nil, forbidden("/nodes/"+q.n.Name, priv)
	}
	return q.n.tasks.find(q.path["upid"]), nil
}

func apiTaskStatus(q *call) (any, error) {
	t, err := q.task("Sys.Audit")
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, badParam("upid", "no such task")
	}
	row := t.upid.row()
	row["status"] = "running"
	if !t.running() {
		row["status"], row["exitstatus"] = "stopped", t.status
	}
	return row, nil
}

func apiTaskLog(q *call) (any, error) {
	t, refused := q.task("Sys.Audit")
	if refused != nil {
		return nil, refused
	}
	one := 1
	single := func(text string) (any, error) {
		return result{data: []object{{"n": 1, "t": text}}, total: &one}, nil
	}
	if t == nil {
		return single("unable to open file - No such file or directory")
	}
	data, err := os.ReadFile(q.n.tasks.logPath(t.upid))
	if err != nil {
		return single("unable to open file - No such file or directory")
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return single("no content")
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	total, rows := len(lines), []object{}
	start, limit := intParam(q.params, "start", 0), intParam(q.params, "limit", 50)
	for i := start; i < total && (limit == 0 || len(rows) < limit); i++ {
		rows = append(rows, object{"n": i + 1, "t": lines[i]})
	}
	return result{data: rows, total: &total}, nil
}
