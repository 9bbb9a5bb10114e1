package proxmox

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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
	var waits atomic.Int32
	return Config{Node: "n1", URL: f.URL, ServerName: "example.com", CAFile: ca, TokenID: "bascule@pve!n1",
		TokenSecret: testSecret, Tree: tree, HostRoot: t.TempDir(),
		Sleep: func(ctx context.Context, _ time.Duration) error {
			if waits.Add(1) > 200 { // no test waits so often: a driver that waits for ever fails instead of hanging
				return errors.New("waited two hundred times")
			}
			return ctx.Err()
		}}
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
