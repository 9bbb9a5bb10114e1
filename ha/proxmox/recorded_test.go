package proxmox

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"bascule/ha"
)

// recording is one request and answer taken from a real Proxmox VE.
type recording struct {
	name    string
	Request struct {
		Method string `json:"method"`
		Path   string `json:"path"`
	} `json:"request"`
	Response struct {
		Status *int            `json:"status"`
		Reason string          `json:"reason"`
		Body   json.RawMessage `json:"body"`
	} `json:"response"`
}

// recordingFiles lists them; none where the folder is missing.
func recordingFiles() (root string, files []string) {
	root = os.Getenv("BASCULE_SHARED")
	if root == "" {
		root = "../../../shared"
	}
	files, _ = filepath.Glob(filepath.Join(root, "pve/recorded/*.json"))
	return root, files
}

// recordings reads all of them, or skips the test.
func recordings(t *testing.T) []recording {
	t.Helper()
	root, files := recordingFiles()
	if len(files) == 0 {
		t.Skipf("no recordings of Proxmox VE under %s; set BASCULE_SHARED", root)
	}
	var all []recording
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := recording{name: strings.TrimSuffix(filepath.Base(file), ".json")}
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if r.Response.Status == nil || r.Request.Method == "CLI" {
			continue
		}
		r.Request.Path, _, _ = strings.Cut(strings.TrimPrefix(r.Request.Path, apiPrefix), "?")
		all = append(all, r)
	}
	return all
}

func (r recording) answer() answer {
	body := string(r.Response.Body)
	if body == "null" {
		body = ""
	}
	return answer{code: *r.Response.Status, reason: r.Response.Reason, body: body}
}

var guestPath = regexp.MustCompile(`^/nodes/(n\d)/(qemu|lxc)/(\d+)/(status/current|status/start|status/stop|status/shutdown|migrate)$`)

// guest reads node, kind, VMID and action from a path about a guest.
func (r recording) guest() (ha.NodeName, ha.GuestKind, ha.VMID, string, bool) {
	m := guestPath.FindStringSubmatch(r.Request.Path)
	if m == nil {
		return "", "", 0, "", false
	}
	id, err := strconv.Atoi(m[3])
	return ha.NodeName(m[1]), ha.GuestKind(m[2]), ha.VMID(id), m[4], err == nil
}

func (r recording) data(out any) error {
	return json.Unmarshal(r.Response.Body, &struct {
		Data any `json:"data"`
	}{out})
}

func TestRecordedErrorsKeepTheirWords(t *testing.T) {
	n := 0
	for _, r := range recordings(t) {
		if *r.Response.Status < 300 {
			continue
		}
		n++
		f := newFakePVE(t).on("GET /nodes/n1/status", r.answer())
		var out any
		err := f.driver(t, newTree(nil)).get(context.Background(), "/nodes/n1/status", &out)
		var status *StatusError
		if !errors.As(err, &status) || status.Code != *r.Response.Status || status.Message == "" {
			t.Errorf("%s: got %v", r.name, err)
		}
	}
	t.Logf("%d answers", n)
}

func TestRecordedStatusCurrent(t *testing.T) {
	n := 0
	for _, r := range recordings(t) {
		node, kind, id, action, isGuest := r.guest()
		if !isGuest || action != "status/current" {
			continue
		}
		n++
		f := newFakePVE(t).on("GET "+r.Request.Path, r.answer())
		got, err := f.driver(t, newTree(map[string]string{".members": "{}"}), func(c *Config) { c.Node = node }).
			Running(context.Background(), id, kind)
		var said struct {
			Status string `json:"status"`
		}
		switch {
		case *r.Response.Status == 200:
			if e := r.data(&said); e != nil || err != nil || got != (said.Status == "running") {
				t.Errorf("%s: got %t, %v; %v", r.name, got, err, e)
			}
		case strings.Contains(r.Response.Reason, "does not exist"):
			if !errors.Is(err, ErrConfigGone) {
				t.Errorf("%s: got %v, want ErrConfigGone", r.name, err)
			}
		case err == nil:
			t.Errorf("%s: no error", r.name)
		}
	}
	t.Logf("%d answers", n)
}

