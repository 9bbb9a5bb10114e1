package pvesim

import (
	"os"
	"strings"
	"testing"
)

// realConfig is written as Proxmox and its users write it: a multi-line description with what has to be escaped, odd tags,
// pending changes, cloud-init's own section, and two snapshots with keys of the main section, one of them locked.
const realConfig = `#first line
#%C3%A4%3A 100%25 # not a section%3A [PENDING]
#
#last
boot: order=scsi0;net0
cores: 1
ide2: shared:100/vm-100-cloudinit.qcow2,media=cdrom
memory: 2048
name: web1
onboot: 1
parent: before-upgrade
scsi0: shared:100/vm-100-disk-0.qcow2,size=8G
smbios1: uuid=00000000-0000-4000-8000-000000000100
tags: ;HA;;prod,x_1.2+3;
unused0: shared:100/vm-100-disk-9.qcow2

[PENDING]
cores: 4
delete: onboot
memory: 4096

[special:cloudinit]
name: web1
lock: backup

[before-upgrade]
#taken before the upgrade
cores: 2
lock: snapshot
memory: 1024
name: old
scsi0: shared:100/vm-100-disk-7.qcow2,size=8G
snaptime: 1795297910

[older_One]
name: older
snaptime: 1795297000
vmstate: shared:100/vm-100-state-older_One.raw
`

// TestConfigsAsRealOnesAreWritten: only the main section is the guest; the others stay byte for byte when it changes.
func TestConfigsAsRealOnesAreWritten(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	disk := "storage/volumes/shared/100/vm-100-disk-0.qcow2"
	lab.must(lab.edit(100, func([]byte) []byte { return []byte(realConfig) }))
	get := func(path string) map[string]any {
		t.Helper()
		r, err := lab.call("n1", lab.ticket(), "GET", vm100+path, nil)
		if err != nil || r.status != 200 {
			t.Fatalf("%s: %d %s %v", path, r.status, r.reason, err)
		}
		m, _ := r.data().(map[string]any)
		return m
	}
	now, next, old := get("/config?current=1"), get("/config"), get("/config?snapshot=before-upgrade")
	if now["cores"] != 1.0 || now["onboot"] != 1.0 || now["lock"] != nil || now["name"] != "web1" || now["parent"] != nil || now["tags"] != ";HA;;prod,x_1.2+3;" {
		t.Errorf("now: %v", now)
	}
	if now["description"] != "first line\nä: 100% # not a section: [PENDING]\n\nlast" {
		t.Errorf("description %q", now["description"])
	}
	if next["cores"] != 4.0 || next["memory"] != "4096" || next["onboot"] != nil {
		t.Errorf("with what is pending: %v", next)
	}
	if old["name"] != "old" || old["lock"] != "snapshot" || old["description"] != "taken before the upgrade\n" {
		t.Errorf("the snapshot: %v", old)
	}
	if rows := lab.do("n1", "GET", vm100+"/snapshot", nil).data().([]any); len(rows) != 3 || rows[2].(map[string]any)["parent"] != "before-upgrade" {
		t.Errorf("snapshots: %v", rows)
	}
	if r := row(lab.do("n1", "GET", "/cluster/resources?type=vm", nil).data(), 100).(map[string]any); r["lock"] != nil || r["tags"] != ";HA;;prod,x_1.2+3;" {
		t.Errorf("resources: %v", r)
	}
	lab.must(lab.SetLock(100, "backup"))
	lab.must(lab.Unlock("n1", 100))
	file := func() string { data, _ := lab.sock("n1").read(n1vm + "100.conf"); return string(data) }
	if got := file(); got != realConfig {
		t.Errorf("after locking and unlocking:\n%s", got)
	}
	if _, err := os.Stat(lab.opt.Dir + "/" + disk); err != nil {
		t.Fatal(err)
	}
	if got := lab.task("n1", vm100+"/status/start", nil); got != "OK" {
		t.Fatalf("start: %s", got)
	}
	_, sections, _ := strings.Cut(realConfig, "[special")
	if got := file(); strings.Contains(got, "\n[PENDING]") || !strings.Contains(got, "cores: 4\n") || strings.Contains(got, "onboot") || !strings.HasSuffix(got, "\n\n[special"+sections) {
		t.Errorf("the start must have taken the pending changes and left the rest:\n%s", got)
	}
}

// TestPendingChanges: a change of a running VM waits for its next start (vm_config_put_pending, vm_pending_get).
func TestPendingChanges(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	lab.task("n1", vm100+"/status/start", nil)
	put := func(form string) {
		t.Helper()
		if r, err := lab.call("n1", lab.ticket(), "PUT", vm100+"/config?"+form, nil); err != nil || r.status != 200 {
			t.Fatalf("%s: %d %s %v", form, r.status, r.reason, err)
		}
	}
	file := func() string { data, _ := lab.sock("n1").read(n1vm + "100.conf"); return string(data) }
	put("cores=4&tags=a%3Bb")
	if got := file(); !strings.HasSuffix(got, "\n\n[PENDING]\ncores: 4\n") || !strings.Contains(got, "cores: 1\n") || !strings.Contains(got, "tags: a;b\n") {
		t.Errorf("after a change:\n%s", got)
	}
	put("delete=cores")
	put("sockets=2")
	if got := file(); !strings.HasSuffix(got, "[PENDING]\ndelete: cores\nsockets: 2\n") {
		t.Errorf("after a removal:\n%s", got)
	}
	lab.task("n1", vm100+"/status/stop", nil)
	lab.task("n1", vm100+"/status/start", nil)
	if got := file(); strings.Contains(got, "PENDING") || strings.Contains(got, "cores") || !strings.Contains(got, "sockets: 2\n") {
		t.Errorf("after the next start:\n%s", got)
	}
}
