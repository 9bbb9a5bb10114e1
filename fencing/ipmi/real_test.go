//go:build fencingreal

package ipmi_test

import (
	"errors"
	"fmt"
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

// ipmi_sim is OpenIPMI's simulator of a BMC, written by others than go-ipmi's server and this package. It knows suite 3, not 17,
// and lets every account work as administrator (ipmitool can do so too): TestPrivilege has a controller that does not.
const (
	simLan = `name "bmc2"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %d
    priv_limit admin
    allowed_auths_callback md5
    allowed_auths_user md5
    allowed_auths_operator md5
    allowed_auths_admin md5
    guid %s
  endlan
  chassis_control "%s 0x20"
  user 2 true "fence-operator" "%s" operator 10 md5
`
	simEmu = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`
	simChassis = `#!/bin/sh
# The machine's power is a file; each command is noted.
cd "$(dirname "$0")" || exit 1
shift
case "$1 $2" in
"get power") echo "power:$(cat power)" ;;
"set power") echo "$3" >power; echo "power $3" >>heard ;;
*) echo "$*" >>heard; echo "$2:0" ;;
esac
`
	simPassword = "s3cret-of-bmc2"
)

// sim is a running ipmi_sim.
type sim struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

func startSim(t *testing.T) *sim {
	t.Helper()
	path, err := exec.LookPath("ipmi_sim")
	if err != nil {
		t.Skip("ipmi_sim is not installed (Debian: package openipmi)")
	}
	s := &sim{t: t, dir: t.TempDir(), port: freePort(t)}
	if err := os.Mkdir(filepath.Join(s.dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(s.dir, "chassis.sh")
	lan := fmt.Sprintf(simLan, s.port, strings.ReplaceAll(fencingtest.UUID, "-", ""), script, simPassword)
	for name, content := range map[string]string{"lan.conf": lan, "sim.emu": simEmu, "chassis.sh": simChassis, "power": "1\n", "heard": ""} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.cmd = exec.Command(path, "-c", "lan.conf", "-f", "sim.emu", "-s", "state", "-n")
	s.cmd.Dir = s.dir
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	d, err := open(t, s.settings()), error(nil)
	waittest.Until(t, waittest.Hang, "ipmi_sim answers", func() bool {
		_, err = d.Read(within(t, time.Second))
		return err == nil
	}, &err)
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

func (s *sim) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *sim) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func (s *sim) settings() map[string]string {
	return map[string]string{"address": s.address(), "user": user, "password_file": fencingtest.SecretFile(s.t, simPassword)}
}

func (s *sim) file(name string) string {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// reads reads until the power is the wanted one, a second at most.
func (s *sim) reads(d fencing.PowerDevice, want ha.Power) fencing.Reading {
	s.t.Helper()
	for end := time.Now().Add(time.Second); ; {
		r, err := d.Read(within(s.t, ample))
		if err == nil && r.Power == want {
			return r
		}
		if time.Now().After(end) {
			s.t.Fatalf("%+v, %v; want %s", r, err, want)
		}
	}
}

func TestRealReadOffOn(t *testing.T) {
	s := startSim(t)
	for _, cipher := range []string{"auto", "3"} {
		settings := s.settings()
		settings["cipher"], settings["uuid"] = cipher, fencingtest.UUID
		d := open(t, settings)
		if r := s.reads(d, ha.PowerOn); !ha.SameUUID(r.SystemUUID, fencingtest.UUID) {
			t.Errorf("system UUID %q", r.SystemUUID)
		}
		for range 2 { // the second time it is off already
			if err := d.Off(within(t, ample)); err != nil {
				t.Fatal(err)
			}
			s.reads(d, ha.PowerOff)
		}
		if s.file("power") != "0" {
			t.Errorf("the machine's power is %q", s.file("power"))
		}
		s.ipmitool("off")
		if err := d.On(within(t, ample)); err != nil {
			t.Fatal(err)
		}
		s.reads(d, ha.PowerOn)
		s.ipmitool("on")
	}
	for _, line := range strings.Split(s.file("heard"), "\n") {
		if line != "power 0" && line != "power 1" {
			t.Errorf("the machine was told %q", line)
		}
	}
}

// ipmitool lets another client say what the power is.
func (s *sim) ipmitool(want string) {
	s.t.Helper()
	path, err := exec.LookPath("ipmitool")
	if err != nil {
		s.t.Log("ipmitool is not installed: not compared with it")
		return
	}
	out, err := exec.Command(path, "-I", "lanplus", "-C", "3", "-L", "OPERATOR", "-H", "127.0.0.1", "-p", fmt.Sprint(s.port), "-U", user, "-f", fencingtest.SecretFile(s.t, simPassword), "chassis", "power", "status").Output()
	if err != nil || !strings.Contains(string(out), "Power is "+want) {
		s.t.Errorf("ipmitool says %q, %v; want %s", out, err, want)
	}
}

func TestRealRefusals(t *testing.T) {
	s := startSim(t)
	for _, x := range []struct {
		name, key, value string
		want             error
	}{
		{"wrong password", "password_file", fencingtest.SecretFile(t, "another"), fencing.ErrAuth},
		{"unknown user", "user", "stranger", fencing.ErrAuth},
		{"a suite that it does not know", "cipher", "17", fencing.ErrRefused},
		{"another machine", "uuid", fencingtest.OtherUUID, fencing.ErrWrongMachine},
	} {
		settings := s.settings()
		settings[x.key] = x.value
		began := time.Now()
		err := open(t, settings).Off(within(t, 5*time.Second))
		t.Logf("%s: %v after %v", x.name, err, time.Since(began).Round(time.Millisecond))
		if !errors.Is(err, x.want) || strings.Contains(err.Error(), simPassword) {
			t.Errorf("%s: %v, want %v", x.name, err, x.want)
		}
	}
	if s.file("heard") != "" || s.file("power") != "1" {
		t.Errorf("the machine was told %q, its power is %s", s.file("heard"), s.file("power"))
	}
}

func TestRealDeadController(t *testing.T) {
	s := startSim(t)
	d := open(t, s.settings())
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r, err := d.Read(within(t, time.Second))
	if took := time.Since(began); !errors.Is(err, fencing.ErrTimeout) || r.Power != ha.PowerUnknown || took > 1200*time.Millisecond {
		t.Errorf("frozen: %+v, %v after %v; want a time-out", r, err, took)
	}
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.reads(d, ha.PowerOn)
	s.kill()
	began = time.Now()
	err = d.Off(within(t, 5*time.Second))
	t.Logf("no process: %v after %v", err, time.Since(began))
	if !errors.Is(err, fencing.ErrUnreachable) || time.Since(began) > time.Second {
		t.Errorf("no process: %v after %v; want unreachable at once", err, time.Since(began))
	}
}

func TestRealLossyNetwork(t *testing.T) {
	s := startSim(t)
	for n := range 6 {
		for _, back := range []bool{false, true} {
			w := newWire(t, s.address())
			at := -1
			drop := func(p []byte) [][]byte {
				if at++; at == n+1 { // the first proposal, suite 17, is refused
					return nil
				}
				return [][]byte{p}
			}
			if back {
				w.hooks(nil, drop)
			} else {
				w.hooks(drop, nil)
			}
			settings := s.settings()
			settings["address"] = w.address()
			began := time.Now()
			if err := open(t, settings).Off(within(t, 5*time.Second)); err != nil {
				t.Errorf("datagram %d lost (answer: %v): %v", n+1, back, err)
			}
			t.Logf("datagram %d lost (answer: %v): %v", n+1, back, time.Since(began).Round(time.Millisecond))
		}
	}
	s.reads(open(t, s.settings()), ha.PowerOff)
}

func TestRealManyCallsLeaveNoSession(t *testing.T) {
	s := startSim(t)
	d := open(t, s.settings()) // the account may have ten sessions
	for i := range 100 {
		if _, err := d.Read(within(t, ample)); err != nil {
			t.Fatalf("read %d: %v", i, err)
		}
	}
}
