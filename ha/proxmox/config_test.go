package proxmox

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bascule/ha"
)

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
		"memory: 99999999999999999999\n": 512, "memory: 2048 \r\n": 2048,
	} {
		if got := ParseGuestConfig(ha.QEMU, []byte(text)).Memory(); got != mib<<20 {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

// configText draws configs with everything in them that editing could spoil.
func configText(t *rapid.T) []byte {
	line := rapid.OneOf(
		rapid.SampledFrom([]string{"onboot: 0", "onboot: 1", "lock: backup", "name: a", "", " ", "#x: y", "#onboot: 1", "onboot:",
			"description: a%3Ab", "lxc.cap.drop = sys_time", " onboot: 1", "[snap]", "[PENDING]", "[special:cloudinit]", "[", "a\r"}),
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
		checkEdits(t, kind, configText(t))
	})
}

// failer is what checkEdits needs of a test.
type failer interface{ Fatalf(string, ...any) }

// checkEdits removes and sets a key and holds the result against the plain list of lines.
func checkEdits(t failer, kind ha.GuestKind, data []byte) {
	kept := bytes.Clone(data)
	c := ParseGuestConfig(kind, data)
	removed := c.Remove("onboot")
	set := c.Set("onboot", "1")
	if !bytes.Equal(data, kept) {
		t.Fatalf("editing changed the original %q to %q", kept, data)
	}
	if tail := data[c.end:]; !bytes.HasSuffix(removed, tail) || !bytes.HasSuffix(set, tail) {
		t.Fatalf("the sections changed: %q, %q, %q", data, removed, set)
	}
	var others []string
	for _, l := range c.lines {
		if l.key != "onboot" {
			others = append(others, string(data[l.start:l.end]))
		}
	}
	if want := strings.Join(others, "") + string(data[c.end:]); string(removed) != want {
		t.Fatalf("Remove(%q) = %q, want %q", data, removed, want)
	}
	if v, found := ParseGuestConfig(kind, removed).Get("onboot"); found {
		t.Fatalf("after Remove(%q) there is still onboot %q", data, v)
	}
	again := ParseGuestConfig(kind, set)
	if v, _ := again.Get("onboot"); v != "1" {
		t.Fatalf("after Set(%q) = %q onboot is %q", data, set, v)
	}
	_, had := c.Get("onboot")
	if back := again.Remove("onboot"); !had && strings.TrimSuffix(string(back), "\n") != strings.TrimSuffix(string(data), "\n") {
		t.Fatalf("Set and Remove of %q leave %q", data, back)
	}
}

func FuzzGuestConfig(f *testing.F) {
	f.Add([]byte("#x\nname: a\nonboot: 0\nscsi0: shared:100/d.qcow2,size=1G\n\n[s]\nonboot: 1\n"), true)
	f.Add([]byte("lxc.mount.entry: /srv srv none bind 0 0\nmp0: /srv,mp=/srv,ro=1\r\nrootfs: a:b"), false)
	f.Fuzz(func(t *testing.T, data []byte, vm bool) {
		kind := ha.LXC
		if vm {
			kind = ha.QEMU
		}
		checkEdits(t, kind, data)
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
