package proxmox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goproxmox "github.com/luthermonson/go-proxmox"
	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"

	"bascule/ha"
)

// Answers that go-proxmox takes for success, or strips of their reason, are errors with PVE's own words.
func TestEveryBadCodeIsATypedErrorWithItsReason(t *testing.T) {
	for _, c := range []struct {
		answer
		want error
	}{
		{answer{code: 595, reason: "No route to host"}, ErrNoAnswer},
		{answer{code: 596, reason: "Connection timed out"}, ErrNoAnswer},
		{answer{code: 597, reason: "Broken pipe"}, ErrNoAnswer},
		{answer{code: 598, reason: "user aborted"}, ErrNoAnswer},
		{answer{code: 599, reason: "Too many redirections"}, ErrNoAnswer},
		{answer{code: 503, reason: "Service Unavailable"}, ErrNoAnswer},
		{answer{code: 404, reason: "Not Found"}, nil},
		{answer{code: 301, reason: "Moved Permanently"}, nil},
		{answer{code: 401, reason: "Authentication failed!"}, goproxmox.ErrNotAuthorized},
		{answer{code: 403, reason: "Permission check failed (/vms/100, VM.Audit)",
			body: `{"message":"Permission check failed (/vms/100, VM.Audit)\n","data":null}`}, goproxmox.ErrNotAuthorized},
		{answer{code: 500, reason: "cluster not ready - no quorum?",
			body: `{"message":"cluster not ready - no quorum?\n","data":null}`}, ErrNoQuorum},
		{answer{code: 501, reason: "Method 'GET /nodes/n1/qemu/100/status/current' not implemented"}, nil},
	} {
		t.Run(fmt.Sprint(c.code), func(t *testing.T) {
			f := newFakePVE(t).on("GET /nodes/n1/qemu/100/status/current", c.answer)
			_, err := f.driver(t, newTree(nil)).Running(context.Background(), 100, ha.QEMU)
			var status *StatusError
			if !errors.As(err, &status) || status.Code != c.code || status.Message != c.reason {
				t.Fatalf("got %v, want a StatusError %d %q", err, c.code, c.reason)
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v is not %v", err, c.want)
			}
			if !strings.Contains(err.Error(), "VM 100 on n1") {
				t.Errorf("%v does not name guest and node", err)
			}
		})
	}
}

func TestRefusedParametersAreNamed(t *testing.T) {
	f := newFakePVE(t).on("POST /nodes/n1/qemu/100/migrate", answer{code: 400, reason: "Parameter verification failed.",
		body: `{"message":"Parameter verification failed.\n","errors":{"target":"target is local node."},"data":null}`})
	err := f.driver(t, newTree(nil)).Migrate(context.Background(), 100, ha.QEMU, "n2", false)
	if err == nil || !strings.Contains(err.Error(), "target: target is local node.") {
		t.Fatalf("got %v", err)
	}
}

func TestNullWhereDataBelongsIsAnError(t *testing.T) {
	f := newFakePVE(t).on("GET /nodes/n1/storage", ok("null"))
	if _, err := f.driver(t, newTree(nil)).StoragesActive(context.Background(), []string{"shared"}); !errors.Is(err, ErrNoAnswer) {
		t.Fatalf("got %v, want ErrNoAnswer", err)
	}
}

func TestPostWithoutTaskLeavesTheEndOpen(t *testing.T) {
	f := newFakePVE(t).on("POST /nodes/n1/qemu/100/status/start", ok("null"))
	err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU)
	if !errors.Is(err, ErrStillRunning) {
		t.Fatalf("got %v, want ErrStillRunning", err)
	}
}

