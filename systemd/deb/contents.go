package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2/files"
)

// unitDir is where both Debian 12 and 13 read units of packages.
const (
	unitDir = "/usr/lib/systemd/system"
	docDir  = "/usr/share/doc/bascule"
)

// list collects the package's files. What is generated lies in a directory of its own until the package is made.
type list struct {
	made string // directory for generated files
	when time.Time
	all  files.Contents
}

// add puts the file src at dst.
func (l *list) add(src, dst string, mode os.FileMode) {
	l.all = append(l.all, &files.Content{Source: src, Destination: dst, Type: files.TypeFile,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: l.when}})
}

// dir makes an empty directory.
func (l *list) dir(dst string, mode os.FileMode) {
	l.all = append(l.all, &files.Content{Destination: dst, Type: files.TypeDir,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: l.when}})
}

// text puts data at dst.
func (l *list) text(data []byte, dst string) error {
	src := filepath.Join(l.made, strings.ReplaceAll(strings.TrimPrefix(dst, "/"), "/", "_"))
	if err := os.WriteFile(src, data, 0o644); err != nil {
		return err
	}
	l.add(src, dst, 0o644)
	return nil
}

// packed puts data at dst.gz, compressed without a name or a time.
func (l *list) packed(data []byte, dst string) error {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(data); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return l.text(b.Bytes(), dst+".gz")
}

// tree puts the files of a directory that fit the pattern into dst; none is an error, because then something was renamed.
func (l *list) tree(dir, pattern, dst string, put func(src, dst string) error) error {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("no %s in %s: what the package should have is not there", pattern, dir)
	}
	slices.Sort(found)
	for _, src := range found {
		if err := put(src, path.Join(dst, filepath.Base(src))); err != nil {
			return err
		}
	}
	return nil
}

// plain puts a file as it is.
func (l *list) plain(src, dst string) error { l.add(src, dst, 0o644); return nil }

// zipped puts a file compressed.
func (l *list) zipped(src, dst string) error {
	data, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	return l.packed(data, dst)
}

// contents lists everything that the package installs.
func contents(o options, made string) (files.Contents, error) {
	l := &list{made: made, when: o.when}
	l.add(filepath.Join(o.bin, "basculed"), "/usr/sbin/basculed", 0o755)
	l.add(filepath.Join(o.bin, "hactl"), "/usr/bin/hactl", 0o755)
	l.dir("/etc/bascule", 0o700) // certificates and keys will lie here
	units, docs := filepath.Join(o.root, "systemd"), filepath.Join(o.root, "docs")
	for _, t := range []struct {
		dir, pattern, dst string
		put               func(src, dst string) error
	}{
		{units, "*.service", unitDir, l.plain},
		{filepath.Join(units, "pve-guests.service.d"), "*.conf", unitDir + "/pve-guests.service.d", l.plain},
		{filepath.Join(units, "fencing"), "*.conf", docDir + "/examples/fencing", l.plain},
		{docs, "*.sample.yaml", docDir + "/examples", l.plain},
		{docs, "*.md", docDir, l.plain},
		{filepath.Join(docs, "fencing"), "*.md", docDir + "/fencing", l.plain},
		{filepath.Join(o.pages, "man", "man1"), "*.1", "/usr/share/man/man1", l.zipped},
		{filepath.Join(o.pages, "man", "man8"), "*.8", "/usr/share/man/man8", l.zipped},
		{filepath.Join(o.pages, "bash"), "*", "/usr/share/bash-completion/completions", l.plain},
		{filepath.Join(o.pages, "zsh"), "_*", "/usr/share/zsh/vendor-completions", l.plain},
		{filepath.Join(o.pages, "fish"), "*.fish", "/usr/share/fish/vendor_completions.d", l.plain},
	} {
		if err := l.tree(t.dir, t.pattern, t.dst, t.put); err != nil {
			return nil, err
		}
	}
	return l.all, l.texts(o)
}
