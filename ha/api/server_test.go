package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers on a unix socket and returns its client; the test's end ends both.
func serve(t *testing.T, f *apitest.Fake) (*api.Client, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := api.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	run(t, f, l)
	c := api.NewClient(path)
	t.Cleanup(c.Close)
	return c, path
}

func run(t *testing.T, f *apitest.Fake, l net.Listener) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- api.NewServer(f, nil).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestStatusOverUnixSocket(t *testing.T) {
	c, path := serve(t, apitest.NewFake(apitest.LyingBMC()))
	got, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(api.BuildStatus(apitest.LyingBMC()), got); d != "" {
		t.Errorf("the wire changes the status (-sent +received):\n%s", d)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != api.SocketMode {
		t.Errorf("socket mode %v (%v), want %v", info.Mode().Perm(), err, api.SocketMode)
	}
	v, err := c.Version(t.Context())
	if err != nil || v != (api.VersionInfo{Version: "0.1.0", Node: "node1", Cluster: "lan", Role: "agent"}) {
		t.Errorf("version %+v, %v", v, err)
	}
}

func TestRequests(t *testing.T) {
	for _, c := range []struct {
		name  string
		view  func() api.View
		kind  ha.RequestKind
		body  api.RequestBody
		inc   ha.Incarnation // of the stored request
		error string         // part of the refusal
	}{
		{"drain", apitest.Well, ha.RequestDrain, api.RequestBody{Node: "node2", By: "alice"}, "", ""},
		{"undrain", apitest.Draining, ha.RequestUndrain, api.RequestBody{Node: "node2", By: "alice"}, "", ""},
		{"fence", apitest.Well, ha.RequestFence, api.RequestBody{Node: "node2", By: "alice"}, apitest.Inc(2), ""},
		{"confirm-off of a node being fenced", apitest.LyingBMC, ha.RequestConfirmOff, api.RequestBody{Node: "node2", By: "alice"}, apitest.Inc(2), ""},
		{"confirm-off of a node known by its fencing only", func() api.View {
			v := apitest.LyingBMC()
			apitest.Edit(v.Snapshot.Nodes, "node2", func(n *ha.NodeRecord) { n.Incarnation = "" })
			apitest.Edit(v.Snapshot.Fences, "node2", func(f *ha.FenceRecord) { f.Incarnation = "being-fenced" })
			return v
		}, ha.RequestConfirmOff, api.RequestBody{Node: "node2", By: "alice"}, "being-fenced", ""},
		{"confirm-off of an online node", apitest.Well, ha.RequestConfirmOff, api.RequestBody{Node: "node2", By: "alice"}, "", "node2 is online: it is not off"},
		{"confirm-off of an online node by force", apitest.Well, ha.RequestConfirmOff, api.RequestBody{Node: "node2", By: "alice", Force: true}, apitest.Inc(2), ""},
		{"confirm-off of a suspect with a lease", func() api.View {
			v := apitest.Well()
			apitest.Edit(v.Snapshot.Nodes, "node2", func(n *ha.NodeRecord) { n.State = ha.NodeSuspect })
			return v
		}, ha.RequestConfirmOff, api.RequestBody{Node: "node2"}, "", "still holds its lease"},
		{"confirm-off of a node that left", func() api.View {
			v := apitest.Well()
			delete(v.Snapshot.Leases, "node2")
			apitest.Edit(v.Snapshot.Nodes, "node2", func(n *ha.NodeRecord) { n.State = ha.NodeOffline })
			return v
		}, ha.RequestConfirmOff, api.RequestBody{Node: "node2"}, "", "left in order"},
		{"confirm-off of a node that left, while guests wait for a rebuild", func() api.View {
			v := apitest.Well()
			n := v.Snapshot.Nodes["node2"]
			n.Rec.State = ha.NodeOffline
			v.Snapshot.Nodes["node2"] = n
			delete(v.Snapshot.Leases, "node2")
			for id, g := range v.Snapshot.Guests {
				g.Rec.State = ha.GuestFrozen
				v.Snapshot.Guests[id] = g
			}
			return v
		}, ha.RequestConfirmOff, api.RequestBody{Node: "node2", By: "alice"}, apitest.Inc(2), ""},
		{"confirm-test", apitest.Well, ha.RequestConfirmTest, api.RequestBody{Node: "node2", Device: "strip-2", By: "alice"}, apitest.Inc(2), ""},
		{"confirm-test without a device", apitest.Well, ha.RequestConfirmTest, api.RequestBody{Node: "node2"}, "", "names no device"},
		{"confirm-test of a node that is being fenced", apitest.LyingBMC, ha.RequestConfirmTest, api.RequestBody{Node: "node2", Device: "strip-2"}, "", "for a node that works"},
		{"confirm-off of nobody", apitest.Well, ha.RequestConfirmOff, api.RequestBody{Node: "node9", Force: true}, "", `knows no node "node9": name one of: node1, node2, node3`},
		{"confirm-off of a node without a life", func() api.View {
			v := apitest.Well()
			v.Members = append(v.Members, ha.Member{Name: "node4"})
			return v
		}, ha.RequestConfirmOff, api.RequestBody{Node: "node4", Force: true}, "", "never registered"},
		{"fence of one being fenced", apitest.LyingBMC, ha.RequestFence, api.RequestBody{Node: "node2"}, "", "being fenced already"},
		{"fence of one whose fencing waits", func() api.View {
			v := apitest.LyingBMC()
			apitest.Edit(v.Snapshot.Fences, "node2", func(f *ha.FenceRecord) { f.Held = "it waits for its turn" })
			return v
		}, ha.RequestFence, api.RequestBody{Node: "node2", By: "alice"}, apitest.Inc(2), ""},
		{"fence of the leader", apitest.Well, ha.RequestFence, api.RequestBody{Node: "node1"}, "", "cannot prove its own end"},
		{"drain of a witness", func() api.View {
			v := apitest.Well()
			v.Members = append(v.Members, ha.Member{Name: "w", Witness: true})
			return v
		}, ha.RequestDrain, api.RequestBody{Node: "w"}, "", "witness"},
		{"store away", apitest.TwoDead, ha.RequestDrain, api.RequestBody{Node: "node2"}, "", "was not recorded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := apitest.NewFake(c.view())
			client, _ := serve(t, f)
			a, err := client.Request(t.Context(), c.kind, c.body)
			if c.error != "" {
				var refused *api.Error
				if !errors.As(err, &refused) || !strings.Contains(refused.Error(), c.error) || refused.Do == "" {
					t.Fatalf("want a refusal with %q, got %v", c.error, err)
				}
				if want := map[bool]int{true: 503, false: 409}[c.name == "store away"]; refused.Code != want {
					t.Errorf("code %d, want %d", refused.Code, want)
				}
				if got := f.Requests(); len(got) != 0 {
					t.Errorf("refused and stored all the same: %+v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := f.Requests()
			if len(got) != 1 || got[0].ID != a.ID || got[0].Kind != c.kind || got[0].Node != c.body.Node || got[0].Incarnation != c.inc || got[0].At.IsZero() {
				t.Fatalf("stored %+v, answer %+v", got, a)
			}
			if proven := map[bool]string{true: "root on node1", false: fmt.Sprintf("uid %d on node1", os.Getuid())}[os.Getuid() == 0]; got[0].By != "alice ("+proven+")" {
				t.Errorf("by %q", got[0].By)
			}
		})
	}
}

func TestRequestIDsSortAndDiffer(t *testing.T) {
	f := apitest.NewFake(apitest.Well())
	c, _ := serve(t, f)
	var ids []string
	for range 20 {
		a, err := c.Request(t.Context(), ha.RequestDrain, api.RequestBody{Node: "node2"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("ids %v", ids)
	}
}

func TestStoreErrorsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		do   string
	}{
		{ha.ErrUnavailable, 503, "bring a majority"},
		{fmt.Errorf("commit: %w", ha.ErrAmbiguous), 503, "asking again does no harm"},
		{ha.ErrConflict, 409, "ask again"},
		{errors.New("odd"), 500, "journalctl"},
	} {
		f := apitest.NewFake(apitest.Well())
		f.Fail(c.err)
		client, _ := serve(t, f)
		_, err := client.Request(t.Context(), ha.RequestDrain, api.RequestBody{Node: "node2"})
		_, err2 := client.Events(t.Context(), api.EventQuery{})
		for _, e := range []error{err, err2} {
			var got *api.Error
			if !errors.As(e, &got) || got.Code != c.code || !strings.Contains(got.Do, c.do) || !strings.Contains(got.Message, c.err.Error()) {
				t.Errorf("%v: got %v", c.err, e)
			}
		}
	}
}

// TestBadRequests: wrong bodies, too long ones, control characters in names, unknown paths.
func TestBadRequests(t *testing.T) {
	f := apitest.NewFake(apitest.Well())
	h := api.NewServer(f, nil).Handler()
	for _, c := range []struct {
		method, path, body string
		code               int
	}{
		{"POST", "/v1/drain", "", 400},
		{"POST", "/v1/drain", "{}", 409},
		{"POST", "/v1/drain", `{"node":"node2","nodes":1}`, 400},
		{"POST", "/v1/drain", `{"node":"node2","by":"` + strings.Repeat("x", 8<<10) + `"}`, 400},
		{"GET", "/v1/drain", "", 404},
		{"GET", "/v1/nothing", "", 404},
		{"POST", "/v1/status", "", 404},
		{"GET", "/v1/events?limit=x", "", 400},
		{"GET", "/v1/events?tail=-1", "", 400},
		{"GET", "/v1/events?after=" + strings.Repeat("x", 300), "", 400},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		if w.Code != c.code || !strings.Contains(w.Body.String(), `"error"`) || !strings.Contains(w.Body.String(), `"do"`) {
			t.Errorf("%s %.40s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/v1/drain", strings.NewReader(`{"node":"node2","by":"al\u001b[31mice`+strings.Repeat("é", 100)+`"}`)))
	if got := f.Requests(); w.Code != http.StatusAccepted || len(got) != 1 || got[0].By != "al[31mice"+strings.Repeat("é", 55)+" (not known)" {
		t.Errorf("%d: %+v", w.Code, got)
	}
}

func TestListenUnixReplacesOnlyTheDead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, err := api.ListenUnix(path)
	if err != nil {
		t.Fatalf("a dead daemon's socket is in the way: %v", err)
	}
	if _, err := api.ListenUnix(path); err == nil || !strings.Contains(err.Error(), "answers there already") {
		t.Errorf("a living daemon's socket was replaced: %v", err)
	}
	l.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket left behind: %v", err)
	}
}

func TestNoAnswer(t *testing.T) {
	c := api.NewClient(filepath.Join(t.TempDir(), "none.sock"))
	_, err := c.Status(t.Context())
	if !errors.Is(err, api.ErrNoAnswer) || !strings.Contains(err.Error(), "systemctl status basculed") {
		t.Errorf("%v", err)
	}
	path := filepath.Join(t.TempDir(), "mute.sock")
	l, err := net.Listen("unix", path) // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	mute := api.NewClient(path)
	defer mute.Close()
	if _, err := mute.Status(ctx); !errors.Is(err, api.ErrNoAnswer) || strings.Contains(err.Error(), "http://") {
		t.Errorf("%v", err)
	}
}

// TestNoAPIThere: something answers that is no basculed.
func TestNoAPIThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		io.Copy(w, bytes.NewReader([]byte("<html>")))
	})}
	go srv.Serve(l)
	defer srv.Close()
	c := api.NewClient(path)
	defer c.Close()
	var got *api.Error
	if _, err := c.Status(t.Context()); !errors.As(err, &got) || !strings.Contains(got.Message, "418") {
		t.Errorf("%v", err)
	}
}
