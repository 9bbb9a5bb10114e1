package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/blakesmith/ar"
	"github.com/ulikunitz/xz"
)

// entry is one file of the package or of its control part.
type entry struct {
	mode  int64
	owner string
	data  []byte
	when  time.Time
}

// fixture is a source tree with the real units, documents and scripts, and stand-ins for what is built: this test's own program serves
// as basculed and hactl.
func fixture(t *testing.T) options {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	o := options{root: root, bin: t.TempDir(), pages: t.TempDir(), out: t.TempDir(), arch: "amd64", version: "v1.2.0", when: time.Unix(1795359224, 0).UTC()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"basculed", "hactl"} {
		if err := os.Symlink(self, filepath.Join(o.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"man/man1/hactl.1", "man/man8/basculed.8", "bash/hactl", "zsh/_hactl", "fish/hactl.fish"} {
		path := filepath.Join(o.pages, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func pack(t *testing.T, o options) (string, []byte) {
	t.Helper()
	name, err := build(o)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return name, data
}

// unpack returns the control part and the files.
func unpack(t *testing.T, deb []byte) (control, files map[string]entry) {
	t.Helper()
	r := ar.NewReader(bytes.NewReader(deb))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return control, files
		}
		if err != nil {
			t.Fatal(err)
		}
		switch strings.TrimSuffix(h.Name, "/") {
		case "control.tar.gz":
			z, err := gzip.NewReader(r)
			if err != nil {
				t.Fatal(err)
			}
			control = untar(t, z)
		case "data.tar.xz":
			z, err := xz.NewReader(r)
			if err != nil {
				t.Fatal(err)
			}
			files = untar(t, z)
		}
	}
}

func untar(t *testing.T, r io.Reader) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		all["/"+strings.TrimPrefix(strings.TrimPrefix(h.Name, "."), "/")] = entry{h.Mode & 0o7777, h.Uname + ":" + h.Gname, data, h.ModTime}
	}
}

// What an operator's machine gets: names, modes, owners; nothing that would be laid over a configuration.
func TestContents(t *testing.T) {
	name, deb := pack(t, fixture(t))
	if filepath.Base(name) != "bascule_1.2.0_amd64.deb" {
		t.Errorf("the package is called %s", name)
	}
	control, files := unpack(t, deb)
	for path, mode := range map[string]int64{
		"/usr/sbin/basculed":                                             0o755,
		"/usr/bin/hactl":                                                 0o755,
		"/etc/bascule/":                                                  0o700,
		"/usr/lib/systemd/system/basculed.service":                       0o644,
		"/usr/lib/systemd/system/bascule-guard.service":                  0o644,
		"/usr/lib/systemd/system/basculed-witness.service":               0o644,
		"/usr/lib/systemd/system/pve-guests.service.d/bascule.conf":      0o644,
		"/usr/share/doc/bascule/copyright":                               0o644,
		"/usr/share/doc/bascule/modules.txt":                             0o644,
		"/usr/share/doc/bascule/changelog.gz":                            0o644,
		"/usr/share/doc/bascule/changelog.Debian.gz":                     0o644,
		"/usr/share/doc/bascule/install.md":                              0o644,
		"/usr/share/doc/bascule/fencing/watchdog.md":                     0o644,
		"/usr/share/doc/bascule/examples/basculed.sample.yaml":           0o644,
		"/usr/share/doc/bascule/examples/fencing/fence-agent.conf":       0o644,
		"/usr/share/doc/bascule/examples/fencing/sbd.conf":               0o644,
		"/usr/share/doc/bascule/examples/fencing/scsi-pr.conf":           0o644,
		"/usr/share/doc/bascule/examples/fencing/scsi-pr-multipath.conf": 0o644,
		"/usr/share/man/man1/hactl.1.gz":                                 0o644,
		"/usr/share/man/man8/basculed.8.gz":                              0o644,
		"/usr/share/bash-completion/completions/hactl":                   0o644,
		"/usr/share/zsh/vendor-completions/_hactl":                       0o644,
		"/usr/share/fish/vendor_completions.d/hactl.fish":                0o644,
	} {
		if e, ok := files[path]; !ok || e.mode != mode {
			t.Errorf("%s: there %t, mode %04o, want %04o", path, ok, e.mode, mode)
		}
	}
	for path, e := range files {
		if e.owner != "root:root" || !e.when.Equal(time.Unix(1795359224, 0)) {
			t.Errorf("%s belongs to %s and is of %v", path, e.owner, e.when)
		}
		if strings.HasPrefix(path, "/etc/") && !strings.HasSuffix(path, "/") || strings.HasPrefix(path, "/var/") || strings.HasPrefix(path, "/run/") {
			t.Errorf("%s: what lies there is the operator's, or the daemon's", path)
		}
	}
	if _, ok := control["/conffiles"]; ok {
		t.Error("dpkg would ask about configuration files")
	}
	text := string(control["/control"].data)
	for _, want := range []string{"Package: bascule\n", "Version: 1.2.0\n", "Architecture: amd64\n", "Section: admin\n", "Installed-Size: "} {
		if !strings.Contains(text, want) {
			t.Errorf("control lacks %q:\n%s", want, text)
		}
	}
}

// The scripts are what dpkg runs as root: executable, well formed for the shell that runs them, and calling only what is there.
func TestScripts(t *testing.T) {
	control, _ := unpack(t, second(pack(t, fixture(t))))
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		e, ok := control["/"+name]
		if !ok || e.mode&0o111 == 0 {
			t.Errorf("%s: there %t, mode %04o", name, ok, e.mode)
			continue
		}
		if !bytes.HasPrefix(e.data, []byte("#!/bin/sh\n")) || !bytes.Contains(e.data, []byte("\nset -e\n")) {
			t.Errorf("%s does not begin as a script that stops at an error", name)
		}
		c := exec.Command("sh", "-n")
		c.Stdin = bytes.NewReader(e.data)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("sh -n %s: %v: %s", name, err, out)
		}
	}
	if _, ok := control["/preinst"]; ok {
		t.Error("there is a preinst that this test does not know")
	}
}

