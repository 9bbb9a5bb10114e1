package cephblocklist

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha/waittest"
)

func TestSettingsSayWhatToWrite(t *testing.T) {
	fencingtest.TrySettings(t, Method, map[string]string{"storages": "ceph-vm", "pools": "vms"}, []fencingtest.Setting{
		{"storages", "a,b", ""},
		{"storages", "a,,b", "empty part"},
		{"pools", "a,a", "twice"},
		{"client", "client.bascule", `without "client."`},
		{"client", "x y", "account's name"},
		{"keyring", "keyring", "absolute path"},
		{"keyring", "/a,/b", "absolute path"},
		{"conf", "ceph.conf", "absolute path"},
		{"monitors", "10.0.5.11,10.0.5.12", ""},
		{"monitors", "10.0.5.11,", "empty part"},
		{"mark_down", "yes", `write "true"`},
		{"mark_down", "true", `"host" is missing`},
		{"host", "node2", "only for mark_down"},
		{"key", fencingtest.Hunter2, `"key" is unknown`},
	})
	d, err := open(map[string]string{"storages": "ceph-vm", "pools": "vms", "mark_down": "true", "host": "node2"})
	if s := d.(*device).s; err != nil || s.client != "bascule" || s.keyring != "/etc/pve/priv/ceph.client.bascule.keyring" || s.conf != "/etc/pve/ceph.conf" || s.host != "node2" {
		t.Errorf("defaults: %+v, %v", d, err)
	}
	if d, err := open(map[string]string{"storages": "a", "pools": "b", "monitors": "10.0.5.11"}); err != nil || d.(*device).s.conf != "" {
		t.Errorf("with monitors: %+v, %v", d, err)
	}
}

func TestTheKeyringFile(t *testing.T) {
	good := "[client.bascule]\n\tkey = " + key + "\n"
	for _, c := range []struct {
		name, content string
		mode          os.FileMode
		want          string // part of the error; empty: works
	}{
		{"as it should be", good, 0o600, ""},
		{"with others' keys", "[client.admin]\nkey=x\n[client.bascule]\n caps mon = \"allow r\"\nkey=" + key, 0o400, ""},
		{"readable by the group", good, 0o640, "chmod 0600"},
		{"readable by all", good, 0o644, "chmod 0600"},
		{"of another account", strings.Replace(good, "bascule", "admin", 1), 0o600, "no key of client.bascule"},
		{"only the key", key + "\n", 0o600, "no key of client.bascule"},
		{"empty", "", 0o600, "no key of client.bascule"},
		{"huge", good + strings.Repeat("#", maxKeyring), 0o600, "no keyring"},
	} {
		x := newCluster(t)
		_, err := x.open("keyring", x.file("other", c.content, c.mode)).Read(soon(t), node2)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), key) || len(x.read().PIDs) > 0) {
			t.Errorf("%s: a secret shows, or a process was started: %v", c.name, err)
		}
	}
	x := newCluster(t)
	pipe := filepath.Join(x.dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{x.dir, pipe, "/nonexistent/keyring"} {
		if _, err := x.open("keyring", path).Read(soon(t), node2); !errors.Is(err, fencing.ErrSettings) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := x.open("conf", "/nonexistent/ceph.conf").Read(soon(t), node2); !errors.Is(err, fencing.ErrSettings) {
		t.Errorf("no conf: %v", err)
	}
}

func TestTheKeyShowsNowhere(t *testing.T) {
	t.Setenv("CEPH_ARGS", "--keyring=/somebody/elses")
	for _, f := range []fencingtest.Fault{fencingtest.Healthy, fencingtest.Rubbish, fencingtest.WrongPassword, fencingtest.Hangs, fencingtest.BreaksOff} {
		x := newCluster(t)
		x.Break(f)
		d := x.open()
		var rerr, verr error
		limit := time.Second
		waittest.BestOf(t, func() string {
			_, rerr = d.Read(timeLimit(t, limit), node2)
			verr = d.Revoke(timeLimit(t, limit), node2)
			limit *= 2
			if f != fencingtest.Rubbish && len(x.read().Seen) == 0 {
				return fmt.Sprintf("%s: no process was looked at", f)
			}
			return ""
		})
		for _, err := range []error{rerr, verr} {
			if err != nil && strings.Contains(err.Error(), key) {
				t.Errorf("%s: %v", f, err)
			}
		}
		for _, seen := range x.read().Seen {
			if all := strings.Join(seen, "\n"); strings.Contains(all, key) || strings.Contains(all, "CEPH_ARGS") {
				t.Errorf("%s: command line and environment: %s", f, all)
			}
		}
		noProcessLeft(t, x)
	}
}

func TestClients(t *testing.T) {
	for _, c := range []struct {
		clients []string
		want    string
		err     error
	}{
		{nil, "", nil},
		{[]string{"ip:10.0.5.12", "wwn:x", "ip:fd00::2", "ip:10.0.5.12"}, "10.0.5.12, fd00::2", nil},
		{[]string{"ip:::ffff:10.0.5.12"}, "10.0.5.12", nil},
		{[]string{"wwn:x"}, "", fencing.ErrSettings},
		{[]string{"ip:10.0.5.12/24"}, "", fencing.ErrSettings},
		{[]string{"ip:10.0.5.12:0"}, "", fencing.ErrSettings},
		{[]string{"ip:node2"}, "", fencing.ErrSettings},
		{[]string{"ip: 10.0.5.12"}, "", fencing.ErrSettings},
		{[]string{"ip:0.0.0.0"}, "", fencing.ErrSettings},
		{[]string{"ip:127.0.0.1"}, "", fencing.ErrSettings},
		{[]string{"ip:::1"}, "", fencing.ErrSettings},
		{[]string{"ip:fe80::1%eth0"}, "", fencing.ErrSettings},
		{[]string{"ip:fe80::1"}, "", fencing.ErrSettings},
		{[]string{"ip:224.0.0.1"}, "", fencing.ErrSettings},
	} {
		got, err := parseClients(c.clients)
		if words(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: %v, %v", c.clients, got, err)
		}
	}
}
