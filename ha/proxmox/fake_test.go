package proxmox

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSecret = "5ec4e7-never-to-be-seen"

// answer is one HTTP answer, sent raw: PVE's reasons are its own words.
type answer struct {
	code   int
	reason string
	body   string
	before func() // runs before the answer is sent
	drop   bool   // close the connection instead
	hang   bool   // answer nothing until the client gives up
	cut    int    // bytes of the body that are announced and do not come
}

func ok(data string) answer { return answer{code: 200, reason: "OK", body: `{"data":` + data + `}`} }

func fails(reason string) answer {
	return answer{code: 500, reason: reason, body: fmt.Sprintf(`{"message":"%s\n","data":null}`, reason)}
}

// fakePVE answers from a table: "METHOD /path" (query left out) to answers; the last one repeats.
type fakePVE struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string][]answer
	all     *answer  // if set, the answer to everything
	asked   []string // "METHOD /path?query body"
	kept    int      // requests that change something on a connection that is to be kept
}

func newFakePVE(t *testing.T) *fakePVE {
	t.Helper()
	f := &fakePVE{answers: map[string][]answer{"GET /access/permissions": {ok(fullToken + "}")}}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.Config.ErrorLog = nil
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

func (f *fakePVE) on(request string, answers ...answer) *fakePVE {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[request] = answers
	return f
}

func (f *fakePVE) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.Path, apiPrefix)
	a := f.next(r, path, string(body))
	if a.before != nil {
		a.before()
	}
	if a.hang {
		<-r.Context().Done()
		return
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()
	if !a.drop {
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: application/json;charset=UTF-8\r\n"+
			"Content-Length: %d\r\nConnection: close\r\n\r\n%s", a.code, a.reason, len(a.body)+a.cut, a.body)
	}
}

func (f *fakePVE) next(r *http.Request, path, body string) answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := r.Method + " " + path
	if r.URL.RawQuery != "" {
		line += "?" + r.URL.RawQuery
	}
	f.asked = append(f.asked, strings.TrimSpace(line+" "+body))
	if r.Method != http.MethodGet && !r.Close {
		f.kept++
	}
	if r.Header.Get("Authorization") != "PVEAPIToken=bascule@pve!n1="+testSecret {
		return answer{code: 401, reason: "No ticket"}
	}
	if f.all != nil {
		return *f.all
	}
	for _, key := range []string{r.Method + " " + path + "?" + r.URL.RawQuery, r.Method + " " + path} {
		if left := f.answers[key]; len(left) > 0 {
			if len(left) > 1 {
				f.answers[key] = left[1:]
			}
			return left[0]
		}
	}
	reason := fmt.Sprintf("Method '%s %s' not implemented", r.Method, path)
	return answer{code: 501, reason: reason, body: fmt.Sprintf(`{"message":%q,"data":null}`, reason)}
}

// count says how many requests began so.
func (f *fakePVE) count(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, line := range f.asked {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

// config is a driver's configuration for this server.
func (f *fakePVE) config(t *testing.T, tree Tree) Config {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{Node: "n1", URL: f.URL, ServerName: "example.com", CAFile: ca, TokenID: "bascule@pve!n1",
		TokenSecret: testSecret, Tree: tree, HostRoot: t.TempDir(),
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

// driver is a driver of node n1 whose waits take no time.
func (f *fakePVE) driver(t *testing.T, tree Tree, change ...func(*Config)) *Driver {
	t.Helper()
	cfg := f.config(t, tree)
	for _, c := range change {
		c(&cfg)
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

const membersN1 = `{ "nodename": "n1", "version": 8,
"cluster": { "name": "feas", "version": 3, "nodes": 3, "quorate": 1 },
"nodelist": {
  "n2": { "id": 2, "online": 1, "ip": "10.99.0.2"},
  "n1": { "id": 1, "online": 1, "ip": "10.99.0.1"},
  "n3": { "id": 3, "online": 0, "ip": "10.99.0.3"}
  }
}`

// fakeTree behaves like pmxcfs where it matters here: one config per VMID, silent overwriting of another VMID's file,
// errnos on demand.
type fakeTree struct {
	mu     sync.Mutex
	files  map[string]string
	errs   map[string][]error // "op name" → errors for the next calls
	calls  []string
	onCall func(op, name string)
	block  func(ctx context.Context) error // of the next rename
}

func newTree(files map[string]string) *fakeTree {
	all := map[string]string{".members": membersN1, "nodes/n1/qemu-server/.keep": "", "nodes/n1/lxc/.keep": ""}
	for name, data := range files {
		all[name] = data
	}
	return &fakeTree{files: all, errs: make(map[string][]error)}
}

func (f *fakeTree) fail(op, name string, errs ...error) *fakeTree {
	f.errs[op+" "+name] = errs
	return f
}

// begin records the call and gives the error that is planned for it.
func (f *fakeTree) begin(op, name string) error {
	if f.onCall != nil {
		f.onCall(op, name)
	}
	f.calls = append(f.calls, op+" "+name)
	key := op + " " + name
	if planned := f.errs[key]; len(planned) > 0 {
		f.errs[key] = planned[1:]
		if planned[0] != nil {
			return pathError(op, name, planned[0])
		}
	}
	return nil
}

func (f *fakeTree) ReadFile(_ context.Context, name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("read", name); err != nil {
		return nil, err
	}
	data, found := f.files[name]
	if !found {
		return nil, pathError("open", name, syscall.ENOENT)
	}
	return []byte(data), nil
}

func (f *fakeTree) ReadDir(_ context.Context, name string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("readdir", name); err != nil {
		return nil, err
	}
	var names []string
	for file := range f.files {
		if dir, base := filepath.Split(file); dir == name+"/" {
			names = append(names, base)
		}
	}
	if names == nil {
		return nil, pathError("open", name, syscall.ENOENT)
	}
	slices.Sort(names)
	return names, nil
}

func (f *fakeTree) Exists(_ context.Context, name string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("stat", name); err != nil {
		return false, err
	}
	_, found := f.files[name]
	return found, nil
}

func (f *fakeTree) Rename(ctx context.Context, oldName, newName string) error {
	f.mu.Lock()
	block := f.block
	f.block = nil
	f.mu.Unlock()
	if block != nil {
		if err := block(ctx); err != nil {
			return pathError("rename", oldName, err)
		}
	}
	return f.renameNow(oldName, newName)
}

func (f *fakeTree) renameNow(oldName, newName string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("rename", oldName); err != nil {
		return err
	}
	data, found := f.files[oldName]
	if !found {
		return pathError("rename", oldName, syscall.ENOENT)
	}
	for name := range f.files {
		if filepath.Base(name) == filepath.Base(newName) && name != oldName && name != newName {
			return pathError("rename", oldName, syscall.EEXIST)
		}
	}
	delete(f.files, oldName)
	f.files[newName] = data
	return nil
}

func (f *fakeTree) WriteFile(_ context.Context, name string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("write", name); err != nil {
		return err
	}
	f.files[name] = string(data)
	return nil
}

func (f *fakeTree) get(name string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, found := f.files[name]
	return data, found
}
