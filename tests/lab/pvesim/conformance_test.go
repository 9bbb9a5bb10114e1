package pvesim

import (
	"encoding/json"
	stdflag "flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The conformance test replays requests that were recorded from a real Proxmox cluster and compares the answers
// (compare_test.go). To cover more recordings, add their names to a group whose cluster is in the state they were
// recorded in, or write a new group with a prepare function. What is not replayed is listed in uncovered_test.go.

// replay is one recorded case.
type replay struct {
	name   string
	at     string // the node that is asked; default n1
	ticket string // instead of the recorded cookie
	json   string // the body, which the recording has not
	as     string // a token id to use instead of the recorded one, which then had other privileges
	save   string // keep the answer's UPID under this name and wait for the task's end
	// running: do not wait for it.
	running bool
	upid    string // put this saved UPID into the path
	before  func(*testLab, map[string]string)
	// free are keys that may differ in this case, with the reason beside it.
	free []string
}

type replayGroup struct {
	name    string
	options func(*Options)
	prepare func(*testLab)
	cases   []replay
}

func (l *testLab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *testLab) run(path string) {
	l.t.Helper()
	r, err := l.call("n1", l.ticket(), "POST", path, nil)
	id, ok := r.data().(string)
	if err != nil || !ok || l.wait(id) != "OK" {
		l.t.Fatalf("%s: %v %s", path, err, r.reason)
	}
}

func (l *testLab) broadcastAll() {
	for _, n := range l.order {
		l.Broadcast(n)
	}
}

// sharedDir holds what was recorded of a real Proxmox cluster, and its API's schema.
func sharedDir(t *testing.T) string {
	dir := "../../../../shared"
	if env := os.Getenv("BASCULE_SHARED"); env != "" {
		dir = env
	}
	dir = filepath.Join(dir, "pve")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("nothing recorded of a real Proxmox cluster: %v (set BASCULE_SHARED to the directory that has pve/)", err)
	}
	return dir
}

func recordedDir(t *testing.T) string { return filepath.Join(sharedDir(t), "recorded") }

type recording struct {
	Request struct {
		Method, Path string
		Headers      map[string]string
		Form         map[string]any
	}
	Response struct {
		Status  int
		Reason  string
		Headers map[string]string
		Body    any
	}
}

// printsResult makes the tests print a last line RESULT, for make pve-conformance.
var printsResult = stdflag.Bool("result", false, "print RESULT as the last line; fail if a replayed case did not match")

// printResult is the last thing that the tests do. It returns the exit status.
func printResult(status int) int {
	conformance.Lock()
	defer conformance.Unlock()
	matched := 0
	for _, ok := range conformance.matched {
		if ok {
			matched++
		}
	}
	fmt.Printf("RESULT recorded=%d covered=%d matched=%d schema_checked=%d\n", conformance.recorded, len(conformance.covered), matched, conformance.schemaChecked)
	if matched != len(conformance.covered) && status == 0 {
		return 1
	}
	return status
}

// covered and matched are the names of the recorded cases that were replayed, and of those that came out the same.
var conformance struct {
	sync.Mutex
	recorded         int
	covered, matched map[string]bool
	schemaChecked    int
}

// note says how one recorded case came out.
func note(name string, matched bool) {
	conformance.Lock()
	defer conformance.Unlock()
	if conformance.covered == nil {
		conformance.covered, conformance.matched = map[string]bool{}, map[string]bool{}
	}
	conformance.matched[name] = matched && (!conformance.covered[name] || conformance.matched[name]) // once wrong, always wrong
	conformance.covered[name] = true
}

func TestConformance(t *testing.T) {
	dir := recordedDir(t)
	for _, g := range slices.Concat(clusterGroups, vmGroups, ctGroups) {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			lab := recordedLab(t, g.options)
			if g.prepare != nil {
				g.prepare(lab)
			}
			saved := map[string]string{}
			for _, c := range g.cases {
				lab.replay(c, readRecording(t, dir, c.name), saved)
			}
		})
	}
}

func readRecording(t *testing.T, dir, name string) recording {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var rec recording
	if err := json.Unmarshal(data, &rec); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return rec
}

