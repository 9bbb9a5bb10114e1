package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// namedFile is a file that the configuration names and that must be there when the daemon starts.
type namedFile struct {
	path   string // the setting
	file   string
	secret bool
	make   string // how it comes to be
}

// namedFiles lists them. Files below proxmox.root are left out: a tree that is mounted late must not end in status 78, after
// which systemd would not start the daemon again.
func (c *Config) namedFiles() []namedFile {
	const byHactl = "\"hactl init\" or \"hactl join\" makes it"
	all := []namedFile{
		{"tls.ca_file", c.TLS.CAFile, false, byHactl},
		{"tls.cert_file", c.TLS.CertFile, false, byHactl},
		{"tls.key_file", c.TLS.KeyFile, true, byHactl},
		{"gossip.keyring_file", c.Gossip.KeyringFile, true, byHactl},
		{"etcd.ca_file", c.Etcd.CAFile, false, "the operators of the external etcd have it"},
		{"etcd.cert_file", c.Etcd.CertFile, false, "the operators of the external etcd issue it"},
		{"etcd.key_file", c.Etcd.KeyFile, true, "it belongs to etcd.cert_file"},
		{"etcd.password_file", c.Etcd.PasswordFile, true, "put the password of etcd.user alone into it"},
		{"alerts.webhook_url_file", c.Alerts.WebhookURLFile, true, "put the URL alone into it"},
	}
	if c.Role == RoleNode {
		all = append(all,
			namedFile{"proxmox.token_file", c.Proxmox.TokenFile, true, "\"pveum user token add\" shows the secret once: put it alone into this file"},
			namedFile{"proxmox.ca_file", c.Proxmox.CAFile, false, "it is the authority that signed the node's API certificate"})
	}
	var out []namedFile
	for _, f := range all {
		if f.file != "" && !c.belowRoot(f.file) {
			out = append(out, f)
		}
	}
	return out
}

// checkFiles notes files that are missing, empty or, where they are secret, open to other users. It reads none of them.
func (c *Config) checkFiles(s *source) {
	for _, f := range c.namedFiles() {
		if s.broken(f.path) {
			continue
		}
		info, err := os.Stat(f.file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.failCause(err, f.path, "%s does not exist; %s, or write the right path", f.file, f.make)
		case err != nil:
			s.failCause(err, f.path, "%s cannot be looked at (%v); check the permissions of its directory", f.file, reason(err))
		case !info.Mode().IsRegular():
			s.fail(f.path, "%s is not a plain file; write the path of one", f.file)
		case info.Size() == 0:
			s.fail(f.path, "%s is empty; %s", f.file, f.make)
		case f.secret && info.Mode().Perm()&0o027 != 0:
			// A group may read (a site's own choice); nobody else may do anything, and no group may write.
			s.fail(f.path, "%s is a secret that other users can reach (mode %04o); run: chmod 600 %s", f.file, info.Mode().Perm(), f.file)
		}
	}
}

// Files lists every file that the configuration names, those of fencing devices (settings that end in _file) among them: what a backup of
// this machine needs beside the configuration. Files below proxmox.root are not listed: all nodes have them.
func (c *Config) Files() []string {
	var out []string
	add := func(path string) {
		if path != "" && !c.belowRoot(path) && !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	for _, f := range c.namedFiles() {
		add(f.file)
	}
	for _, d := range c.Fencing.Devices {
		for _, key := range slices.Sorted(maps.Keys(d.Settings)) {
			if strings.HasSuffix(key, "_file") {
				add(d.Settings[key])
			}
		}
	}
	return out
}
