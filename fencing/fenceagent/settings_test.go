package fenceagent_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fenceagent"
	"bascule/fencing/fencingtest"
)

func TestSettingsSayWhatToWrite(t *testing.T) {
	fencingtest.TrySettings(t, fenceagent.Method, map[string]string{"agent": "fence_ipmilan"}, []fencingtest.Setting{
		{"agent", "fence_apc_snmp", ""},
		{"agent", "/opt/site/fence-my-pdu", ""},
		{"agent", "ipmilan", "fence_ipmilan"},
		{"agent", "../fence_x", "absolute path"},
		{"agent", "/opt/../fence_x", "absolute path"},
		{"agent", "fence_x\n", "absolute path"},
		{"exit_status_only", "true", ""},
		{"exit_status_only", "yes", `write "true"`},
		{"option.plug", "7", ""},
		{"option.power-wait", "0", ""},
		{"option.ip", "a b = \"c\"", ""},
		{"option.", "x", "names no option"},
		{"option.a=b", "x", "names no option"},
		{"option.a\nb", "x", "names no option"},
		{"option.ip", "10.0.9.2\naction=reboot", "line break"},
		{"option.ip", "10.0.9.2\x00", "control character"},
		{"option.ip", " ", "empty"},
		{"option.action", "off", "Bascule gives the action itself"},
		{"option.Action", "reboot", "Bascule gives the action itself"},
		{"option.option", "reboot", "old name of action"},
		{"secret.action", "/x", "Bascule gives the action itself"},
		{"option.verbose", "1", "may print its password"},
		{"option.verbose-level", "2", "may print its password"},
		{"option.debug", "/tmp/x", "may write its password"},
		{"option.debug-file", "/tmp/x", "may write its password"},
		{"option.missing_as_off", "1", "is not off"},
		{"option.delay", "5", "fence_delay"},
		{"option.method", "cycle", "only switches off and on"},
		{"option.method", "onoff", ""},
		{"option.password", fencingtest.Hunter2, "secret.password: and the path"},
		{"option.snmp-priv-passwd", fencingtest.Hunter2, "secret.snmp-priv-passwd"},
		{"option.community", fencingtest.Hunter2, "secret.community"},
		{"option.password_script", "/bin/" + fencingtest.Hunter2, "secret.password_script"},
		{"secret.password", fencingtest.Hunter2, "no absolute path"},
		{"secret.password", "/etc/bascule/x", ""},
		{"ip", "10.0.9.2", `"ip" is unknown`},
		{"password", fencingtest.Hunter2, `"password" is unknown`},
	})
	_, err := fenceagent.Method.Power(map[string]string{"agent": "fence_x", "option.snmp-priv-passwd": "x", "secret.snmp_priv_passwd": "/x", "option.ip": "", "secret.ip": "/x"})
	for _, want := range []string{`"option.snmp-priv-passwd" is a secret`, `"option.ip" is empty`, `settings "option.snmp-priv-passwd" and "secret.snmp_priv_passwd" are the same`, `settings "option.ip" and "secret.ip" are the same`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestTheAgentBelongsToRoot(t *testing.T) {
	f := newFake(t)
	try := func(what, want string, change func(s map[string]string)) {
		t.Helper()
		s := f.settings()
		change(s)
		_, err := open(t, s).Read(timeLimit(t, 40*time.Second))
		if want == "" && err != nil || want != "" && (!errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	agent := f.path("fence_fake")
	try("as it should be", "", func(map[string]string) {})
	try("a link", "", func(s map[string]string) {
		must(os.Symlink(agent, f.path("fence_link")))
		s["agent"] = f.path("fence_link")
	})
	try("not there", "no such file", func(s map[string]string) { s["agent"] = f.path("fence_none") })
	try("no such name", "install its package", func(s map[string]string) { s["agent"] = "fence_of_nobody" })
	try("a folder", "is no program", func(s map[string]string) { s["agent"] = f.dir })
	try("not executable", "is no program", func(map[string]string) { must(os.Chmod(agent, 0o644)) })
	try("the group may change it", "chmod go-w", func(map[string]string) { must(os.Chmod(agent, 0o775)) })
	try("all may change it", "chmod go-w", func(map[string]string) { must(os.Chmod(agent, 0o757)) })
	must(os.Chmod(agent, 0o755))
	try("its folder may be changed", "chmod go-w "+f.dir, func(map[string]string) { must(os.Chmod(f.dir, 0o777)) })
	must(os.Chmod(f.dir, 0o755))
	try("another owner", "chown root", func(map[string]string) { must(os.Chown(agent, 65534, 0)) })
	must(os.Chown(agent, 0, 0))
	must(os.Remove(f.path("started")))
	try("another owner of its folder", "chown root", func(map[string]string) { must(os.Chown(f.dir, 65534, 0)) })
	if f.read("started") != "" {
		t.Error("an agent that others could have changed was started")
	}
}

func TestTheSecretFile(t *testing.T) {
	f := newFake(t)
	s := f.settings()
	for _, c := range []struct {
		content string
		mode    os.FileMode
		want    string
	}{{password, 0o644, "chmod 0600"}, {"", 0o600, "on one line"}, {"a\nb", 0o600, "on one line"}, {"a\tb", 0o600, "control character"}} {
		f.write("secret", c.content, c.mode)
		if _, err := open(t, s).Read(timeLimit(t, 40*time.Second)); !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "secret.password") {
			t.Errorf("%q: %v, want %q", c.content, err, c.want)
		}
	}
	if f.read("started") != "" {
		t.Error("an agent without its secret was started")
	}
}

// TestAFloodIsCutOff: an agent that does not stop talking is ended with its context, and its beginning of a secret is not shown.
func TestAFloodIsCutOff(t *testing.T) {
	f := newFake(t)
	f.write("fence_fake", "#!/bin/sh\nread -r a; read -r b; read -r c; read -r d; while :; do echo \"${d#password=}\" >&2; echo 'Status: OFF'; done\n", 0o755)
	_, err := open(t, f.settings()).Read(timeLimit(t, 500*time.Millisecond))
	if !errors.Is(err, fencing.ErrTimeout) || strings.Contains(err.Error(), "7c1e") || len(err.Error()) > 1000 {
		t.Errorf("%v; want a time-out", err)
	}
}
