package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// pveGuests stands for Proxmox's own unit, which the drop-in belongs to.
const pveGuests = `[Unit]
Description=guests
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
`

// copyUnits puts the units into a directory with a program that exists everywhere in the place of basculed.
func copyUnits(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is missing (Debian package systemd): the units are not checked")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "pve-guests.service"), pveGuests)
	for _, name := range []string{daemon, guard, witness, dropIn} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), strings.ReplaceAll(string(text), "/usr/sbin/basculed", "/bin/true"))
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// verify returns what systemd says about one unit of the directory; what it says about the machine's own units is left out.
func verify(dir, name string) string {
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(dir, name)).CombinedOutput()
	var about []string
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, dir) || strings.Contains(line, name) {
			about = append(about, line)
		}
	}
	if err != nil && len(about) == 0 {
		about = append(about, err.Error()+": "+string(out))
	}
	return strings.Join(about, "\n")
}

func TestVerify(t *testing.T) {
	dir := copyUnits(t)
	for _, name := range []string{daemon, guard, witness, "pve-guests.service"} {
		if got := verify(dir, name); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// The check notices a misspelt setting, and looks into the drop-in.
func TestVerifyNotices(t *testing.T) {
	dir := copyUnits(t)
	text, err := os.ReadFile(filepath.Join(dir, guard))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, guard), strings.Replace(string(text), "OOMScoreAdjust=", "OOMScoreAdjusted=", 1))
	if got := verify(dir, guard); !strings.Contains(got, "OOMScoreAdjusted") {
		t.Errorf("a misspelt setting went unnoticed: %q", got)
	}
	write(t, filepath.Join(dir, dropIn), "[Service]\nExecStartPre=/does/not/exist\n")
	if got := verify(dir, "pve-guests.service"); !strings.Contains(got, "/does/not/exist") {
		t.Errorf("the drop-in was not looked at: %q", got)
	}
}

var exposure = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)

// How far the sandboxes go, from 0 (all closed) to 10; the limits leave room for other versions of systemd.
func TestSecurity(t *testing.T) {
	dir := copyUnits(t)
	for name, most := range map[string]float64{daemon: 3.5, guard: 5.5, witness: 2.5} {
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", filepath.Join(dir, name)).CombinedOutput()
		m := exposure.FindSubmatch(out)
		if m == nil {
			if strings.Contains(string(out), "unrecognized option") {
				t.Skip("this systemd-analyze is too old for --offline: the sandboxes are not measured")
			}
			t.Fatalf("%s: no exposure level: %v\n%s", name, err, out)
		}
		got, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil || got > most {
			t.Errorf("%s: exposure %s, want at most %v\n%s", name, m[1], most, out)
		}
	}
}
