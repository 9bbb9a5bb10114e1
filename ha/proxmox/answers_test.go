package proxmox

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"bascule/ha"
)

// One container with cpulimit 1.5 breaks the client library's reading of a whole list; guests without fresh statistics are "unknown", and
// have neither name nor memory in it. Those come from the config, and none is left out.
func TestOddGuestsSpoilNoList(t *testing.T) {
	const list = `[{"vmid":"200","status":"running","cpus":1.5,"maxcpu":1.5,"cpulimit":"1.5","name":null,"template":""},
		{"vmid":201,"status":"unknown"},{"status":null,"vmid":202.0,"type":7,"maxmem":null},{"vmid":203,"status":"stopped","cpus":"2"}]`
	conf := func(name string) string {
		return "hostname: " + name + "\nmemory: 2048\ncpulimit: 1.5\nrootfs: shared:1\n"
	}
	tree := newTree(map[string]string{"nodes/n1/lxc/200.conf": conf("a"), "nodes/n1/lxc/201.conf": conf("b"),
		"nodes/n1/lxc/202.conf": conf("c"), "nodes/n1/lxc/203.conf": conf("d")})
	inv, err := inventoryPVE(t).on("GET /nodes/n1/lxc", ok(list)).driver(t, tree).Inventory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range inv.Guests {
		state := "stopped"
		if g.Running { // what is not known to be stopped counts as taking memory
			state = "running"
		}
		got = append(got, g.Name+" "+state)
		if g.Memory != 2048<<20 {
			t.Errorf("%d has %d bytes", g.ID, g.Memory)
		}
	}
	if want := []string{"a running", "b running", "c running", "d stopped"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzAnswers gives any bytes for data: nothing panics, and nothing but the word "running" makes a guest run.
func FuzzAnswers(f *testing.F) {
	for _, data := range []string{storageList, nodeStatus, running, fullToken + "}", `[{"upid":"UPID:n1:1:1:1:qmstop:100:root@pam:","status":"RUNNING","endtime":null}]`,
		`{"status":"running","vmid":"100","qmpstatus":null}`, `null`, `[]`, `{}`, `"x"`, `[null]`} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var rows []storageRow
		_ = json.Unmarshal(data, &rows)
		for _, r := range rows {
			if r.usable() && (r.Active.Value == 0 || r.Enabled.Set && r.Enabled.Value == 0) {
				t.Fatalf("%+v is usable", r)
			}
		}
		var tasks []taskRow
		_ = json.Unmarshal(data, &tasks)
		for _, r := range tasks {
			if r.running() && r.Status != "" && r.Status != "RUNNING" && r.End.Set {
				t.Fatalf("%+v runs", r)
			}
			_, _, _ = r.good(), r.who(), r.of(ha.VMID(100))
		}
		var status taskStatus
		if json.Unmarshal(data, &status) == nil && status.ExitStatus == "OK" && !strings.Contains(string(data), "OK") && !strings.Contains(string(data), `\u`) {
			t.Fatalf("%q ended OK", data)
		}
		(&StatusError{Message: string(data)}).Unwrap()
	})
}
