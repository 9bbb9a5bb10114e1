//go:build fencingreal

package ipmi_test

import (
	"errors"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
)

// TestRealFigures prints what stands in the documentation.
func TestRealFigures(t *testing.T) {
	s := startSim(t)
	for _, cipher := range []string{"3", "auto"} {
		settings := s.settings()
		settings["cipher"] = cipher
		d := open(t, settings)
		var reads, offs, wrong []time.Duration
		settings["password_file"] = fencingtest.SecretFile(t, "another")
		stranger := open(t, settings)
		for range 20 {
			began := time.Now()
			s.reads(d, ha.PowerOn)
			reads = append(reads, time.Since(began))
			began = time.Now()
			if err := d.Off(within(t, ample)); err != nil {
				t.Fatal(err)
			}
			s.reads(d, ha.PowerOff)
			offs = append(offs, time.Since(began))
			if err := d.On(within(t, ample)); err != nil {
				t.Fatal(err)
			}
			s.reads(d, ha.PowerOn)
			began = time.Now()
			if err := stranger.Off(within(t, ample)); !errors.Is(err, fencing.ErrAuth) {
				t.Fatal(err)
			}
			wrong = append(wrong, time.Since(began))
		}
		for name, d := range map[string][]time.Duration{"read": reads, "off to read off": offs, "wrong password": wrong} {
			slices.Sort(d)
			t.Logf("cipher %s: %s: median %v, longest %v", cipher, name, d[len(d)/2].Round(100*time.Microsecond), d[len(d)-1].Round(100*time.Microsecond))
		}
	}
}

// TestRealSuite17 lets ipmitool judge what ipmi_sim cannot: that suite 17, as the method speaks it with go-ipmi's server, is what
// others mean by it.
func TestRealSuite17(t *testing.T) {
	path, err := exec.LookPath("ipmitool")
	if err != nil {
		t.Skip("ipmitool is not installed")
	}
	sh := plain
	sh.suites = []types.CipherSuiteID{17}
	c := newController(t, sh)
	_, port, err := net.SplitHostPort(c.address())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"on", "off"} {
		out, err := exec.Command(path, "-I", "lanplus", "-C", "17", "-L", "OPERATOR", "-H", "127.0.0.1", "-p", port, "-U", user, "-f", fencingtest.SecretFile(t, password), "chassis", "power", "status").Output()
		if err != nil || !strings.Contains(string(out), "Power is "+want) {
			t.Errorf("ipmitool says %q, %v; want %s", out, err, want)
		}
		if err := open(t, c.settings()).Off(within(t, ample)); err != nil {
			t.Error(err)
		}
	}
}
