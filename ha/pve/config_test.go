package pve

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bascule/ha"
)

// sample is one of the configs in testdata/configs, written as real ones are.
type sample struct {
	name string
	kind ha.GuestKind
	data []byte
}

func samples(t testing.TB) []sample {
	t.Helper()
	files, err := filepath.Glob("testdata/configs/*.conf")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d configs, %v", len(files), err)
	}
	var all []sample
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := sample{name: filepath.Base(file), kind: ha.QEMU, data: data}
		if strings.HasPrefix(s.name, "ct-") {
			s.kind = ha.LXC
		}
		all = append(all, s)
	}
	return all
}

// keysEdited are those that the driver edits, and one that is in no config.
var keysEdited = []string{"lock", "onboot", "startup"}

// Every config comes back byte for byte, and editing a key changes that line of the main section and nothing else.
func TestConfigsAreKeptByteForByte(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			checkParse(t, s.kind, s.data)
			for _, key := range keysEdited {
				checkEdits(t, s.kind, s.data, key)
			}
		})
	}
}

func TestConfigSections(t *testing.T) {
	for _, s := range samples(t) {
		want, listed := map[string]string{
			"vm-snapshots-pending-cloudinit.conf": "|PENDING|special:cloudinit|special:fleecing|before_upgrade|first|half",
			"vm-crlf.conf":                        "|snap1",
			"vm-odd.conf":                         "|PENDING|special:cloudinit|pending",
			"vm-invalid-utf8.conf":                "", // PVE takes no such name for a snapshot's
			"ct-raw-and-sections.conf":            "|pve:pending|daily",
		}[s.name]
		if !listed {
			continue
		}
		var names []string
		for _, sec := range ParseGuestConfig(s.kind, s.data).parts {
			names = append(names, sec.name)
		}
		if got := strings.Join(names, "|"); got != want {
			t.Errorf("%s: sections %q, want %q", s.name, got, want)
		}
	}
}

// What the samples say, as PVE would read them.
func TestConfigsSayWhatPVEReads(t *testing.T) {
	type facts struct {
		name   string
		onboot bool
		lock   string
		memory int64
		tags   string
	}
	for file, want := range map[string]facts{
		"vm-plain.conf":                       {"web1", true, "", 64, "ha prod web"},
		"vm-snapshots-pending-cloudinit.conf": {"db01.example.com", false, "snapshot", 4096, "HA critical db"},
		"vm-crlf.conf":                        {"crlf", true, "backup", 512, ""},
		"vm-no-final-newline.conf":            {"short", true, "", 512, ""},
		"vm-snapshot-no-final-newline.conf":   {"short", false, "", 512, ""},
		"vm-invalid-utf8.conf":                {"caf\xe9", true, "x", 512, "\xc3( ha"},
		"vm-duplicates.conf":                  {"two", true, "backup", 1024, ""},
		"vm-odd.conf":                         {"web", false, "backup", 512, "HA web prod x"},
		"vm-nul-and-controls.conf":            {"a\x00b", false, "", 256, ""},
		"vm-utf8-bom.conf":                    {"", true, "", 512, ""},
		"vm-empty.conf":                       {"", false, "", 512, ""},
		"ct-plain.conf":                       {"ct200", true, "mounted", 64, "ct ha"},
		"ct-raw-and-sections.conf":            {"ct201", false, "", 2048, ""},
	} {
		for _, s := range samples(t) {
			if s.name != file {
				continue
			}
			c := ParseGuestConfig(s.kind, s.data)
			got := facts{c.Name(), c.Onboot(), c.Lock(), c.Memory() >> 20, strings.Join(c.Tags(), " ")}
			if got != want {
				t.Errorf("%s: got %+v, want %+v", file, got, want)
			}
		}
	}
}

func TestConfigReadsTheMainSectionOnly(t *testing.T) {
	c := ParseGuestConfig(ha.QEMU, []byte("#desc\n#tags: no\nname: web1\ntags: ha;prod,web x\nmemory: current=2048\n"+
		"onboot: yes\ntemplate: 0\nlock: create\nlock: backup\n broken: 1\nempty:\n\n[snap1]\nname: old\nlock: x\n[PENDING]\nmemory: 1\n"))
	if c.Name() != "web1" || c.Memory() != 2048<<20 || !c.Onboot() || c.Template() || c.Lock() != "backup" {
		t.Errorf("got %q %d %t %t %q", c.Name(), c.Memory(), c.Onboot(), c.Template(), c.Lock())
	}
	if !slices.Equal(c.Tags(), []string{"ha", "prod", "web", "x"}) {
		t.Errorf("tags %q", c.Tags())
	}
	for _, key := range []string{"broken", "empty", "desc"} {
		if v, found := c.Get(key); found {
			t.Errorf("%s = %q", key, v)
		}
	}
}

func TestMemory(t *testing.T) {
	for text, mib := range map[string]int64{
		"": 512, "memory: 64\n": 64, "memory: current=4096\n": 4096, "memory: lots\n": 512, "memory: -1\n": 512,
		"memory: 99999999999999999999\n": 512, "memory: 2048 \r\n": 2048, "memory: 64\nmemory: lots\n": 64,
	} {
		if got := ParseGuestConfig(ha.QEMU, []byte(text)).Memory(); got != mib<<20 {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

// configText draws configs with everything in them that editing could spoil.
func configText(t *rapid.T) []byte {
	line := rapid.OneOf(
		rapid.SampledFrom([]string{"onboot: 0", "onboot: 1", "lock: backup", "name: a", "", " ", "#x: y", "#onboot: 1", "onboot:", "onboot: ",
			"description: a%3Ab", "lxc.cap.drop = sys_time", " onboot: 1", "[snap]", "[s]", "[PENDING]", "[special:cloudinit]", "[", "a\r", "lock: x\v"}),
		rapid.StringMatching(`[a-z]{1,6}\d?: [ -~]{0,12}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 8), func(b []byte) string { return strings.ReplaceAll(string(b), "\n", "") }),
	)
	text := strings.Join(rapid.SliceOfN(line, 0, 14).Draw(t, "lines"), "\n")
	if rapid.Bool().Draw(t, "newline") {
		text += "\n"
	}
	return []byte(text)
}

func TestEditsKeepEveryOtherByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]ha.GuestKind{ha.QEMU, ha.LXC}).Draw(t, "kind")
		data := configText(t)
		checkParse(t, kind, data)
		checkEdits(t, kind, data, rapid.SampledFrom(keysEdited).Draw(t, "key"))
	})
}

// Copied bytes: what the caller does to its own later does not reach the config.
func TestConfigKeepsItsOwnBytes(t *testing.T) {
	data := []byte("onboot: 1\n")
	c := ParseGuestConfig(ha.QEMU, data)
	data[8] = '0'
	set := c.Set("onboot", "0")
	if got := c.Render(); !c.Onboot() || !bytes.Equal(got, []byte("onboot: 1\n")) || string(set) != "onboot: 0\n" {
		t.Errorf("got %q, set %q", got, set)
	}
}
