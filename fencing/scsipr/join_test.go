package scsipr

import (
	"path/filepath"
	"testing"

	"bascule/fencing/scsipr/scsitest"
)

// What a node publishes is registered by then, and a boot of its own has a key of its own.
func TestJoinRegistersWhatItPublishes(t *testing.T) {
	d := array("x")
	target := (&scsitest.Target{Disks: []*scsitest.Disk{d}}).Serve(t)
	settings := map[string]string{"luns": target.URL(0), "storages": "san", "state": filepath.Join(t.TempDir(), "state.json")}
	got, err := Method.Join(t.Context(), settings, "node2", "boot-7")
	if err != nil || len(got) != 1 || got[0] != KeyOf("node2", "boot-7").Client() {
		t.Fatalf("%v, %v", got, err)
	}
	if keys := d.Keys(); len(keys) != 1 || Key(keys[0].Key) != KeyOf("node2", "boot-7") {
		t.Fatalf("registered %v", keys)
	}
}
