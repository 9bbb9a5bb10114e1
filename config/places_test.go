package config

import (
	"strings"
	"testing"

	"bascule/ha"
)

// What is wrong elsewhere does not hide the places; what is wrong with them is said.
func TestLoadPlaces(t *testing.T) {
	s := newSite(t)
	s.write("c.yaml", s.text+"run_dir: /run/other\nfencing: {min_healthy: 400}\nnonsense: 1\ngossip2: {}\n", 0o600)
	if _, err := Load(s.path("c.yaml")); err == nil {
		t.Fatal("the configuration is meant to be refused")
	}
	p, err := LoadPlaces(s.path("c.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Node != ha.NodeName("node1") || p.Role != RoleNode || p.DataDir != "/var/lib/bascule" || p.APISocket != "/run/other/api.sock" ||
		p.GuardSocket != "/run/other/guard.sock" || p.Proxmox.Root != "/etc/pve" {
		t.Errorf("%+v", p)
	}
	for text, want := range map[string]string{"": "is empty", "cluster: [": "", s.text + "data_dir: relative\n": "data_dir"} {
		s.write("c.yaml", text, 0o600)
		if _, err := LoadPlaces(s.path("c.yaml")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := LoadPlaces(s.path("missing.yaml")); err == nil {
		t.Error("a file that is not there was accepted")
	}
}
