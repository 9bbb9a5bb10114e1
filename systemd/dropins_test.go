package systemd

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fencingDropIns are the drop-ins of the fencing methods: file → the page that tells of it, and all that it may change.
var fencingDropIns = map[string]struct {
	page string
	want unit
}{
	"fence-agent.conf": {"fence-agent.md", unit{
		"Service.CapabilityBoundingSet": {"CAP_SYS_ADMIN"}, "Service.RestrictNamespaces": {"pid"},
	}},
	"sbd.conf": {"sbd.md", unit{
		"Unit.After":             {"iscsid.service open-iscsi.service multipathd.service"},
		"Service.PrivateDevices": {"no"}, "Service.DeviceAllow": {"block-sd rw", "block-device-mapper rw"},
	}},
	"scsi-pr.conf": {"scsi-pr.md", unit{
		"Unit.After":             {"iscsid.service open-iscsi.service"},
		"Service.PrivateDevices": {"no"}, "Service.DeviceAllow": {"block-sd rw"}, "Service.CapabilityBoundingSet": {"CAP_SYS_RAWIO"},
	}},
	"scsi-pr-multipath.conf": {"scsi-pr.md", unit{
		"Unit.After":          {"multipathd.service"},
		"Service.DeviceAllow": {"block-device-mapper rw", "/dev/mapper/control rw"}, "Service.CapabilityBoundingSet": {"CAP_SYS_ADMIN"},
	}},
}

// storageDropIns are the storages' drop-ins, and all that each may change: disks may be read, and volumes deactivated.
var storageDropIns = map[string]unit{
	"block.conf": {"Unit.After": {"iscsid.service open-iscsi.service multipathd.service"}, "Service.PrivateDevices": {"no"},
		"Service.DeviceAllow": {"block-sd r", "block-device-mapper r"}},
	"deactivate.conf": {"Service.PrivateDevices": {"no"}, "Service.DeviceAllow": {"/dev/mapper/control rw"}, "Service.CapabilityBoundingSet": {"CAP_SYS_ADMIN"}},
}

func TestStorageDropIns(t *testing.T) {
	files, err := filepath.Glob("storage/*")
	if err != nil || len(files) != len(storageDropIns) {
		t.Fatalf("%v, %v: this test knows %d drop-ins", files, err, len(storageDropIns))
	}
	page := read(t, filepath.Join("..", "docs", "storage.md"))
	for name, want := range storageDropIns {
		u := parseUnit(t, filepath.Join("storage", name))
		for key, values := range u {
			if !slices.Equal(values, want[key]) {
				t.Errorf("%s: %s = %q, want %q", name, key, values, want[key])
			}
		}
		if len(u) != len(want) {
			t.Errorf("%s sets %d things, want %d", name, len(u), len(want))
		}
		if !strings.Contains(page, "systemd/storage/"+name) {
			t.Errorf("docs/storage.md does not tell of %s", name)
		}
	}
}

// systemd takes them.
func TestVerifyStorageDropIns(t *testing.T) {
	together := copyUnits(t)
	for name := range storageDropIns {
		write(t, filepath.Join(together, daemon+".d", name), read(t, filepath.Join("storage", name)))
	}
	if got := verify(together, daemon); got != "" {
		t.Errorf("%s with the storages' drop-ins: %s", daemon, got)
	}
}

// Each drop-in opens what its method needs and nothing else: it adds to the unit's lists and never empties one.
func TestFencingDropIns(t *testing.T) {
	files, err := filepath.Glob("fencing/*")
	if err != nil || len(files) != len(fencingDropIns) {
		t.Fatalf("%v, %v: this test knows %d drop-ins", files, err, len(fencingDropIns))
	}
	for name, c := range fencingDropIns {
		path := filepath.Join("fencing", name)
		u := parseUnit(t, path)
		for key, values := range u {
			if !slices.Equal(values, c.want[key]) {
				t.Errorf("%s: %s = %q, want %q", path, key, values, c.want[key])
			}
		}
		if len(u) != len(c.want) {
			t.Errorf("%s sets %d things, want %d", path, len(u), len(c.want))
		}
		head := read(t, path)
		for _, line := range []string{
			"# ", "install -D -m 0644 " + name + " /etc/systemd/system/" + daemon + ".d/" + name, "systemctl daemon-reload && systemctl restart basculed",
		} {
			if !strings.Contains(head, line) {
				t.Errorf("%s does not say %q", path, line)
			}
		}
	}
}

// settings of units that a page must not repeat: the drop-in is the one place.
var repeated = regexp.MustCompile(`(?m)^\s*(CapabilityBoundingSet|RestrictNamespaces|PrivateDevices|DeviceAllow)=`)

// mention is a drop-in as the documentation names it.
var mention = regexp.MustCompile(`systemd/fencing/([a-z-]+\.conf)`)

// The pages name each drop-in, name none that is not there, and leave its text to it.
func TestPagesNameTheDropIns(t *testing.T) {
	pages, err := filepath.Glob("../docs/fencing/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("the methods' pages are not found: %v %v", pages, err)
	}
	install := read(t, "../docs/install.md")
	for _, page := range append(pages, "../docs/install.md") {
		text := read(t, page)
		if line := repeated.FindString(text); line != "" {
			t.Errorf("%s repeats a drop-in: %q", page, strings.TrimSpace(line))
		}
		for _, m := range mention.FindAllStringSubmatch(text, -1) {
			if _, known := fencingDropIns[m[1]]; !known {
				t.Errorf("%s names systemd/fencing/%s, which is not there", page, m[1])
			}
		}
	}
	for name, c := range fencingDropIns {
		for where, text := range map[string]string{c.page: read(t, filepath.Join("../docs/fencing", c.page)), "install.md": install} {
			if !strings.Contains(text, "systemd/fencing/"+name) {
				t.Errorf("%s does not name systemd/fencing/%s", where, name)
			}
		}
	}
}

// systemd takes each drop-in, and all of them together.
func TestVerifyDropIns(t *testing.T) {
	together := copyUnits(t)
	for name := range fencingDropIns {
		dir := copyUnits(t)
		for _, d := range []string{dir, together} {
			write(t, filepath.Join(d, daemon+".d", name), read(t, filepath.Join("fencing", name)))
		}
		if got := verify(dir, daemon); got != "" {
			t.Errorf("%s with %s: %s", daemon, name, got)
		}
	}
	if got := verify(together, daemon); got != "" {
		t.Errorf("%s with all drop-ins: %s", daemon, got)
	}
	write(t, filepath.Join(together, daemon+".d", "sbd.conf"), "[Service]\nDevicesAllow=block-sd rw\n")
	if got := verify(together, daemon); !strings.Contains(got, "DevicesAllow") {
		t.Errorf("a misspelt setting in a drop-in went unnoticed: %q", got)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