// A POST is never repeated, whatever becomes of it; what may have been taken is said to be open.
func TestPostIsSentOnce(t *testing.T) {
	for name, c := range map[string]struct {
		answer
		open bool
	}{
		"connection lost":   {answer{drop: true}, true},
		"lost behind proxy": {answer{code: 596, reason: "Broken pipe"}, true},
		"lost in the body":  {answer{code: 597, reason: "Connection reset by peer"}, true},
		"aborted":           {answer{code: 598, reason: "user aborted"}, true},
		"proxy gave up":     {answer{code: 599, reason: "timeout"}, true},
		"taking nothing":    {answer{code: 503, reason: "Service Unavailable"}, false},
		"not reached":       {answer{code: 595, reason: "Connection refused"}, false},
		"refused":           {fails("cluster not ready - no quorum?"), false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakePVE(t).on("POST /nodes/n1/qemu/100/status/start", c.answer)
			err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU)
			if err == nil || errors.Is(err, ErrStillRunning) != c.open {
				t.Errorf("got %v, want open end: %t", err, c.open)
			}
			if n := f.count("POST"); n != 1 || f.kept != 0 {
				t.Errorf("sent %d times, %d on a connection that is kept", n, f.kept)
			}
		})
	}
}

func TestUnreachableAPIMeansNotTaken(t *testing.T) {
	f := newFakePVE(t)
	d := f.driver(t, newTree(nil))
	f.Close()
	err := d.Start(context.Background(), 100, ha.QEMU)
	if !errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrStillRunning) {
		t.Fatalf("got %v, want ErrNoAnswer and no open end", err)
	}
}

// PVE holds a 401 back for 3 s: the default deadline leaves room for it, and ends calls that hang longer.
func TestEveryCallHasADeadline(t *testing.T) {
	if DefaultCallTimeout < 2*3*time.Second {
		t.Errorf("%s leaves no room for a 401", DefaultCallTimeout)
	}
	f := newFakePVE(t).on("GET /nodes/n1/qemu/100/status/current", answer{hang: true})
	d := f.driver(t, newTree(nil), func(c *Config) { c.CallTimeout = 20 * time.Millisecond })
	if _, err := d.Running(context.Background(), 100, ha.QEMU); !errors.Is(err, ErrNoAnswer) {
		t.Fatalf("got %v, want ErrNoAnswer", err)
	}
}

func TestCertificateIsChecked(t *testing.T) {
	f := newFakePVE(t)
	d := f.driver(t, newTree(nil), func(c *Config) { c.ServerName = "somebody-else" })
	_, err := d.Running(context.Background(), 100, ha.QEMU)
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Fatalf("got %v, want a certificate error", err)
	}
	if f.count("GET") != 0 {
		t.Error("the request was sent to a server that could not identify itself")
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	f := newFakePVE(t).on("GET /nodes/n1/qemu/100/status/current", answer{code: 401, reason: "Authentication failed!"})
	log, hook := logrustest.NewNullLogger()
	log.SetLevel(logrus.TraceLevel)
	var d *Driver
	cfg := f.config(t, newTree(nil))
	d = f.driver(t, newTree(nil), func(c *Config) { c.Log = log })
	_, err := d.Running(context.Background(), 100, ha.QEMU)
	shown := []string{fmt.Sprint(err), fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg), fmt.Sprintf("%v %+v %#v", d, d, d),
		fmt.Sprintf("%v %+v", &cfg, &cfg)}
	cfg.TokenID = "no-token"
	_, err = New(cfg)
	shown = append(shown, fmt.Sprint(err))
	for _, e := range hook.AllEntries() {
		shown = append(shown, e.Message, fmt.Sprint(e.Data))
	}
	for _, text := range shown {
		if strings.Contains(text, testSecret) {
			t.Errorf("the secret is in %q", text)
		}
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	f := newFakePVE(t)
	for name, change := range map[string]func(*Config){
		"plain http":   func(c *Config) { c.URL = "http://127.0.0.1:8006" },
		"no host":      func(c *Config) { c.URL = "https://" },
		"node climbs":  func(c *Config) { c.Node = "../n2" },
		"no tree":      func(c *Config) { c.Tree = nil },
		"token id":     func(c *Config) { c.TokenID = "root@pam" },
		"no secret":    func(c *Config) { c.TokenSecret = "" },
		"two lines":    func(c *Config) { c.TokenSecret = "a\nb" },
		"no CA file":   func(c *Config) { c.CAFile = "" },
		"CA not a PEM": func(c *Config) { c.CAFile = "/dev/null" },
	} {
		cfg := f.config(t, newTree(nil))
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
