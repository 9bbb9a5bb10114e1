package proxmox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/pve"
)

// mockCheck holds the driver against one kind of answer; node and rest are what its expression found in the path.
type mockCheck struct {
	what  string
	path  *regexp.Regexp
	check func(t *testing.T, m mock, found []string)
}

var mockChecks = []mockCheck{
	{"status/current", regexp.MustCompile(`^/nodes/(\w+)/(qemu|lxc)/(\d+)/status/current$`), checkMockCurrent},
	{"config", regexp.MustCompile(`^/nodes/\w+/(qemu|lxc)/(\d+)/config$`), checkMockConfig},
	{"guests", regexp.MustCompile(`^/nodes/(\w+)/(qemu|lxc)$`), checkMockGuests},
	{"node", regexp.MustCompile(`^/nodes/(\w+)/status$`), checkMockNode},
	{"storages", regexp.MustCompile(`^/nodes/(\w+)/storage$`), checkMockStorages},
	{"task", regexp.MustCompile(`^/nodes/(\w+)/tasks/([^/]+)/status$`), checkMockTask},
	{"log", regexp.MustCompile(`^/nodes/\w+/tasks/([^/]+)/log$`), checkMockLog},
	{"resources", regexp.MustCompile(`^/cluster/resources$`), checkMockResources},
	{"permissions", regexp.MustCompile(`^/access/permissions$`), checkMockPermissions},
}

// go-proxmox's own test data for PVE 7, 8 and 9, in place: what the driver asks for is read without an error and with the values that are there.
func TestGoProxmoxTestData(t *testing.T) {
	for _, version := range []string{"pve7x", "pve8x", "pve9x"} {
		t.Run(version, func(t *testing.T) {
			counts, all := map[string]int{}, goMocks(t, version)
			checkMadeByHand(t, version, all)
			for _, m := range all {
				for _, c := range mockChecks {
					found := c.path.FindStringSubmatch(m.path)
					if found == nil || m.method != "GET" {
						continue
					}
					counts[c.what]++
					if m.code != 200 {
						checkMockError(t, m)
						continue
					}
					c.check(t, m, found)
				}
			}
			for _, c := range mockChecks {
				if counts[c.what] == 0 {
					t.Errorf("no answer of the kind %s was found: has the library's test data moved?", c.what)
				}
			}
			t.Logf("%v", counts)
		})
	}
}

func checkMockError(t *testing.T, m mock) {
	var out any
	err := newFakePVE(t).on("GET "+m.path, m.answer()).driver(t, newTree(nil)).get(context.Background(), m.path, &out)
	var status *StatusError
	if !errors.As(err, &status) || status.Code != m.code {
		t.Errorf("%s: got %v, want %d", m.path, err, m.code)
	}
}

func (m mock) driver(t *testing.T, node string) (*fakePVE, *Driver) {
	f := newFakePVE(t).on("GET "+m.path, m.answer())
	return f, f.driver(t, newTree(map[string]string{".members": `{"nodename":"` + node + `"}`,
		"nodes/" + node + "/qemu-server/.keep": "", "nodes/" + node + "/lxc/.keep": ""}), func(c *Config) { c.Node = ha.NodeName(node) })
}

func checkMockCurrent(t *testing.T, m mock, found []string) {
	_, d := m.driver(t, found[1])
	id, _ := strconv.Atoi(found[3])
	got, err := d.Running(context.Background(), ha.VMID(id), ha.GuestKind(found[2]))
	if want := m.object(t)["status"] == "running"; err != nil || got != want {
		t.Errorf("%s: running %t, %v, want %t", m.path, got, err, want)
	}
}

// checkMockConfig writes the answer as the file that it would come from; the driver reads configs there.
func checkMockConfig(t *testing.T, m mock, found []string) {
	kind, o := ha.GuestKind(found[1]), m.object(t)
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if raw, ok := o[key].([]any); ok { // LXC's own keys come as pairs
			for _, pair := range raw {
				fmt.Fprintf(&text, "%s: %s\n", pair.([]any)[0], pair.([]any)[1])
			}
			continue
		}
		fmt.Fprintf(&text, "%s: %s\n", key, strings.TrimSpace(fmt.Sprint(o[key])))
	}
	c := pve.ParseGuestConfig(kind, []byte(text.String()))
	if got := string(c.Render()); got != text.String() {
		t.Errorf("%s: %q came back as %q", m.path, text.String(), got)
	}
	name := "name"
	if kind == ha.LXC {
		name = "hostname"
	}
	want := fmt.Sprint(o[name], " ", o["memory"], " ", o["onboot"] == json.Number("1"))
	if got := fmt.Sprint(c.Name(), " ", c.Memory()>>20, " ", c.Onboot()); got != want {
		t.Errorf("%s: got %s, want %s", m.path, got, want)
	}
	if tags, ok := o["tags"].(string); ok && strings.Join(c.Tags(), ";") != tags {
		t.Errorf("%s: tags %q, want %s", m.path, c.Tags(), tags)
	}
	for key, value := range o { // every volume is on the list of disks, with its storage
		volume, _, _ := strings.Cut(fmt.Sprint(value), ",")
		storage, _, _ := strings.Cut(volume, ":")
		isDisk := regexp.MustCompile(`^((ide|sata|scsi|virtio|mp)\d+|rootfs)$`).MatchString(key) && !strings.Contains(fmt.Sprint(value), "media=cdrom")
		listed := slices.ContainsFunc(c.Disks(), func(d pve.Disk) bool {
			return d.Key == key && d.Volume == volume && (d.Storage == storage || strings.HasPrefix(volume, "/") && d.Storage == "")
		})
		if isDisk != listed {
			t.Errorf("%s: %s: %v is a disk %t, listed %t", m.path, key, value, isDisk, listed)
		}
	}
}

