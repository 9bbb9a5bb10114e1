//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/tests/lab"
)

// From bare nodes to protected guests with hactl alone: init on the first, join on the others, each timed. Then a node dies and its guests
// run again: what was set up works. Then it all goes again, with "Start at boot" put back.
func TestInitAndJoin(t *testing.T) {
	s := bare(t)
	began := time.Now()
	s.says("init", s.hactl("node1", append([]string{"init", "--yes"}, s.bmcs()...)...))
	for _, node := range []string{"node2", "node3"} {
		s.says("join", s.hactl(node, "join", "--yes"))
	}
	s.within(time.Minute, "every guest is protected and runs", s.Healthy)
	s.within(time.Minute, "every node could be proven off", s.Fenceable)
	t.Logf("RESULT setup: bare nodes to protected guests: commands=%d questions=0 seconds=%.1f", len(s.Names()), time.Since(began).Seconds())
	if again := s.hactl("node1", "init", "--yes"); strings.Contains(again, "\ndone") {
		t.Errorf("a second init did something:\n%s", again)
	}
	list := s.hactl("node1", "etcd", "members")
	if !strings.Contains(list, "3 of 3 voters answer") {
		t.Errorf("the store is kept by:\n%s", list)
	}
	if dup := s.hactl("node2", "join", "--yes"); strings.Contains(dup, "\ndone") {
		t.Errorf("a second join did something:\n%s", dup)
	}
	for _, word := range s.secrets() {
		for _, line := range s.told {
			if strings.Contains(line, word) {
				t.Errorf("hactl shows a secret: %s", line)
			}
		}
	}

	_, err := s.Kill(s.ctx, "node3")
	s.must(err)
	took := s.within(time.Minute, "the dead node's guests run again", func(ctx context.Context) error { return s.elsewhere(ctx, "node3") })
	t.Logf("RESULT setup: recovered in %.1f s", took.Seconds())
	s.says("remove", s.hactl("node1", "remove", "node3", "--yes"))
	if list := s.hactl("node1", "etcd", "members"); strings.Contains(list, "node3") {
		t.Errorf("node3 still keeps the store:\n%s", list)
	}
}

// site is a lab whose nodes have the programs and Proxmox, and nothing of Bascule's.
type site struct {
	*bed
	told []string // all that hactl printed
}

