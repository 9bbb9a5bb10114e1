package methods_test

import (
	"strings"
	"testing"

	"bascule/fencing"
	"bascule/fencing/methods"
	"bascule/ha"
)

func TestEveryMethodIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range methods.All() {
		if m.Name == "" || seen[m.Name] || m.Kind() == ha.ManualDevice && m.Name != "manual" {
			t.Errorf("method %q is incomplete or there twice", m.Name)
		}
		seen[m.Name] = true
		for _, k := range m.Keys {
			if k.Name == "" || k.Doc == "" || strings.HasSuffix(k.Doc, ".") {
				t.Errorf("method %s: key %+v needs a name and what to write", m.Name, k)
			}
		}
	}
	if !seen["redfish"] || !seen["manual"] {
		t.Errorf("methods: %v", seen)
	}
}

func TestCheckTellsEverythingAtOnce(t *testing.T) {
	err := methods.All().Check([]fencing.Spec{
		{Name: "a", Node: "node1", Method: "manual"},
		{Name: "a", Node: "node2", Method: "manual"},
		{Name: "", Node: "node3", Method: "manual"},
		{Name: "b", Node: "", Method: "manual"},
		{Name: "c", Node: "node4", Method: "redfisch"},
		{Name: "d", Node: "node5", Method: "redfish", Settings: map[string]string{"url": "https://x"}},
	})
	if err == nil {
		t.Fatal("nothing found")
	}
	for _, want := range []string{`"a"`, "two devices", "node3", "has no name", `"b"`, "has no node", `"c" of node4`, "redfish, ipmi, fence-agent, sbd, ceph-blocklist, scsi-pr, hetzner-robot, manual", `"d" of node5`, `"user" is missing`, `"password_file" is missing`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
