//go:build !lab

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// A node is taken down whether its storages can be reached or not: what stays there is told.
func TestForgetStoragesStopsNothing(t *testing.T) {
	for _, tt := range []struct {
		name, extra, want string
	}{
		{"Proxmox's tree is not mounted", "", "what looks wrote there (.bascule) stays"},
		{"the rest of the configuration is refused", "nonsense: 1\n", "what looks wrote there (.bascule) stays"},
		{"a witness", "members:\n  - {name: node1, address: 10.0.0.1, witness: true}\n", ""},
	} {
		file, _ := site(t, tt.extra)
		var out bytes.Buffer
		if err := forgetOn(t.Context(), &out, file, true); err != nil || (out.Len() == 0) != (tt.want == "") || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: %v, said %q", tt.name, err, out.String())
		}
	}
	if err := forgetOn(t.Context(), &bytes.Buffer{}, filepath.Join(t.TempDir(), "none.yaml"), false); err != nil {
		t.Errorf("a node that is not set up: %v", err)
	}
}
