package fenceagent_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bascule/fencing/fencingtest"
	"bascule/ha"
)

const (
	user     = "fence-operator"
	password = ` "pa'ss\w+rd=&$-7c1e"`
)

// script is a small fence agent. It knows its machine by the files beside it.
const script = `#!/bin/sh
cd "${0%/*}" || exit 1
echo "$$" >started
while IFS= read -r line; do
	case $line in
	action=*) action=${line#action=} ;;
	plug=7 | username=fence-operator) ;;
	password=*) printf '%s\n' "${line#password=}" >password ;;
	*) printf "WARNING:root:Parse error: Ignoring unknown option '%s'\n\n" "$line" >&2 ;;
	esac
done
fail() { printf '2026-11-22 05:25:32,401 ERROR: %s\n\n\nPlease use '\''-h'\'' for usage\n' "$1" >&2; exit 1; }
secret=$(cat password)
fault=$(cat fault)
case $fault in
unreachable) fail "Unable to connect/login to fencing device" ;;
hangs) (trap '' HUP TERM; setsid sleep 300) & sleep 300; exit 1 ;;
rubbish) echo "<html>you sent $secret</html>"; echo "$secret $secret" >&2; exit 3 ;;
wrong-password) fail "Failed: Unable to authenticate: 'fence-operator' with '$secret'" ;;
esac
power=$(cat power)
case $action in
status)
	case $power in
	powering-off)
		slow=$(cat slow)
		echo $((slow - 1)) >slow
		[ "$slow" -gt 1 ] || echo off >power
		echo "Status: ON"; exit 0 ;;
	on) echo "Status: ON"; exit 0 ;;
	off) echo "Status: OFF"; exit 2 ;;
	esac
	fail "Failed: Unable to obtain correct plug status or plug is not available" ;;
off | on)
	echo "$action" >>heard
	case $fault in
	refuses) fail "Failed: The user does not have the correct privileges to do the requested action." ;;
	lies) echo "Success: Powered $action"; exit 0 ;;
	slow-off) [ "$action" = on ] || { echo powering-off >power; exit 0; } ;;
	esac
	echo "$action" >power
	echo "Success: Powered $action" ;;
*) fail "Unrecognised action '$action'" ;;
esac
`

// fake is a machine behind the script.
type fake struct {
	t   *testing.T
	dir string
}

func newFake(t *testing.T) *fake {
	needRoot(t)
	f := &fake{t, t.TempDir()}
	f.write("fence_fake", script, 0o755)
	f.write("secret", password+"\n", 0o600)
	f.write("power", string(ha.PowerOn), 0o600)
	f.write("slow", strconv.Itoa(fencingtest.SlowReads), 0o600)
	f.Break(fencingtest.Healthy)
	return f
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("agents belong to root and run in a PID namespace: needs root")
	}
}

func (f *fake) settings() map[string]string {
	return map[string]string{"agent": f.path("fence_fake"), "option.username": user, "option.plug": "7", "secret.password": f.path("secret")}
}

func (f *fake) path(name string) string { return filepath.Join(f.dir, name) }

// write replaces a file as a whole: the agent may be reading it.
func (f *fake) write(name, content string, mode os.FileMode) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name+".new"), []byte(content), mode); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(f.path(name+".new"), f.path(name)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) read(name string) string {
	f.t.Helper()
	b, err := os.ReadFile(f.path(name))
	if err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
	return strings.TrimRight(string(b), "\n")
}

func (f *fake) Power() ha.Power { return ha.Power(f.read("power")) }

func (f *fake) SetPower(p ha.Power) { f.write("power", string(p), 0o600) }

func (f *fake) Break(fault fencingtest.Fault) { f.write("fault", string(fault), 0o600) }

func (f *fake) Heard() []ha.DeviceAction {
	var heard []ha.DeviceAction
	for _, a := range strings.Fields(f.read("heard")) {
		heard = append(heard, ha.DeviceAction(a))
	}
	return heard
}
