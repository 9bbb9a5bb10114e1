package pve

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bascule/ha"
)

// seeds gives a fuzz target the samples, and whatever real configs the recordings hold.
func seeds(f *testing.F, add func(data []byte, kind ha.GuestKind)) {
	f.Helper()
	for _, s := range samples(f) {
		add(s.data, s.kind)
	}
	for _, text := range recordedConfigs(f) {
		add([]byte(text), ha.QEMU)
	}
}

func FuzzGuestConfig(f *testing.F) {
	seeds(f, func(data []byte, kind ha.GuestKind) { f.Add(data, kind == ha.QEMU) })
	f.Fuzz(func(t *testing.T, data []byte, vm bool) {
		kind := ha.LXC
		if vm {
			kind = ha.QEMU
		}
		checkParse(t, kind, data)
		c := ParseGuestConfig(kind, data)
		if c.Memory() <= 0 {
			t.Fatalf("memory %d", c.Memory())
		}
		for _, s := range c.WritableStorages() {
			if !OffPVE(s) && !storageName.MatchString(s) {
				t.Fatalf("%q is neither a storage nor a path", s)
			}
		}
		c.Pins(func(string) bool { return true })
		_ = c.Tags()
	})
}

func FuzzGuestConfigEdit(f *testing.F) {
	seeds(f, func(data []byte, kind ha.GuestKind) {
		for i := range keysEdited {
			f.Add(data, kind == ha.QEMU, uint8(i))
		}
	})
	f.Fuzz(func(t *testing.T, data []byte, vm bool, key uint8) {
		kind := ha.LXC
		if vm {
			kind = ha.QEMU
		}
		checkEdits(t, kind, data, keysEdited[int(key)%len(keysEdited)])
	})
}

// recordedConfigs writes the answers to GET config that were recorded from a real Proxmox VE as the files that they came from, as far as JSON
// tells; none where the recordings are missing.
func recordedConfigs(t testing.TB) []string {
	t.Helper()
	root := os.Getenv("BASCULE_SHARED")
	if root == "" {
		root = "../../../shared"
	}
	files, _ := filepath.Glob(filepath.Join(root, "pve/recorded/*_config_get*.json")) // only a bad pattern is an error
	var texts []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Response struct {
				Body struct {
					Data map[string]any `json:"data"`
				} `json:"body"`
			} `json:"response"`
		}
		if json.Unmarshal(data, &r) != nil || r.Response.Body.Data == nil {
			continue
		}
		var text strings.Builder
		for _, key := range slices.Sorted(maps.Keys(r.Response.Body.Data)) {
			fmt.Fprintf(&text, "%s: %v\n", key, r.Response.Body.Data[key])
		}
		texts = append(texts, text.String())
	}
	return texts
}
