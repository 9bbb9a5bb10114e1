package ipmi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/fencing/ipmi"
	"bascule/ha"
	"bascule/ha/waittest"
)

func TestSettingsSayWhatToWrite(t *testing.T) {
	good := map[string]string{"address": "10.0.9.2", "user": "u", "password_file": "/x"}
	fencingtest.TrySettings(t, ipmi.Method, good, []fencingtest.Setting{
		{"address", "bmc2", ""},
		{"address", "bmc2.example.org:6230", ""},
		{"address", "fd00::2", ""},
		{"address", "[fd00::2]:623", ""},
		{"address", "[fd00::2]", ""},
		{"address", "bmc2:0", "1 to 65535"},
		{"address", "bmc2:623623", "1 to 65535"},
		{"address", "bmc2:ipmi", "1 to 65535"},
		{"address", ":623", "no host"},
		{"address", "a:b:c:d", "[IPv6]:PORT"},
		{"address", "ipmi://root:" + fencingtest.Hunter2 + "@bmc2", "without a scheme"},
		{"user", "seventeen-letters", "at most 16"},
		{"cipher", "17", ""},
		{"cipher", "3", ""},
		{"cipher", "auto", ""},
		{"cipher", "0", "write 17, 3 or auto"},
		{"cipher", "", "empty"},
		{"privilege", "operator", ""},
		{"privilege", "ADMINISTRATOR", ""},
		{"privilege", "user", "operator or administrator"},
		{"uuid", "00000000-0000-0000-0000-000000000000", "product_uuid"},
		{"uuid", "4C4C4544-0051-3410-8052-B4C04F564232", ""},
		{"password", fencingtest.Hunter2, `"password" is unknown`},
	})
}

func TestThePasswordFile(t *testing.T) {
	c := newController(t, plain)
	read := func(file string) error {
		s := c.settings()
		s["password_file"] = file
		_, err := open(t, s).Read(within(t, ample))
		return err
	}
	fencingtest.TrySecretFiles(t, password, read)
	long := fencingtest.SecretFile(t, strings.Repeat("p", 21)) // IPMI cannot store so long a one
	if err := read(long); !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), "20 bytes") {
		t.Error(err)
	}
}

func TestAnAddressThatDoesNotResolve(t *testing.T) {
	c := newController(t, plain)
	s := c.settings()
	s["address"] = "bmc2.invalid"
	if _, err := open(t, s).Read(within(t, ample)); !errors.Is(err, fencing.ErrUnreachable) && !errors.Is(err, fencing.ErrTimeout) {
		t.Errorf("%v, want unreachable", err)
	}
}

// TestThePasswordShowsNowhere looks at the command line and environment of the process that switches, while it does, and at every
// error and every datagram.
func TestThePasswordShowsNowhere(t *testing.T) {
	c := newController(t, plain)
	spec := fencing.Spec{Name: "bmc-of-node2", Node: "node2", Method: "ipmi", Settings: c.settings()}
	c.Break(fencingtest.Hangs)
	waittest.BestOf(t, func() string { // the child may end before it is looked at
		if lookAtChild(t, spec) == 0 {
			return "no child was seen"
		}
		return ""
	})
	for _, f := range []fencingtest.Fault{fencingtest.Healthy, fencingtest.WrongPassword, fencingtest.Rubbish} {
		c.Break(f)
		r, err := open(t, c.settings()).Read(within(t, ample))
		if strings.Contains(fmt.Sprint(r, err), password) {
			t.Errorf("%s: the password shows in %+v, %v", f, r, err)
		}
	}
	for _, s := range c.sent() {
		if bytes.Contains(s.p, []byte(password)) {
			t.Error("the password went over the wire")
		}
	}
	if len(c.sent()) < 8 {
		t.Errorf("only %d datagrams were looked at", len(c.sent()))
	}
}

// lookAtChild has a child switch in vain and says how often its command line or environment was looked at meanwhile.
func lookAtChild(t *testing.T, spec fencing.Spec) (looked int) {
	t.Helper()
	order := fencing.Order{Action: ha.DeviceOff, Spec: spec, Deadline: fencing.BootNow().Add(time.Minute), Timeout: 1500 * time.Millisecond}
	ended := make(chan error, 1)
	go func() { ended <- fencingtest.Child().Switch(context.Background(), order) }()
	for {
		select {
		case err := <-ended:
			if !errors.Is(err, fencing.ErrTimeout) || strings.Contains(err.Error(), password) {
				t.Errorf("%v, want a time-out", err)
			}
			return looked
		case <-time.After(50 * time.Millisecond):
			for _, dir := range children(t) {
				for _, file := range []string{"cmdline", "environ"} {
					b, err := os.ReadFile(filepath.Join(dir, file))
					if err != nil {
						continue // it has ended
					}
					looked++
					if bytes.Contains(b, []byte(password)) {
						t.Errorf("the password stands in the child's %s", file)
					}
				}
			}
		}
	}
}

// children are the directories in /proc of this process's children.
func children(t *testing.T) []string {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, l := range lists {
		b, _ := os.ReadFile(l)
		for _, pid := range strings.Fields(string(b)) {
			dirs = append(dirs, "/proc/"+pid)
		}
	}
	return dirs
}
