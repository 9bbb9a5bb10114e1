package pvesim

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestDelaysAreAsRecorded: the lab's times are by default those that a real cluster took. Tests shorten them; a lab
// that is started without Timing does not.
func TestDelaysAreAsRecorded(t *testing.T) {
	dir := recordedDir(t)
	var def = Timing{}.withDefaults()
	for _, tt := range []struct {
		name     string
		from, to time.Duration // the lab's default must make the answer come after no less, and no more
	}{
		{"auth_none", def.AuthFail, def.AuthFail},
		{"auth_token_wrong_secret", def.AuthFail, def.AuthFail},
		{"auth_ticket_wrong_password", def.AuthFail, def.AuthFail},
		{"dead_node_status_refused", def.ProxyRefused, def.ProxyRefused},
		{"dead_node_vm_start_refused", def.ProxyRefused, def.ProxyRefused},
		{"dead_node_status_noarp", def.ProxyNoRouteSoon, def.ProxyNoRouteSoon},
		{"dead_node_status_noarp_2", def.ProxyNoRoute, def.ProxyNoRoute},
		{"dead_node_storage_noarp", def.ProxyNoRoute, def.ProxyNoRoute},
		{"peer_isolated_vm_start", def.ProxyNoRoute, def.ProxyNoRoute},
		{"dead_node_task_status", def.ProxyNoRoute, def.ProxyNoRouteSoon},
		{"dead_node_status_blackhole", def.ProxyBlackhole, def.ProxyBlackhole},
		{"dead_node_vm_start_blackhole", def.ProxyBlackhole, def.ProxyBlackhole},
		{"dead_node_status_during_detection", def.ProxyBlackhole, def.ProxyBlackhole},
	} {
		data, err := os.ReadFile(filepath.Join(dir, tt.name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var rec struct {
			Elapsed float64 `json:"elapsed_ms"`
		}
		if err := json.Unmarshal(data, &rec); err != nil {
			t.Fatal(err)
		}
		took := time.Duration(rec.Elapsed * float64(time.Millisecond))
		slack := max(took/50, time.Millisecond)
		if took < tt.from-slack || took > tt.to+slack {
			t.Errorf("%s took %v, the lab's default is %v to %v", tt.name, took, tt.from, tt.to)
		}
	}
	// dead_node_cluster_resources_after_expiry: "295 s after n3 died". The re-formations: rename-during-reformation.txt.
	if def.StatExpiry != 295*time.Second || def.SSHNoRoute != 3*time.Second || def.LockTimeout != 10*time.Second || ReformDefault != 8*time.Second || ReformTuned != 2200*time.Millisecond {
		t.Errorf("defaults %+v", def)
	}
}
