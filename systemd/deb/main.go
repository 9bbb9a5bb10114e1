package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
)

// options are what make says.
type options struct {
	root, bin, pages, out string
	arch, version         string
	when                  time.Time // of the commit
}

func main() {
	var o options
	var seconds int64
	flag.StringVar(&o.root, "root", "../..", "the sources")
	flag.StringVar(&o.bin, "bin", "", "directory with basculed and hactl")
	flag.StringVar(&o.pages, "pages", "", "directory with man pages and completions")
	flag.StringVar(&o.out, "out", "dist", "directory for the package")
	flag.StringVar(&o.arch, "arch", "amd64", "architecture, in Debian's words")
	flag.StringVar(&o.version, "version", "", "as git describe says it")
	flag.Int64Var(&seconds, "seconds", 0, "time of the commit, since 1970")
	flag.Parse()
	o.when = time.Unix(seconds, 0).UTC()
	name, err := build(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "deb:", err)
		os.Exit(1)
	}
	fmt.Println(name)
}

// build makes the package and returns its name.
func build(o options) (string, error) {
	made, err := os.MkdirTemp("", "bascule-deb-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(made)
	info, err := describe(o, made)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return "", err
	}
	name := filepath.Join(o.out, deb.Default.ConventionalFileName(info))
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	if err := deb.Default.Package(info, f); err != nil {
		f.Close()
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return name, f.Close()
}

// describe is the package in the packager's words.
func describe(o options, made string) (*nfpm.Info, error) {
	all, err := contents(o, made)
	if err != nil {
		return nil, err
	}
	scripts := filepath.Join(o.root, "systemd", "deb", "scripts")
	return nfpm.WithDefaults(&nfpm.Info{
		Name: "bascule", Arch: o.arch, Platform: "linux", Version: debVersion(o.version, o.when), VersionSchema: "none", MTime: o.when,
		Section: "admin", Priority: "optional", Maintainer: maintainer, Description: description, DisableGlobbing: true,
		Overridables: nfpm.Overridables{
			Depends:  []string{"init-system-helpers (>= 1.54~)"},
			Suggests: []string{"fence-agents", "sg3-utils", "multipath-tools"},
			Contents: all,
			Scripts: nfpm.Scripts{PostInstall: filepath.Join(scripts, "postinst"), PreRemove: filepath.Join(scripts, "prerm"),
				PostRemove: filepath.Join(scripts, "postrm")},
			Deb: nfpm.Deb{Compression: "xz", Fields: map[string]string{"Enhances": "pve-manager"}},
		},
	}), nil
}
