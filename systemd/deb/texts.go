package main

import (
	"debug/buildinfo"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maintainer as Debian wants it: a name and an address.
const maintainer = "The Bascule maintainers <bascule@localhost>"

const description = `High-availability failover daemon for Proxmox VE
 basculed runs on every node of a Proxmox VE cluster. When a node dies, its
 guests run again on the surviving nodes within seconds, and never in two
 places at once: the dead node is first proven to be off. hactl shows what
 happens and takes the operator's wishes.
 .
 The same package serves a witness, a small machine without guests that only
 votes. Nothing is started before the machine is configured.`

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: bascule

Files: *
Copyright: The Bascule authors
License: Apache-2.0
Comment: The programs are linked with the Go modules that modules.txt beside
 this file lists. Each stays under its own licence (Apache-2.0, BSD, ISC, MIT,
 MPL-2.0), which its source carries, at the version listed.

License: Apache-2.0
 On Debian systems the licence is in /usr/share/common-licenses/Apache-2.0.
`

// texts adds what Debian asks of every package: copyright and changelogs.
func (l *list) texts(o options) error {
	modules, err := linked(filepath.Join(o.bin, "basculed"), filepath.Join(o.bin, "hactl"))
	if err != nil {
		return err
	}
	entry := fmt.Sprintf("bascule (%s) stable; urgency=medium\n\n  * Built from %s. What changed is in changelog.gz.\n\n -- %s  %s\n",
		debVersion(o.version, o.when), o.version, maintainer, o.when.UTC().Format(time.RFC1123Z))
	for _, add := range []func() error{
		func() error { return l.text([]byte(copyright), docDir+"/copyright") },
		func() error { return l.text(modules, docDir+"/modules.txt") },
		func() error { return l.packed([]byte(entry), docDir+"/changelog.Debian") },
		func() error { return l.zipped(filepath.Join(o.root, "CHANGELOG.md"), docDir+"/changelog") },
	} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

// linked lists the modules that went into the programs, with their versions.
func linked(programs ...string) ([]byte, error) {
	var lines []string
	for _, p := range programs {
		info, err := buildinfo.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("%s is no Go program: %w", p, err)
		}
		lines = append(lines, info.GoVersion+" standard library")
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			lines = append(lines, m.Path+" "+m.Version)
		}
	}
	slices.Sort(lines)
	return []byte(strings.Join(slices.Compact(lines), "\n") + "\n"), nil
}
