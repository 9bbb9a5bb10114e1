package ipmi_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
	"bascule/ha/waittest"
)

func TestASilentSuiteCostsLittle(t *testing.T) {
	deaf := func(p []byte) [][]byte {
		if kind(p) == kindOpen && p[openAuthAlg] == algSHA256 {
			return nil
		}
		return [][]byte{p}
	}
	waittest.BestOf(t, func() string { // what is answered late is asked again
		c := newController(t, plain)
		c.hooks(deaf, nil)
		if r, err := open(t, c.settings()).Read(within(t, ample)); err != nil || r.Power != ha.PowerOn {
			t.Errorf("auto: %+v, %v", r, err)
		}
		sent := settled(c.wire)
		if opens := count(sent, kindOpen); opens != 3 || sent[len(sent)-1].at.Sub(sent[0].at) > 3*time.Second {
			return fmt.Sprintf("auto sent %d proposals, want 3: suite 17, and after half a second both", opens)
		}
		return ""
	})
	c := newController(t, plain)
	c.hooks(deaf, nil)
	settings := c.settings()
	settings["cipher"] = "17"
	if _, err := open(t, settings).Read(within(t, 300*time.Millisecond)); !errors.Is(err, fencing.ErrTimeout) {
		t.Errorf("suite 17 alone: %v, want a time-out", err)
	}
}

func TestASuiteThatIsRefusedCostsNothing(t *testing.T) {
	sh := plain
	sh.suites = []types.CipherSuiteID{3}
	waittest.BestOf(t, func() string { // what is answered late is asked again
		c := newController(t, sh)
		if _, err := open(t, c.settings()).Read(within(t, ample)); err != nil {
			t.Errorf("auto: %v", err)
		}
		if opens := count(settled(c.wire), kindOpen); opens != 2 {
			return fmt.Sprintf("auto sent %d proposals, want 2: suite 17, and suite 3 without waiting", opens)
		}
		return ""
	})
	c := newController(t, sh)
	settings := c.settings()
	settings["cipher"] = "17"
	if _, err := open(t, settings).Read(within(t, ample)); !errors.Is(err, fencing.ErrRefused) || !strings.Contains(err.Error(), "17") {
		t.Errorf("suite 17 alone: %v, want refused", err)
	}
}

func TestNoPlaceForASession(t *testing.T) {
	t.Parallel()
	c := newController(t, plain)
	full := 2
	c.hooks(nil, func(p []byte) [][]byte {
		if kind(p) == kindOpened && full > 0 {
			full--
			p[17] = 0x01
		}
		return [][]byte{p}
	})
	d := open(t, c.settings())
	if _, err := d.Read(within(t, ample)); err != nil {
		t.Errorf("full for a moment: %v", err)
	}
	c.hooks(nil, func(p []byte) [][]byte {
		if kind(p) == kindOpened {
			p[17] = 0x01
		}
		return [][]byte{p}
	})
	waittest.BestOf(t, func() string { // it must be heard before the time is over
		_, err := d.Read(within(t, 700*time.Millisecond))
		if !errors.Is(err, fencing.ErrTimeout) || !strings.Contains(err.Error(), "in use") {
			return fmt.Sprintf("full: %v, want a time-out that says why", err)
		}
		return ""
	})
}

func TestALostHandshakeIsBegunAnew(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]byte{"wrong check value": 0x0f, "invalid session": 0x02, "inactive session": 0x08} {
		c := newController(t, plain)
		refuse := func(p []byte) [][]byte { p[17] = status; return [][]byte{p} }
		hit := func(p []byte) bool { return kind(p) == kindRakp4 }
		c.hooks(nil, once(hit, refuse))
		if err := open(t, c.settings()).Off(within(t, ample)); err != nil || c.Power() != ha.PowerOff {
			t.Errorf("%s, once: %v", name, err)
		}
		c.hooks(nil, func(p []byte) [][]byte {
			if hit(p) {
				return refuse(p)
			}
			return [][]byte{p}
		})
		want := fencing.ErrRubbish
		if status == 0x0f {
			want = fencing.ErrAuth
		}
		waittest.BestOf(t, func() string { // what is answered late is asked again
			before := len(settled(c.wire))
			err := open(t, c.settings()).Off(within(t, ample))
			if logins := count(settled(c.wire)[before:], kindRakp3); !errors.Is(err, want) || len(c.Heard()) != 1 || logins != 2 {
				return fmt.Sprintf("%s, always: %v after %d logins; want %v after 2", name, err, logins, want)
			}
			return ""
		})
	}
}

