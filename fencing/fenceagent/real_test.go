//go:build fencingreal

package fenceagent_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
	"bascule/ha/waittest"
)

// bmc is ipmi_sim of the openipmi project: a management controller that speaks IPMI over LAN, with a machine that is a file.
type bmc struct {
	*testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

const lanConf = `name "bmc"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %d
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "%s/chassis 0x20"
  user 1 true "" "test" user 10 none md2 md5 straight
  user 2 true "root" "calvin-7c1e" admin 10 none md2 md5 straight
`

const simEmu = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`

const chassis = `#!/bin/sh
cd "${0%/*}"
case "$2 $3" in
"get power") echo "power:$(cat power)" ;;
"set power") echo "$4" >>heard; [ -e stubborn ] || echo "$4" >power ;;
*) echo "$2 $3:0" ;;
esac
`

func newBMC(t *testing.T) *bmc {
	needRoot(t)
	for _, tool := range []string{"fence_ipmilan", "ipmi_sim", "ipmitool"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (Debian: fence-agents, openipmi, ipmitool)", tool)
		}
	}
	l, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	b := &bmc{T: t, dir: t.TempDir(), port: l.LocalAddr().(*net.UDPAddr).Port}
	l.Close()
	b.write("chassis", chassis, 0o755)
	b.write("lan.conf", fmt.Sprintf(lanConf, b.port, b.dir), 0o600)
	b.write("sim.emu", simEmu, 0o600)
	b.write("password", "calvin-7c1e\n", 0o600)
	b.write("power", "1\n", 0o600)
	b.cmd = exec.Command("ipmi_sim", "-c", b.path("lan.conf"), "-f", b.path("sim.emu"), "-s", b.path("state"), "-n")
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.die)
	d := open(t, b.settings())
	waittest.Until(t, waittest.Hang, "the controller answers", func() bool {
		_, err := d.Read(timeLimit(t, 2*time.Second))
		return err == nil
	})
	return b
}

func (b *bmc) die() {
	if b.cmd.ProcessState == nil {
		syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
		b.cmd.Wait()
	}
}

func (b *bmc) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bmc) write(name, content string, mode os.FileMode) {
	b.Helper()
	if err := os.WriteFile(b.path(name), []byte(content), mode); err != nil {
		b.Fatal(err)
	}
}

func (b *bmc) settings() map[string]string {
	return map[string]string{"agent": "fence_ipmilan", "option.ip": "127.0.0.1", "option.ipport": fmt.Sprint(b.port), "option.username": "root",
		"option.lanplus": "1", "option.cipher": "3", "option.power_wait": "0", "secret.password": b.path("password")}
}

// timed runs f and tells how long it took.
func timed(t *testing.T, what string, f func() error) error {
	began := time.Now()
	err := f()
	t.Logf("%s: %v: %v", what, time.Since(began).Round(time.Millisecond), err)
	return err
}

func reads(t *testing.T, d fencing.PowerDevice, want ha.Power) {
	t.Helper()
	var r fencing.Reading
	err := timed(t, "read", func() (err error) { r, err = d.Read(timeLimit(t, 10*time.Second)); return err })
	if err != nil || r.Power != want || r.SystemUUID != "" {
		t.Fatalf("%+v, %v; want %s and no identity", r, err, want)
	}
}

func TestRealIPMI(t *testing.T) {
	b := newBMC(t)
	d := open(t, b.settings())
	reads(t, d, ha.PowerOn)
	if err := timed(t, "off", func() error { return d.Off(timeLimit(t, 10*time.Second)) }); err != nil {
		t.Fatal(err)
	}
	reads(t, d, ha.PowerOff)
	if err := timed(t, "off when off", func() error { return d.Off(timeLimit(t, 10*time.Second)) }); err != nil {
		t.Fatal(err)
	}
	if err := timed(t, "on", func() error { return d.On(timeLimit(t, 10*time.Second)) }); err != nil {
		t.Fatal(err)
	}
	reads(t, d, ha.PowerOn)
	if heard, _ := os.ReadFile(b.path("heard")); string(heard) != "0\n1\n" {
		t.Errorf("the controller heard %q, want 0 and 1", heard)
	}

	waits := b.settings()
	delete(waits, "option.power_wait")
	if err := timed(t, "off with the agent's own pause", func() error { return open(t, waits).Off(timeLimit(t, 10*time.Second)) }); err != nil {
		t.Fatal(err)
	}
	unknown := maps.Clone(b.settings())
	unknown["option.plugh"] = "7"
	if _, err := open(t, unknown).Read(timeLimit(t, 10*time.Second)); !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), "plugh=7") {
		t.Errorf("an unknown option: %v", err)
	}
}

// TestRealIPMIThroughTheChild goes through the child that is killed at the end of the leadership.
func TestRealIPMIThroughTheChild(t *testing.T) {
	b := newBMC(t)
	o := fencing.Order{Action: ha.DeviceOff, Timeout: 3 * time.Second, Deadline: fencing.BootNow().Add(10 * time.Second),
		Spec: fencing.Spec{Name: "bmc2", Node: "node2", Method: "fence-agent", Settings: b.settings()}}
	if err := timed(t, "off through the child", func() error { return fencingtest.Child().Switch(context.Background(), o) }); err != nil {
		t.Fatal(err)
	}
	reads(t, open(t, b.settings()), ha.PowerOff)
}

func TestRealIPMIFaults(t *testing.T) {
	b := newBMC(t)
	d := open(t, b.settings())
	b.write("password", "wrong-7c1e\n", 0o600)
	for what, f := range map[string]func() error{
		"read with a wrong password": func() error { _, err := d.Read(timeLimit(t, 10*time.Second)); return err },
		"off with a wrong password":  func() error { return d.Off(timeLimit(t, 10*time.Second)) },
	} {
		// The agent does not tell a wrong password from a device at fault; the text says so.
		if err := timed(t, what, f); !errors.Is(err, fencing.ErrRefused) || !strings.Contains(err.Error(), "refuses user or password") || strings.Contains(err.Error(), "7c1e") {
			t.Errorf("%s: %v", what, err)
		}
	}
	b.write("password", "calvin-7c1e\n", 0o600)

	b.write("stubborn", "", 0o600)
	lies := b.settings()
	lies["option.power_timeout"] = "1"
	if err := timed(t, "off of a machine that stays on", func() error { return open(t, lies).Off(timeLimit(t, 10*time.Second)) }); !errors.Is(err, fencing.ErrRefused) || !strings.Contains(err.Error(), "the power did not change") {
		t.Errorf("stays on: %v", err)
	}
	reads(t, d, ha.PowerOn)

	b.die()
	began := time.Now()
	r, err := d.Read(timeLimit(t, 3*time.Second))
	t.Logf("read of a dead controller: %v: %v", time.Since(began).Round(time.Millisecond), err)
	if took := time.Since(began); !errors.Is(err, fencing.ErrTimeout) || r.Power != ha.PowerUnknown || took > 4*time.Second {
		t.Errorf("dead: %+v, %v after %v", r, err, took)
	}
	if err := d.Off(timeLimit(t, time.Second)); !errors.Is(err, fencing.ErrTimeout) {
		t.Errorf("off of a dead controller: %v", err)
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		if line, _ := os.ReadFile(p); strings.Contains(string(line), fmt.Sprintf("-p\x00%d\x00", b.port)) {
			t.Errorf("the agent's ipmitool outlived it: %s %q", p, line)
		}
	}
}

// TestRealIPMIEndsWithItsCaller: the caller is killed while the agent waits for a dead controller; its ipmitool ends too.
func TestRealIPMIEndsWithItsCaller(t *testing.T) {
	b := newBMC(t)
	b.die()
	running := func() (found bool) {
		procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, p := range procs {
			line, _ := os.ReadFile(p)
			found = found || strings.Contains(string(line), fmt.Sprintf("-p\x00%d\x00", b.port))
		}
		return found
	}
	caller := startReader(t, b.settings())
	waittest.Until(t, waittest.Hang, "ipmitool runs", running)
	caller.Process.Kill()
	caller.Wait()
	began := time.Now()
	waittest.Until(t, waittest.Hang, "ipmitool is gone", func() bool { return !running() })
	if took := time.Since(began); took > time.Second {
		t.Errorf("ipmitool went on for %v", took)
	}
}

func TestRealDummy(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("fence_dummy"); err != nil {
		t.Skip("fence_dummy is not installed (Debian: fence-agents)")
	}
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("on"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t, map[string]string{"agent": "fence_dummy", "option.status_file": file})
	reads(t, d, ha.PowerOn)
	if err := timed(t, "off", func() error { return d.Off(timeLimit(t, 10*time.Second)) }); err != nil {
		t.Fatal(err)
	}
	reads(t, d, ha.PowerOff)
	if err := os.WriteFile(file, []byte("sleeping"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Read(timeLimit(t, 10*time.Second)); err == nil || r.Power != ha.PowerUnknown {
		t.Errorf("a word that is neither on nor off: %+v, %v", r, err)
	}
}

// TestRealBrokenAgentsAreNotOff: an agent that Python or the shell cannot run ends with exit status 2, as if off.
func TestRealBrokenAgentsAreNotOff(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"python-arguments": "#!/usr/bin/python3 -tt\nimport argparse\nargparse.ArgumentParser().parse_args(['--x'])\n",
		"python-no-file":   "#!/usr/bin/env -S python3 /nonexistent/agent\n",
		"shell-syntax":     "#!/bin/sh\nif true; then\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(filepath.Join(dir, name)).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("%s: %v, %s; this test wants exit status 2", name, err, out)
		}
		for _, settings := range []map[string]string{{"agent": filepath.Join(dir, name)}, {"agent": filepath.Join(dir, name), "exit_status_only": "true"}} {
			if r, err := open(t, settings).Read(timeLimit(t, 10*time.Second)); !errors.Is(err, fencing.ErrRubbish) || r.Power != ha.PowerUnknown {
				t.Errorf("%v: %+v, %v; want rubbish", settings, r, err)
			}
		}
	}
}
