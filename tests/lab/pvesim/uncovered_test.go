package pvesim

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// uncovered are the recorded cases that are not replayed, by their reason.
var uncovered = []struct{ why, names string }{
	{"Users, roles, tokens and ACLs: the lab's are given when it is made, and the product never manages any.",
		`access_acl_put_token access_acl_put_user access_role_create access_token_create_exists access_token_create_noprivsep
		access_token_create_privsep access_token_list noquorum_acl_put`},
	{"Making guests: the lab's guests are made from outside, before it starts.",
		`vm_create_bad_params vm_create_bad_pool vm_create_bad_storage vm_create_missing_vmid vm_create_ok vm_create_vmid_exists
		vm_create_vmid_exists_other_node noquorum_vm_create`},
	{"A live manager of Proxmox's HA: none runs in the lab, where what is asked of it stays queued.",
		`cluster_ha_manager_status cluster_ha_status_current cli_ha_files cli_ha_manager_status`},
	{"Command line tools, for which the lab has no counterpart: what they show is in the API or in /etc/pve.",
		`cli_corosync_cfgtool cli_ha_manager_config cli_ha_manager_status_idle cli_noquorum_ha_manager cli_noquorum_pvecm_status cli_noquorum_quorumtool
		cli_pct_list cli_pct_list_ct cli_peer_isolated_quorumtool cli_pvecm_nodes cli_pvecm_status cli_pvesh_resources cli_pveversion cli_qm_config cli_qm_list
		cli_qm_status cli_qm_status_verbose cli_quorumtool`},
	{"Rules of Proxmox's HA are only read in the lab.", `ha_rule_add ha_rule_delete`},
	{"Corosync's transport: the recorded cluster ran udpu, real ones and the lab's corosync.conf do not.", `cluster_config_totem`},
	{"Not modelled, and nothing in the product asks for it: cluster log, datacenter options, replication, network, contents of storages, the index of calls, features, changes of storage.cfg.",
		`cluster_log cluster_options_ok cluster_replication_ok node_replication_ok node_network_bridges node_network_ok
		node_storage_content_ok node_storage_content_unmounted noquorum_storage_put vm_feature_snapshot vm_status_dir`},
	{"The guest agent: guests of the lab have none to configure.", `vm_agent_ping_no_agent`},
	{"The cause was an artefact of the recording's lab (README.txt there: /usr/sbin/qm was missing on the target); its outcome is replayed as task_status_migrate_online_failed.",
		`task_log_migrate_online_failed`},
}

// TestConformanceIsComplete: every recorded case is replayed or listed, none is both, and none is made up.
func TestConformanceIsComplete(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(recordedDir(t), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings", err)
	}
	recorded := map[string]bool{}
	for _, f := range files {
		recorded[strings.TrimSuffix(filepath.Base(f), ".json")] = true
	}
	replayed := map[string]bool{}
	for name := range replayedNames() {
		replayed[name] = true
		if !recorded[name] {
			t.Errorf("%s is replayed, but no such case was recorded", name)
		}
	}
	for _, u := range uncovered {
		for _, name := range strings.Fields(u.names) {
			switch {
			case !recorded[name]:
				t.Errorf("%s is listed as uncovered, but no such case was recorded", name)
			case replayed[name]:
				t.Errorf("%s is listed as uncovered, but is replayed", name)
			}
			delete(recorded, name)
		}
	}
	for name := range recorded {
		if !replayed[name] {
			t.Errorf("%s is neither replayed nor listed in uncovered", name)
		}
	}
	if len(replayed) < 250 {
		t.Errorf("only %d of %d recorded cases are replayed", len(replayed), len(files))
	}
	conformance.Lock()
	conformance.recorded = len(files)
	conformance.Unlock()
}

// replayedNames are the names of all cases in the groups and commands.
func replayedNames() map[string]bool {
	out := map[string]bool{}
	for _, g := range slices.Concat(clusterGroups, vmGroups, ctGroups) {
		for _, c := range g.cases {
			out[c.name] = true
		}
	}
	for _, g := range commandGroups {
		for _, c := range g.cases {
			out[c.name] = true
		}
	}
	return out
}

// TestRecordingsAreWhole: a recording that cannot be read would silently not be compared.
func TestRecordingsAreWhole(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(recordedDir(t), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		var rec recording
		if err == nil {
			err = json.Unmarshal(data, &rec)
		}
		if err != nil || rec.Request.Method == "" || rec.Request.Path == "" {
			t.Errorf("%s: %v", f, err)
		}
	}
}