// Every recorded command is replayed with the end of its task, where that was recorded too.
func TestRecordedCommands(t *testing.T) {
	all := recordings(t)
	ends := make(map[string]answer)
	for _, r := range all {
		var s taskStatus
		if strings.HasSuffix(r.Request.Path, "/status") && *r.Response.Status == 200 && r.data(&s) == nil && s.ExitStatus != "" {
			ends[r.Request.Path] = r.answer()
		}
	}
	n := 0
	for _, r := range all {
		node, kind, id, action, isGuest := r.guest()
		if !isGuest || r.Request.Method != "POST" || action == "migrate" || id < 100 {
			continue
		}
		f := newFakePVE(t).on("POST "+r.Request.Path, r.answer())
		var upid string
		exit := taskStatus{}
		if *r.Response.Status == 200 {
			if err := r.data(&upid); err != nil {
				t.Fatal(err)
			}
			path := "/nodes/" + string(node) + "/tasks/" + upid
			end, known := ends[path+"/status"]
			if !known {
				continue
			}
			f.on("GET "+path+"/status", end).on("GET "+path+"/log", ok("[]"))
			if err := json.Unmarshal([]byte(end.body), &struct {
				Data any `json:"data"`
			}{&exit}); err != nil {
				t.Fatal(err)
			}
		}
		n++
		d := f.driver(t, newTree(nil), func(c *Config) { c.Node = node })
		err := d.carryOut(context.Background(), command{id: id, kind: kind, action: filepath.Base(action), path: action,
			already: kind.Label(id) + map[string]string{"status/start": " already running"}[action]}, nil)
		wantOK := exit.ExitStatus == "OK" || strings.Contains(string(exit.ExitStatus)+r.Response.Reason, "already running")
		managed := strings.Contains(upid, ":ha")
		if managed != errors.Is(err, ErrManagedByHA) || (!managed && wantOK != (err == nil)) {
			t.Errorf("%s (exit status %q): got %v", r.name, exit.ExitStatus, err)
		}
	}
	t.Logf("%d commands", n)
}

func TestRecordedListsAreUnderstood(t *testing.T) {
	n := 0
	for _, r := range recordings(t) {
		if *r.Response.Status != 200 || r.Request.Method != "GET" {
			continue
		}
		var err error
		switch {
		case regexp.MustCompile(`^/nodes/n\d/tasks$`).MatchString(r.Request.Path):
			var rows []taskRow
			if err = r.data(&rows); err == nil && strings.Contains(r.name, "running") != anyRunning(rows) &&
				r.name != "node_tasks_default_while_running" {
				t.Errorf("%s: running %t", r.name, anyRunning(rows))
			}
		case regexp.MustCompile(`^/nodes/n\d/storage$`).MatchString(r.Request.Path):
			var rows []storageRow
			err = r.data(&rows)
			for _, row := range rows {
				wantUsable := row.Name == "local" || !strings.Contains(r.name, "unmounted") && !strings.Contains(r.name, "disabled") ||
					row.Name == "only1"
				if row.Name == "" || row.usable() != wantUsable {
					t.Errorf("%s: %s usable %t", r.name, row.Name, row.usable())
				}
			}
		case regexp.MustCompile(`^/nodes/n\d/tasks/[^/]+/log$`).MatchString(r.Request.Path):
			f := newFakePVE(t).on("GET /nodes/n1/tasks/u/log", r.answer())
			_, err = f.driver(t, newTree(nil)).logLines(context.Background(), "u", 0)
		default:
			continue
		}
		n++
		if err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
	}
	t.Logf("%d lists", n)
}

func anyRunning(rows []taskRow) bool {
	for _, r := range rows {
		if r.running() {
			return true
		}
	}
	return false
}

func TestRecordedPrivileges(t *testing.T) {
	for _, r := range recordings(t) {
		if r.name != "token_permissions" && r.name != "access_permissions_root" {
			continue
		}
		f := newFakePVE(t).on("GET /access/permissions", r.answer())
		if err := f.driver(t, newTree(nil)).CheckPrivileges(context.Background()); err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}
