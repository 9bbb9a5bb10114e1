package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"bascule/ha"
	"bascule/ha/waittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var fencing = ha.Event{
	Transition: ha.Transition{Subject: "node node2", Node: "node2", From: "suspect", To: "fencing", Reason: `lease expired; "quoted" $(touch /tmp/x)`},
	At:         time.Date(2026, 8, 3, 14, 30, 0, 0, time.UTC), Term: 42, By: "node1",
}

// logged is a log kept in memory.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newLog() (*logged, logrus.FieldLogger) {
	l, log := &logged{}, logrus.New()
	log.SetOutput(l)
	return l, log
}

// start runs a notifier until the test's end.
func start(t *testing.T, c Config) *Notifier {
	t.Helper()
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); n.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return n
}

// hook is a receiver of webhooks that answers with the given codes in turn, then 200.
type hook struct {
	*httptest.Server
	got   chan []byte
	codes []int
}

func newHook(t *testing.T, codes ...int) *hook {
	h := &hook{got: make(chan []byte, 100), codes: codes}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		code := http.StatusOK
		if len(h.codes) > 0 {
			code, h.codes = h.codes[0], h.codes[1:]
		}
		if code/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(code)
		h.got <- b
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) secret() Secret { return Secret(h.URL + "/services/T0KEN?key=S3CRET") }

func receive(t *testing.T, c <-chan []byte) Message {
	t.Helper()
	select {
	case b := <-c:
		var m Message
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		return m
	case <-time.After(waittest.Hang):
		t.Fatal("nothing arrived")
	}
	panic("unreachable")
}