func second(_ string, b []byte) []byte { return b }

// The same sources give the same bytes, from any directory.
func TestReproducible(t *testing.T) {
	first, again := fixture(t), fixture(t)
	again.bin = first.bin // the programs' own bytes are the compiler's affair
	_, a := pack(t, first)
	_, b := pack(t, again)
	if !bytes.Equal(a, b) {
		t.Error("two packages of the same sources differ")
	}
	again.when = again.when.Add(time.Second)
	if _, c := pack(t, again); bytes.Equal(a, c) {
		t.Error("the commit's time is not in the package: the comparison sees nothing")
	}
}

// A file that was renamed is missed, not left out.
func TestMissingPagesAreAnError(t *testing.T) {
	o := fixture(t)
	if err := os.RemoveAll(filepath.Join(o.pages, "man", "man8")); err != nil {
		t.Fatal(err)
	}
	if name, err := build(o); err == nil {
		t.Errorf("%s was made without man pages", name)
	}
}

func TestVersion(t *testing.T) {
	at := time.Date(2026, 11, 22, 15, 59, 46, 0, time.FixedZone("elsewhere", 3600))
	allowed := regexp.MustCompile(`^[0-9][0-9A-Za-z.+~]*$`)
	for describe, want := range map[string]string{
		"v1.2.0":                   "1.2.0",
		"1.2":                      "1.2",
		"v1.2.0-rc1":               "1.2.0~rc1",
		"v1.2.0-5-gabc1234":        "1.2.0+5.abc1234",
		"v1.2.0-rc1-5-gabc1234":    "1.2.0~rc1+5.abc1234",
		"v1.2.0-5-gabc1234-dirty":  "1.2.0+5.abc1234+dirty",
		"63e5d28":                  "0.0~20261122145946.63e5d28",
		"1234567":                  "0.0~20261122145946.1234567",
		"63e5d28-dirty":            "0.0~20261122145946.63e5d28+dirty",
		"unknown":                  "0.0~20261122145946.unknown",
		"release_of spring-gabcde": "0.0~20261122145946.release.of.spring.gabcde",
	} {
		if got := debVersion(describe, at); got != want || !allowed.MatchString(got) {
			t.Errorf("%q is %q, want %q", describe, got, want)
		}
	}
}
