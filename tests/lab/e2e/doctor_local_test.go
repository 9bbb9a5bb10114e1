//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"bascule/tests/lab"
)

// local looks at node1 alone, with configurations in which more is wrong: data in memory, on a file system that is nearly full, no watchdog, a
// certificate near its end or one that is none, and a guest protected that Proxmox would start at boot.
func (b *bed) local(dir string) {
	b.t.Helper()
	memory, short, none := filepath.Join(dir, "memory"), filepath.Join(dir, "short.pem"), filepath.Join(dir, "none.pem")
	certificate, key := shortLived(b.t, "node1", 5*24*time.Hour)
	b.must(errors.Join(os.Mkdir(memory, 0o700), os.WriteFile(short, certificate, 0o600), os.WriteFile(short+".key", key, 0o600), os.WriteFile(none, []byte("none\n"), 0o600)))
	path := func(key, name string) string { return fmt.Sprintf("%s: %q", key, name) }
	own := func(key string, name ...string) string { return path(key, b.Node("node1", name...)) }
	certFile := own("cert_file", "tls", "cert.pem")

	b.localWith(memory, map[string]string{
		own("data_dir", "data"):                         path("data_dir", memory),
		own("driver: lab\n    device", "watchdog.sock"): "driver: none",
		"protect:\n":                      "protect:\n  all: true\n",
		certFile:                          path("cert_file", short),
		own("key_file", "tls", "key.pem"): path("key_file", short+".key"),
	}, "critical data-dir-volatile node node1", "critical disk-space node node1", "warning watchdog-none node node1",
		"warning certificate-expiring node certificate of node1", "warning guest-onboot VM 900")
	b.localWith(memory, map[string]string{certFile: path("cert_file", none)}, "warning certificate-unreadable node certificate of node1")
}

// localWith runs hactl doctor --local with a changed configuration, and a small file system on one directory.
func (b *bed) localWith(small string, change map[string]string, want ...string) {
	b.t.Helper()
	was, err := os.ReadFile(b.Node("node1", "basculed.yaml"))
	b.must(err)
	text := string(was)
	for old, new := range change {
		if !strings.Contains(text, old) {
			b.t.Fatalf("basculed.yaml has no %q:\n%s", old, text)
		}
		text = strings.Replace(text, old, new, 1)
	}
	file := b.Node("node1", "wrong.yaml")
	b.must(os.WriteFile(file, []byte(text), 0o600))
	// It is mounted for this one process and its children only.
	cmd := exec.CommandContext(b.ctx, "/bin/sh", "-c", `mount -t tmpfs -o size=100m tmpfs "$1" && exec "$0" doctor --local --config "$2" -o json`, filepath.Join(b.Options.Bin, "hactl"), small, file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), lab.MarkVariable+"="+b.NodeDir("node1"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		b.t.Fatalf("hactl doctor --local finds nothing: %v\n%s", err, out)
	}
	found := b.parseFindings(string(out), exit.ExitCode())
	for _, w := range want {
		if !slices.Contains(found, w) {
			b.t.Errorf("hactl doctor --local does not find %q: %q\n%s", w, found, exit.Stderr)
		}
	}
	b.note(want)
	b.t.Logf("hactl doctor --local: %q", found)
}