var upidInPath = regexp.MustCompile(`UPID:[^/]+:`)

// replay sends a recorded request again and compares the answers.
func (l *testLab) replay(c replay, rec recording, saved map[string]string) {
	l.t.Helper()
	if c.before != nil {
		c.before(l, saved)
	}
	path := strings.TrimPrefix(rec.Request.Path, "/api2/json")
	if c.upid != "" {
		path = upidInPath.ReplaceAllString(path, saved[c.upid])
		u, _ := parseUPID(saved[c.upid])
		path = regexp.MustCompile(`^/nodes/[^/]+`).ReplaceAllString(path, "/nodes/"+u.node)
	}
	at := c.at
	if at == "" {
		at = "n1"
	}
	form := url.Values(nil)
	if rec.Request.Form != nil {
		form = url.Values{}
		for k, v := range rec.Request.Form {
			form.Set(k, fmt.Sprint(v))
		}
	}
	began := time.Now()
	body := io.Reader(strings.NewReader(c.json))
	if c.json == "" {
		body = nil
	}
	if rec.Request.Form != nil {
		body = strings.NewReader(form.Encode())
	}
	got, err := l.send(at, l.headers(c, rec), rec.Request.Method, path, body)
	if err != nil {
		l.t.Errorf("%s: %v", c.name, err)
		note(c.name, false)
		return
	}
	problems := l.compare(c, rec, got, time.Since(began))
	for _, p := range problems {
		l.t.Errorf("%s: %s", c.name, p)
	}
	note(c.name, len(problems) == 0)
	if c.save != "" {
		saved[c.save], _ = got.data().(string)
		if !c.running {
			l.wait(saved[c.save])
		}
	}
}

func (l *testLab) compare(c replay, rec recording, got reply, took time.Duration) []string {
	want := rec.Response
	if got.status != want.Status || got.reason != want.Reason {
		return []string{fmt.Sprintf("%d %q, recorded %d %q", got.status, got.reason, want.Status, want.Reason)}
	}
	if least := l.leastDelay(want.Status, want.Reason); took < least {
		return []string{fmt.Sprintf("answered after %v, must take %v", took, least)}
	}
	var body any
	if got.body != nil {
		body = got.body
	}
	cmp := comparison{free: c.free}
	if wantBody, ok := want.Body.(map[string]any); ok && strings.Contains(rec.Request.Path, "/log") && !strings.Contains(rec.Request.Path, "/cluster/log") {
		list, _ := got.data().([]any)
		return append(cmp.log(list, wantBody["data"].([]any)), comparison{free: append(c.free, "data", "total")}.diff("", "", body, want.Body)...)
	}
	return cmp.diff("", "", body, want.Body)
}

// leastDelay is how long an answer of this kind takes at least, with the lab's shortened times. That these times are as
// recorded by default is what TestDelaysAreAsRecorded shows.
func (l *testLab) leastDelay(status int, reason string) time.Duration {
	switch {
	case status == 401:
		return l.opt.AuthFail
	case status >= 595 && reason == "No route to host":
		return min(l.opt.ProxyNoRoute, l.opt.ProxyNoRouteSoon)
	case status >= 595 && reason == "Connection timed out":
		return l.opt.ProxyBlackhole
	}
	return 0
}

// headers puts our own secrets where the recordings have placeholders.
func (l *testLab) headers(c replay, rec recording) http.Header {
	h := http.Header{}
	ticket, csrf := l.RootTicket()
	if c.ticket != "" {
		ticket = c.ticket
	}
	for k, v := range rec.Request.Headers {
		v = strings.ReplaceAll(strings.ReplaceAll(v, "<TICKET>", ticket), "<CSRF>", csrf)
		if id, ok := strings.CutSuffix(v, "=<TOKEN-SECRET>"); ok {
			id = strings.TrimPrefix(id, "PVEAPIToken=")
			if c.as != "" {
				id = c.as
			}
			v = "PVEAPIToken=" + id + "=" + l.secret(id)
		}
		h.Set(k, v)
	}
	return h
}

func (l *testLab) secret(id string) string {
	t, _ := l.auth.token(id)
	return t.Secret
}