// bare starts a lab whose units wait until somebody enables them. What pvesh, systemctl and Proxmox's replicated files are to hactl, is this
// test program (standin_test.go) and a directory that all nodes share.
func bare(t *testing.T) *site {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	t.Cleanup(cancel)
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	basculed, err := filepath.Abs(filepath.Join(bin(), "basculed"))
	if err != nil {
		t.Fatal(err)
	}
	o := lab.Options{Dir: dir, Bin: bin(), Daemon: []lab.Program{
		{Role: "guard", Argv: waitEnabled("bascule-guard.service", basculed, "guard")},
		{Role: "basculed", Argv: waitEnabled("basculed.service", basculed)},
	}}
	l, err := lab.Begin(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{bed: &bed{Lab: l, t: t, ctx: ctx}}
	t.Cleanup(s.end)
	s.furnish()
	return s
}

// waitEnabled is what systemd is to a unit: it starts the program once its link is there. $0 is the unit, the rest the program.
func waitEnabled(unit string, argv ...string) []string {
	const script = `until [ -e root/enabled/"$0" ]; do sleep 0.1; done; echo $$ > root/run/"$0".pid; exec "$@" --config root/etc/bascule/basculed.yaml`
	return append([]string{"/bin/sh", "-c", script, unit}, argv...)
}

// furnish gives every node Proxmox's files and the commands on its path.
func (s *site) furnish() {
	s.t.Helper()
	self, err := os.Executable()
	s.must(err)
	s.must(os.MkdirAll(filepath.Join(s.Dir, "commands"), 0o755))
	for _, name := range []string{"pvesh", "systemctl"} {
		s.must(os.Symlink(self, filepath.Join(s.Dir, "commands", name)))
	}
	shared := filepath.Join(s.Dir, "etcpve")
	for _, dir := range []string{"bascule", "priv/bascule", "priv/lock", "firewall"} {
		s.must(os.MkdirAll(filepath.Join(shared, dir), 0o755))
	}
	conf, list := "totem {\n  cluster_name: LAB\n  version: 2\n}\nquorum {\n  provider: corosync_votequorum\n}\nnodelist {\n", ""
	for i, name := range s.Names() {
		conf += fmt.Sprintf("  node {\n    name: %s\n    nodeid: %d\n    quorum_votes: 1\n    ring0_addr: %s\n  }\n", name, i+1, s.Public(i+1))
		list += fmt.Sprintf(`,%q:{"id":%d,"online":1,"ip":%q}`, name, i+1, s.Public(i+1))
	}
	s.file(filepath.Join(shared, "corosync.conf"), conf+"}\n")
	s.file(filepath.Join(shared, "storage.cfg"), "rbd: ceph-vm\n\tcontent images,rootdir\n\tpool vm\n")
	for i, name := range s.Names() {
		pve := s.Node(name, "root/etc/pve")
		s.must(os.MkdirAll(pve, 0o755))
		for _, entry := range []string{"bascule", "priv", "firewall", "corosync.conf", "storage.cfg"} {
			s.must(os.Symlink(filepath.Join(shared, entry), filepath.Join(pve, entry)))
		}
		s.must(os.Symlink(filepath.Join(s.Dir, "pmxcfs", "nodes"), filepath.Join(pve, "nodes")))
		s.file(filepath.Join(pve, ".members"), fmt.Sprintf(`{"nodename":%q,"cluster":{"name":"LAB","quorate":1},"nodelist":{%s}}`, name, list[1:]))
		s.file(s.Node(name, "root/etc/machine-id"), "machine-of-"+name)
		s.must(os.MkdirAll(s.Node(name, "root/enabled"), 0o755))
		// What only a lab has: the addresses behind the simulated switch, its Proxmox, its watchdog. hactl keeps a node's own settings.
		s.file(s.Node(name, "root/etc/bascule/basculed.yaml"), s.own(name, i+1))
	}
}

// own is a node's own part of the configuration, with the line at which hactl cuts.
func (s *site) own(name string, i int) string {
	at := func(p string) string { return s.Node(name, p) }
	return fmt.Sprintf(`node: %s
bind_address: %s
data_dir: %q
run_dir: %q
tls: {ca_file: %q, cert_file: %q, key_file: %q}
gossip: {keyring_file: %q}
guard:
  watchdog: {driver: lab, device: %q}
proxmox:
  url: https://%s:8006
  root: %q
  ca_file: %q
  token_file: %q
`+"%s\n", name, s.Bind(i), at("root/var/lib/bascule"), at("root/run/bascule"), at("root/etc/bascule/tls/ca.pem"), at("root/etc/bascule/tls/node.pem"), at("root/etc/bascule/tls/node.key"),
		at("root/etc/bascule/gossip.keys"), at("watchdog.sock"), s.Bind(i), at("root/etc/pve"), at("tls/ca.pem"), at("root/etc/bascule/proxmox.token"), setupBorder)
}

func (s *site) file(name, text string) {
	s.t.Helper()
	s.must(os.MkdirAll(filepath.Dir(name), 0o755))
	s.must(os.WriteFile(name, []byte(text), 0o600))
}

// bmcs are the flags for every node's BMC.
func (s *site) bmcs() (flags []string) {
	for i, name := range s.Names() {
		flags = append(flags, "--bmc", fmt.Sprintf("%s=redfish:%s:%d,user=admin,password-file=%s,ca_file=%s", name, s.Layout.BMC(i+1), lab.PortBMC, s.Node(name, "secrets/bmc.password"), s.Node(name, "tls/ca.pem")))
	}
	return flags
}

// secrets are what nobody may see.
func (s *site) secrets() (out []string) {
	for _, name := range s.Names() {
		for _, file := range []string{"secrets/bmc.password", "secrets/pve.token"} {
			data, err := os.ReadFile(s.Node(name, file))
			s.must(err)
			out = append(out, strings.TrimSpace(string(data)))
		}
	}
	return out
}

// hactl runs hactl on a node and returns what it printed.
func (s *site) hactl(node string, args ...string) string {
	s.t.Helper()
	program, err := filepath.Abs(filepath.Join(bin(), "hactl"))
	s.must(err)
	switch args[0] {
	case "etcd":
		args = append(args, "--socket", s.APISocket(node))
	case "keys":
		args = append(args, "--config", s.Node(node, "root/etc/bascule/basculed.yaml"))
	default:
		args = append(args, "--root", s.Node(node, "root"))
	}
	cmd := exec.CommandContext(s.ctx, program, args...)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(s.Dir, "commands")+":"+os.Getenv("PATH"), standinNode+"="+s.NodeDir(node), "COLUMNS=400")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	s.told = append(s.told, strings.Split(out.String(), "\n")...)
	if err != nil {
		s.t.Fatalf("hactl %s on %s: %v\n%s", args[0], node, err, out.String())
	}
	return out.String()
}

// says shows what a command printed, and that it did not do nothing.
func (s *site) says(what, out string) {
	s.t.Helper()
	if out == "" {
		s.t.Fatalf("%s said nothing", what)
	}
	s.t.Logf("hactl %s:\n%s", what, out)
}

// elsewhere says whether every guest runs on another node than that one.
func (s *site) elsewhere(ctx context.Context, dead string) error {
	status, err := s.DaemonStatus(ctx, "node1")
	if err != nil {
		return err
	}
	for _, g := range status.Guests {
		if g.Node == dead || g.State != "started" {
			return fmt.Errorf("guest %d is %s on %s", g.VMID, g.State, g.Node)
		}
	}
	return nil
}
