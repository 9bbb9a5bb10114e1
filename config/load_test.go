package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bascule/ha"
)

// site is a directory with a valid configuration and all files that it names.
type site struct {
	t    *testing.T
	dir  string
	text string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	for _, name := range []string{"ca.pem", "node.pem", "node.key", "gossip.keys", "token", "pve.pem"} {
		s.write(name, "content\n", 0o600)
	}
	s.text = strings.ReplaceAll(`cluster: lab
node: node1
members:
  - {name: node1, address: 10.0.0.1}
  - {name: node2, address: 10.0.0.2}
  - {name: node3, address: 10.0.0.3}
tls: {ca_file: DIR/ca.pem, cert_file: DIR/node.pem, key_file: DIR/node.key}
gossip: {keyring_file: DIR/gossip.keys}
proxmox: {token_file: DIR/token, ca_file: DIR/pve.pem}
`, "DIR", s.dir)
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(s.path(name), mode); err != nil { // whatever the umask
		s.t.Fatal(err)
	}
}

// external adds an external etcd with a user, whose password file has this mode.
func (s *site) external(mode string) {
	s.t.Helper()
	m, err := strconv.ParseUint(mode, 8, 32)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("etcd.pem", "ca", 0o644)
	s.write("etcd.password", "s3cret\n", os.FileMode(m))
	s.text += "etcd: {endpoints: ['https://10.0.9.1:2379', 'https://10.0.9.2:2379'], ca_file: " + s.path("etcd.pem") + ", user: bascule, password_file: " + s.path("etcd.password") + "}\n"
}

func (s *site) load() (*Config, error) {
	s.t.Helper()
	s.write("basculed.yaml", s.text, 0o644)
	return Load(s.path("basculed.yaml"))
}

func TestLoadFiles(t *testing.T) {
	tests := []struct {
		name   string
		change func(*site)
		want   string // part of the only problem; empty: loads
	}{
		{"as it should be", func(*site) {}, ""},
		{"group may read", func(s *site) { s.write("node.key", "key", 0o640) }, ""},
		{"certificate is public", func(s *site) { s.write("node.pem", "cert", 0o644) }, ""},
		{"key for all", func(s *site) { s.write("node.key", "key", 0o644) }, ":7: tls.key_file: DIR/node.key is a secret that other users can reach (mode 0644); run: chmod 600 DIR/node.key"},
		{"group may write", func(s *site) { s.write("gossip.keys", "key", 0o660) }, ":8: gossip.keyring_file: DIR/gossip.keys is a secret that other users can reach (mode 0660)"},
		{"token missing", func(s *site) { _ = os.Remove(s.path("token")) }, ":9: proxmox.token_file: DIR/token does not exist; \"pveum user token add\" shows the secret once"},
		{"token empty", func(s *site) { s.write("token", "", 0o600) }, ":9: proxmox.token_file: DIR/token is empty; "},
		{"ca missing", func(s *site) { _ = os.Remove(s.path("ca.pem")) }, ":7: tls.ca_file: DIR/ca.pem does not exist; \"hactl init\" or \"hactl join\" makes it"},
		{"a directory", func(s *site) { s.text = strings.Replace(s.text, s.path("token"), s.dir, 1) }, ":9: proxmox.token_file: DIR is not a plain file"},
		{"not mounted yet below proxmox.root", func(s *site) {
			s.text = strings.Replace(s.text, "ca_file: "+s.path("pve.pem"), "root: "+s.path("pve")+", ca_file: "+s.path("pve/ca.pem"), 1)
		}, ""},
		{"webhook for all", func(s *site) {
			s.write("hook", "https://example.org/s3cret\n", 0o604)
			s.text += "alerts: {webhook_url_file: " + s.path("hook") + "}\n"
		}, ":10: alerts.webhook_url_file: DIR/hook is a secret that other users can reach (mode 0604)"},
		{"external etcd", func(s *site) { s.external("0600") }, ""},
		{"etcd's password for all", func(s *site) { s.external("0644") }, ":10: etcd.password_file: DIR/etcd.password is a secret that other users can reach (mode 0644); run: chmod 600 DIR/etcd.password"},
		{"etcd's password missing", func(s *site) { s.external("0600"); _ = os.Remove(s.path("etcd.password")) }, ":10: etcd.password_file: DIR/etcd.password does not exist; put the password of etcd.user alone into it, or write the right path"},
		{"etcd's CA missing", func(s *site) { s.external("0600"); _ = os.Remove(s.path("etcd.pem")) }, ":10: etcd.ca_file: DIR/etcd.pem does not exist; the operators of the external etcd have it"},
		{"a witness needs no Proxmox", func(s *site) {
			_ = os.Remove(s.path("token"))
			s.text = strings.Replace(s.text, "address: 10.0.0.1", "address: 10.0.0.1, witness: true", 1)
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			tt.change(s)
			_, err := s.load()
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var ce *Error
			if !errors.As(err, &ce) || len(ce.Problems) != 1 {
				t.Fatalf("want one problem, got: %v", err)
			}
			if want := strings.ReplaceAll(tt.want, "DIR", s.dir); !strings.Contains(err.Error(), want) {
				t.Errorf("got  %v\nwant …%s", err, want)
			}
			if missing := strings.Contains(tt.want, "does not exist"); errors.Is(err, fs.ErrNotExist) != missing {
				t.Errorf("errors.Is(err, fs.ErrNotExist) = %v", !missing)
			}
		})
	}
}