func TestWebhookGetsTheMessage(t *testing.T) {
	h := newHook(t)
	n := start(t, Config{Cluster: "lan", WebhookURL: h.secret(), HTTP: h.Client()})
	n.Notify(ha.Event{Transition: ha.Transition{Subject: "node node2", Node: "node2", From: "online", To: "suspect"}}) // nobody's business
	n.Notify(fencing)
	want := Message{Version: 1, Cluster: "lan", Severity: Critical, Kind: "node-fencing", Text: Text(fencing.Transition), Subject: "node node2", Node: "node2",
		From: "suspect", To: "fencing", Reason: fencing.Reason, At: fencing.At, Term: 42, By: "node1"}
	if d := cmp.Diff(want, receive(t, h.got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestWebhookTriesAgain: with growing pauses, as long as it may help; the secret shows nowhere.
func TestWebhookTriesAgain(t *testing.T) {
	for _, c := range []struct {
		name     string
		codes    []int
		attempts int
		waits    []time.Duration
		logs     string // "" = delivered
	}{
		{"at once", nil, 1, nil, ""},
		{"second time", []int{503}, 2, backoff[:1], ""},
		{"told to wait", []int{429, 500, 408}, 4, backoff[:3], ""},
		{"never", []int{500, 500, 500, 500, 500, 500, 500}, 6, backoff, "given up after 6 attempts: answered 500"},
		{"refused", []int{404}, 1, nil, "refused with 404"},
		{"redirected", []int{307}, 1, nil, "refused with 307"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHook(t, c.codes...)
			buf, log := newLog()
			var mu sync.Mutex
			var waits []time.Duration
			slept := func(_ context.Context, d time.Duration) error {
				mu.Lock()
				defer mu.Unlock()
				waits = append(waits, d)
				return nil
			}
			n, err := New(Config{WebhookURL: h.secret(), Log: log, Sleep: slept})
			if err != nil {
				t.Fatal(err)
			}
			o := n.outlets[0]
			err = o.deliver(t.Context(), []byte("{}"))
			if (err != nil) != (c.logs != "") || (err != nil && !strings.Contains(err.Error(), c.logs)) {
				t.Errorf("got %v, want %q", err, c.logs)
			}
			if len(h.got) != c.attempts || !cmp.Equal(waits, c.waits) {
				t.Errorf("%d attempts with pauses %v, want %d with %v", len(h.got), waits, c.attempts, c.waits)
			}
			leaks(t, fmt.Sprint(err)+buf.String())
			o.receiver.(*webhook).client.CloseIdleConnections()
		})
	}
}

func leaks(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, "T0KEN") || strings.Contains(text, "S3CRET") {
		t.Errorf("the webhook's secret leaks: %s", text)
	}
}

// TestDeadWebhookLeaksNothing: the transport's own errors quote URLs.
func TestDeadWebhookLeaksNothing(t *testing.T) {
	h := newHook(t)
	url := h.secret()
	h.Close()
	buf, log := newLog()
	tries := make(chan struct{}, 100)
	n := start(t, Config{WebhookURL: url, Log: log, Sleep: func(ctx context.Context, d time.Duration) error {
		tries <- struct{}{}
		return ctx.Err()
	}})
	n.Notify(fencing)
	for range backoff {
		<-tries
	}
	waittest.Until(t, waittest.Hang, "the notifier gives up", func() bool { return strings.Contains(buf.String(), "given up after 6 attempts") })
	leaks(t, buf.String())
	if out := fmt.Sprintf("%v %+v %#v %s", url, Config{WebhookURL: url}, Config{WebhookURL: url}, url); strings.Contains(out, "T0KEN") {
		t.Errorf("printing leaks: %s", out)
	}
	if b, err := json.Marshal(Config{WebhookURL: url}.WebhookURL); err != nil || strings.Contains(string(b), "T0KEN") {
		t.Errorf("encoding leaks: %s, %v", b, err)
	}
}

func TestReadWebhookURL(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	if got, err := ReadWebhookURL(write("good", "https://chat.example/T0KEN\n", 0o600)); err != nil || string(got) != "https://chat.example/T0KEN" {
		t.Errorf("%q, %v", string(got), err)
	}
	for path, want := range map[string]string{
		write("open", "https://chat.example/T0KEN", 0o644): "chmod 600",
		write("junk", "T0KEN", 0o600):                      "not of the form",
		write("ftp", "ftp://x/T0KEN", 0o600):               "not of the form",
		write("odd", "https://x\x7f/T0KEN", 0o600):         "not of the form",
		filepath.Join(dir, "absent"):                       "no such file",
		dir:                                                "no regular file",
	} {
		_, err := ReadWebhookURL(path)
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		leaks(t, fmt.Sprint(err))
	}
}

// script writes an executable.
func script(t *testing.T, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "alert.sh")
	if err := os.WriteFile(p, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCommandGetsTheMessage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	// Renamed when complete, so that the test never reads a half.
	n := start(t, Config{Cluster: "lan", Command: []string{script(t, `echo "$2" >"$1.args"; cat >"$1.part"; mv "$1.part" "$1"`), out, "$(id); two words"}})
	n.Notify(fencing)
	waittest.Until(t, waittest.Hang, "the command has run", func() bool { _, err := os.Stat(out); return err == nil })
	b, err := os.ReadFile(out)
	var m Message
	if err != nil || json.Unmarshal(b, &m) != nil || m.Reason != fencing.Reason || m.Severity != Critical || m.Cluster != "lan" {
		t.Errorf("%v: %s", err, b)
	}
	if args, _ := os.ReadFile(out + ".args"); string(args) != "$(id); two words\n" {
		t.Errorf("a shell has touched the arguments: %q", args)
	}
}

func TestFailingCommandIsQuoted(t *testing.T) {
	c := &command{argv: []string{script(t, "cat >/dev/null; echo no mail server >&2; exit 3")}, timeout: waittest.Hang}
	if err := c.deliver(t.Context(), []byte("{}")); err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no mail server") {
		t.Errorf("%v", err)
	}
	c.argv = []string{"/does/not/exist"}
	if err := c.deliver(t.Context(), []byte("{}")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestHangingCommandIsKilled with the children that it left.
func TestHangingCommandIsKilled(t *testing.T) {
	var b []byte
	limit := 500 * time.Millisecond
	waittest.BestOf(t, func() string { // by then it must have begun
		pid := filepath.Join(t.TempDir(), "pid")
		c := &command{argv: []string{script(t, `sleep 1000 & echo $! >"$1.part"; mv "$1.part" "$1"; wait`), pid}, timeout: limit}
		err := c.deliver(t.Context(), []byte("{}"))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("did not end within %v and was killed", limit)) {
			t.Errorf("%v", err)
		}
		limit *= 2
		if b, err = os.ReadFile(pid); err != nil {
			return err.Error()
		}
		return ""
	})
	waittest.Until(t, waittest.Hang, "the process has ended", func() bool { // gone, or a zombie that nobody has collected yet
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// TestNotifyNeverBlocks: a receiver that hangs costs messages, counted and logged, and holds up no other.
func TestNotifyNeverBlocks(t *testing.T) {
	buf, log := newLog()
	h := newHook(t)
	n, err := New(Config{WebhookURL: h.secret(), HTTP: h.Client(), Command: []string{"/bin/true"}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	for range queueSize + 3 { // nothing runs: both queues fill
		n.Notify(fencing)
	}
	if got := n.Dropped(); got != 6 {
		t.Errorf("%d dropped, want 3 for each of 2 receivers", got)
	}
	if !strings.Contains(buf.String(), "queue is full") || !strings.Contains(buf.String(), "command /bin/true") {
		t.Errorf("not logged: %s", buf)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n.Run(ctx)
	if want := int64(6 + 2*queueSize); n.Dropped() != want || !strings.Contains(buf.String(), "the daemon ends") {
		t.Errorf("%d dropped at the end, want %d", n.Dropped(), want)
	}
	leaks(t, buf.String())
}

// TestRecoveredGuestIsTold although a plain start is not.
func TestRecoveredGuestIsTold(t *testing.T) {
	h := newHook(t)
	n := start(t, Config{WebhookURL: h.secret(), HTTP: h.Client()})
	guest := func(id ha.VMID, from, to ha.GuestState) {
		n.Notify(ha.Event{Transition: ha.Transition{Subject: fmt.Sprint("guest ", id), Guest: id, Node: "node3", From: string(from), To: string(to)}})
	}
	guest(101, ha.GuestFence, ha.GuestRecovery)
	guest(102, ha.GuestStarting, ha.GuestStarted) // never was in recovery
	guest(101, ha.GuestRecovery, ha.GuestStarting)
	guest(101, ha.GuestStarting, ha.GuestStarted)
	guest(101, ha.GuestStarting, ha.GuestStarted) // told already
	n.Notify(fencing)
	var got []string
	for range 4 {
		m := receive(t, h.got)
		got = append(got, fmt.Sprintf("%d %s", m.Guest, m.To))
	}
	if want := "101 recovery|101 starting|101 started|0 fencing"; strings.Join(got, "|") != want {
		t.Errorf("got %s, want %s", strings.Join(got, "|"), want)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []Config{{Command: []string{"mail"}}, {WebhookURL: "T0KEN"}} {
		_, err := New(c)
		if !errors.Is(err, ErrConfig) {
			t.Errorf("%v", err)
		}
		leaks(t, fmt.Sprint(err))
	}
	n, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	n.Notify(fencing) // nobody to tell: no complaint
	if n.Dropped() != 0 {
		t.Error("counted a drop without a receiver")
	}
}