func checkMockGuests(t *testing.T, m mock, found []string) {
	f, d := m.driver(t, found[1])
	var guests []ha.GuestSeen
	want := map[ha.VMID]bool{}
	for _, row := range m.rows(t) {
		id, err := strconv.Atoi(fmt.Sprint(row["vmid"]))
		if err != nil {
			t.Fatal(err)
		}
		guests = append(guests, ha.GuestSeen{ID: ha.VMID(id), Kind: ha.GuestKind(found[2])})
		want[ha.VMID(id)] = row["status"] == "running"
	}
	for _, g := range d.countOthers(context.Background(), guests) {
		if g.Running != want[g.ID] {
			t.Errorf("%s: %d running %t", m.path, g.ID, g.Running)
		}
	}
	if f.count("GET") != 1 {
		t.Errorf("asked %q", f.asked)
	}
}

func checkMockNode(t *testing.T, m mock, found []string) {
	f, d := m.driver(t, found[1])
	f.on("GET /nodes/"+found[1]+"/storage", ok("[]"))
	inv, err := d.Inventory(context.Background())
	memory, _ := m.object(t)["memory"].(map[string]any)
	if memory == nil { // made by hand: a real node has one
		if !errors.Is(err, ErrNoAnswer) {
			t.Errorf("%s: got %v, want ErrNoAnswer", m.path, err)
		}
		return
	}
	if err != nil || fmt.Sprint(inv.Memory) != fmt.Sprint(memory["total"]) {
		t.Errorf("%s: %d bytes, %v, want %v", m.path, inv.Memory, err, memory["total"])
	}
}

func checkMockStorages(t *testing.T, m mock, found []string) {
	_, d := m.driver(t, found[1])
	names := []string{"no-such"}
	var want []string
	for _, row := range m.rows(t) {
		names = append(names, fmt.Sprint(row["storage"]))
		if row["active"] != json.Number("1") || row["enabled"] != json.Number("1") {
			want = append(want, fmt.Sprint(row["storage"]))
		}
	}
	got, err := d.StoragesActive(context.Background(), names)
	if err != nil || !slices.Equal(got, append([]string{"no-such"}, want...)) {
		t.Errorf("%s: inactive %q, %v, want %q", m.path, got, err, want)
	}
}

func checkMockTask(t *testing.T, m mock, found []string) {
	f, d := m.driver(t, found[1])
	f.on("GET /nodes/"+found[1]+"/tasks/"+found[2]+"/log", ok("[]"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o := m.object(t)
	d.sleep = func(context.Context, time.Duration) error { cancel(); return context.Canceled }
	err := d.follow(ctx, worker{upid: found[2], action: "start", kind: ha.QEMU, id: 100}, nil)
	var failed *TaskError
	switch {
	case o["status"] == "running":
		if !errors.Is(err, ErrStillRunning) {
			t.Errorf("%s: got %v, want ErrStillRunning", m.path, err)
		}
	case o["exitstatus"] == "OK":
		if err != nil {
			t.Errorf("%s: %v", m.path, err)
		}
	case !errors.As(err, &failed) || failed.ExitStatus != o["exitstatus"]:
		t.Errorf("%s: got %v, want %v", m.path, err, o["exitstatus"])
	}
}

func checkMockLog(t *testing.T, m mock, found []string) {
	_, d := m.driver(t, "node1")
	lines, err := d.logLines(context.Background(), found[1], 0)
	rows := m.rows(t)
	if err != nil || len(lines) != len(rows) || (len(rows) > 0 && lines[0] != rows[0]["t"]) {
		t.Errorf("%s: got %q, %v", m.path, lines, err)
	}
}

// checkMockResources: the driver never asks for these; its tolerant types would read them all.
func checkMockResources(t *testing.T, m mock, _ []string) {
	var rows []struct {
		VMID   pve.Number `json:"vmid"`
		CPUs   pve.Number `json:"maxcpu"`
		Memory pve.Number `json:"maxmem"`
		Status pve.Word   `json:"status"`
		Name   pve.Word   `json:"name"`
		Node   pve.Word   `json:"node"`
		Type   pve.Word   `json:"type"`
	}
	if err := json.Unmarshal([]byte(m.body), &struct {
		Data any `json:"data"`
	}{&rows}); err != nil {
		t.Fatalf("%s: %v", m.path, err)
	}
	for i, row := range m.rows(t) {
		text := func(key string) string {
			if v, ok := row[key]; ok {
				return fmt.Sprint(v)
			}
			return ""
		}
		r := rows[i]
		if string(r.Status) != text("status") || string(r.Name) != text("name") || string(r.Node) != text("node") || string(r.Type) != text("type") ||
			r.VMID.Set != (text("vmid") != "") || r.VMID.Set && fmt.Sprint(r.VMID.Value) != text("vmid") ||
			r.Memory.Set && fmt.Sprint(r.Memory.Value) != text("maxmem") || r.CPUs.Set && fmt.Sprint(r.CPUs.Value) != text("maxcpu") {
			t.Errorf("row %d: got %+v of %v", i, r, row)
		}
	}
}

// checkMockPermissions: the whole answer is a full token's; those for one path are made by hand and grant nothing that exists.
func checkMockPermissions(t *testing.T, m mock, _ []string) {
	_, d := m.driver(t, "node1")
	err := d.CheckPrivileges(context.Background())
	var weak *WeakTokenError
	if full := len(m.params) == 0; full != (err == nil) || !full && !errors.As(err, &weak) {
		t.Errorf("%s %v: %v", m.path, m.params, err)
	}
}