// Problems of the file and of the files it names come together.
func TestLoadReportsEverything(t *testing.T) {
	s := newSite(t)
	s.text += "log: {level: loud}\n"
	_ = os.Remove(s.path("token"))
	s.write("node.key", "key", 0o666)
	_, err := s.load()
	var ce *Error
	if !errors.As(err, &ce) || len(ce.Problems) != 3 {
		t.Fatalf("want three problems, got: %v", err)
	}
	for i, line := range []int{7, 9, 10} {
		if ce.Problems[i].Line != line {
			t.Errorf("problem %d stands in line %d, want %d: %v", i, ce.Problems[i].Line, line, ce.Problems[i])
		}
	}
}

func TestLoadUnreadable(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "none.yaml"), t.TempDir()} {
		_, err := Load(path)
		var ce *Error
		if !errors.As(err, &ce) || !strings.HasPrefix(err.Error(), path+": cannot be read") {
			t.Errorf("Load(%s): %v", path, err)
		}
		if _, guardErr := LoadGuard(path); guardErr == nil || guardErr.Error() != err.Error() {
			t.Errorf("LoadGuard(%s): %v", path, guardErr)
		}
	}
	if _, err := Parse("big.yaml", make([]byte, maxSize+1)); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("a huge file: %v", err)
	}
}

// The guard comes up whatever else is wrong, but not with a doubt about its own part.
func TestLoadGuard(t *testing.T) {
	const head = "cluster: lab\nnode: node1\nmembers: [{name: node1, address: 10.0.0.1}]\n"
	tests := []struct{ name, text, want string }{
		{"right", head + "guard: {trust_softdog: true}\ntiming: patient\n", ""},
		{"own devices", head + "guard: {trust_softdog: true}\ntiming: patient\nfencing:\n  devices:\n    - {name: a, node: node1, method: sbd, settings: {disks: /dev/x}}\n    - {name: b, node: node2, method: sbd, settings: {disks: /dev/y}}\n    - {name: c, nodes: node1}\n", ""},
		{"others wrong", "cluster: [x]\nmembers: [node1]\nguard: {trust_softdog: true}\ntiming: patient\nfencing: {devices: 3}\nnode: 7\n", ""},
		{"misspelt section", head + "gaurd: {trust_softdog: true}\n", "g.yaml:4: gaurd: unknown key; write guard"},
		{"misspelt key", head + "guard: {trust_softdogs: true}\n", "g.yaml:4: guard.trust_softdogs: unknown key; write trust_softdog"},
		{"bad timing", head + "timing: {watchdog_timeout: 2s}\n", "g.yaml:4: timing.watchdog_timeout: impossible timing: watchdog_feed 2s must be under half of watchdog_timeout 2s; remove the setting or choose another profile: fast, normal or patient"},
		{"no YAML", "a: [\n", "g.yaml:2: is not YAML: did not find expected node content; check quotes, brackets, and that entries of one block start in the same column (everything else is checked once it can be read)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := parseGuard("g.yaml", []byte(tt.text), lab)
			if tt.want != "" {
				if err == nil || err.Error() != tt.want {
					t.Errorf("got  %v\nwant %s", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.name == "own devices" && (len(g.Own) != 1 || g.Own[0].Name != "a" || g.Own[0].Settings["disks"] != "/dev/x") {
				t.Errorf("own devices: %+v", g.Own)
			}
			if !g.Guard.TrustSoftdog || g.Guard.Socket != "/run/bascule/guard.sock" || g.Timing.Profile != "patient" || g.Timing.Check() != nil {
				t.Errorf("got %+v", g)
			}
		})
	}
}

func TestDevice(t *testing.T) {
	c := mustParse(t, `cluster: lab
members: [{name: node1, address: 10.0.0.1}]
fencing:
  devices:
    - name: bmc
      node: node1
      method: redfish
      settings:
        url: https://10.0.9.1
        user: admin
`)
	d, ok := c.Device("bmc")
	if !ok {
		t.Fatal("no device bmc")
	}
	for key, want := range map[string]int{"url": 9, "user": 10, "password_file": 8, "method": 7, "node": 6, "": 5} {
		if got := d.Line(key); got != want {
			t.Errorf("Line(%q) = %d, want %d", key, got, want)
		}
	}
	cause := errors.New("is not reachable; write the BMC's address")
	err := Errors([]Problem{d.Problem("url", cause)})
	if want := "sample:9: fencing.devices[0].settings.url: is not reachable; write the BMC's address"; err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is not wrapped")
	}
	if Errors(nil) != nil {
		t.Error("no problems make an error")
	}
	if _, ok := c.Device("other"); ok {
		t.Error("a device that does not exist")
	}
	if m, ok := c.Member("node7"); ok || m != (ha.Member{}) {
		t.Error("a member that does not exist")
	}
}