// Some controllers are silent about a login that they have ended: when the answer to its end is lost, only a new one helps.
func TestALoginWhoseEndWasLost(t *testing.T) {
	t.Parallel()
	waittest.BestOf(t, func() string {
		c := newController(t, plain)
		ended := map[string]bool{}
		deaf := func(p []byte) [][]byte {
			if id := string(p[20:24]); kind(p) == kindRakp3 && ended[id] {
				return nil
			} else if kind(p) == kindRakp3 {
				ended[id] = true
			}
			return [][]byte{p}
		}
		c.hooks(deaf, once(func(p []byte) bool { return kind(p) == kindRakp4 }, nothing))
		began := time.Now()
		if err := open(t, c.settings()).Off(within(t, ample)); err != nil || c.Power() != ha.PowerOff {
			t.Errorf("%v, machine %s", err, c.Power())
		}
		if took := time.Since(began); took > 2*time.Second {
			return fmt.Sprintf("it took %v", took)
		}
		return ""
	})
}

func count(sent []seen, k int) int {
	n := 0
	for _, s := range sent {
		if kind(s.p) == k {
			n++
		}
	}
	return n
}

func TestWhatTheLoginMayEndWith(t *testing.T) {
	t.Parallel()
	for status, want := range map[byte]error{
		0x0d: fencing.ErrAuth, 0x0c: fencing.ErrAuth, 0x09: fencing.ErrRefused, 0x0a: fencing.ErrRefused, 0x0b: fencing.ErrTimeout,
		0x12: fencing.ErrRubbish, 0xee: fencing.ErrRubbish,
	} {
		c := newController(t, plain)
		c.hooks(nil, func(p []byte) [][]byte {
			if kind(p) == kindRakp2 {
				p[17] = status
			}
			return [][]byte{p}
		})
		if _, err := open(t, c.settings()).Read(within(t, ample)); !errors.Is(err, want) {
			t.Errorf("status %02xh: %v, want %v", status, err, want)
		}
	}
	c := newController(t, plain)
	settings := c.settings()
	settings["user"] = "stranger"
	if _, err := open(t, settings).Read(within(t, ample)); !errors.Is(err, fencing.ErrAuth) {
		t.Errorf("an unknown user: %v, want not accepted", err)
	}
	sh := plain
	sh.kg = []byte("the second key")
	c = newController(t, sh)
	if _, err := open(t, c.settings()).Read(within(t, ample)); !errors.Is(err, fencing.ErrAuth) || !strings.Contains(err.Error(), "Kg") {
		t.Errorf("a BMC key: %v, want not accepted and its name", err)
	}
	sh = plain
	sh.level = bmc.PrivilegeLevelOperator
	c = newController(t, sh)
	settings = c.settings()
	settings["privilege"] = "administrator"
	if _, err := open(t, settings).Read(within(t, ample)); !errors.Is(err, fencing.ErrRefused) {
		t.Errorf("more privilege than the account has: %v, want refused", err)
	}
}

func TestAWrongPasswordIsToldAtOnceAndNotTried(t *testing.T) {
	c := newController(t, plain)
	c.Break(fencingtest.WrongPassword)
	waittest.BestOf(t, func() string {
		began := time.Now()
		_, err := open(t, c.settings()).Read(within(t, ample))
		if took := time.Since(began); !errors.Is(err, fencing.ErrAuth) || took > time.Second {
			return fmt.Sprintf("%v after %v", err, took)
		}
		return ""
	})
	for _, s := range settled(c.wire) {
		if kind(s.p) == kindRakp3 && s.p[17] == 0 {
			t.Error("a login with the wrong password was sent: it would count towards a lock")
		}
	}
}
