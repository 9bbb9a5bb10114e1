//go:build !lab

package main

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// site is a node's configuration in a directory of its own; it names a tree that is not mounted.
func site(t *testing.T, extra string) (file, dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, sub := range []string{"data", "run"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file = filepath.Join(dir, "basculed.yaml")
	put(t, file, strings.ReplaceAll("cluster: lab\nnode: node1\ndata_dir: DIR/data\nrun_dir: DIR/run\nproxmox: {root: DIR/pve}\n", "DIR", dir)+extra)
	return file, dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Where nothing was taken away there is nothing to put back, whatever else is wrong; where something was, only success is success.
func TestRestoreOnboot(t *testing.T) {
	const noted = `{"schema": 1, "guests": [{"guest": 101, "epoch": 1}]}`
	for _, tt := range []struct {
		name, extra, list string
		running           bool
		want              string // in the error; empty: none
	}{
		{name: "nothing noted"},
		{name: "nobody noted", list: `{"schema": 1, "guests": []}`},
		{name: "a witness", extra: "members:\n  - {name: node1, address: 10.0.0.1, witness: true}\n", list: noted},
		{name: "the list is damaged", list: "{", want: "by hand"},
		{name: "basculed still runs", list: noted, running: true, want: "stop it first"},
		{name: "Proxmox's tree is not mounted", list: noted, want: "not mounted"},
		{name: "the rest of the configuration is refused", extra: "nonsense: 1\n", list: noted, want: "not mounted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file, dir := site(t, tt.extra)
			if tt.list != "" {
				put(t, filepath.Join(dir, "data", onbootName), tt.list)
			}
			if tt.running {
				l, err := net.Listen("unix", filepath.Join(dir, "run", "api.sock"))
				if err != nil {
					t.Fatal(err)
				}
				srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })}
				go func() { _ = srv.Serve(l) }()
				t.Cleanup(func() { _ = srv.Close() })
			}
			var out bytes.Buffer
			err := restoreOnboot(context.Background(), &out, file)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) || out.Len() > 0 {
				t.Errorf("%v, %q, want %q", err, out.String(), tt.want)
			}
		})
	}
	if err := restoreOnboot(context.Background(), &bytes.Buffer{}, filepath.Join(t.TempDir(), "none.yaml")); err != nil {
		t.Errorf("a machine that was never set up: %v", err)
	}
}

// A guard that does not run may be stopped; one that says nothing may not.
func TestGuardStopCheck(t *testing.T) {
	file, dir := site(t, "")
	if err := stopCheck(context.Background(), file, true); err != nil {
		t.Errorf("no guard: %v", err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "run", "guard.sock"))
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(c).ReadString('\n') // its question, before it is hung up on
			_, _ = c.Write([]byte(<-answer + "\n"))
			_ = c.Close()
		}
	}()
	for text, want := range map[string]string{
		`{"ok": true, "status": {"phase": "disarmed", "free": true}}`:                             "",
		`{"ok": true, "status": {"phase": "disarmed"}}`:                                           "disarmed", // too old to say
		`{"ok": true, "status": {"phase": "permitted", "guests": [{"id": 101, "kind": "qemu"}]}}`: "with 1 guests",
		`not understood`: "not understood",
	} {
		answer <- text
		err := stopCheck(context.Background(), file, true)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	_ = l.Close() // the socket is gone with it
	if err := stopCheck(context.Background(), file, true); err != nil {
		t.Errorf("a dead guard: %v", err)
	}
}
