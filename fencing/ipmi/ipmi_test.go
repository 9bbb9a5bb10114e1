package ipmi_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/types"
	"go.uber.org/goleak"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/fencing/ipmi"
	"bascule/ha"
	"bascule/ha/waittest"
)

func TestMain(m *testing.M) { fencingtest.Main(m, ipmi.Method) }

// shapes are the makers' ways, reduced to what differs between them.
var shapes = []shape{
	plain,
	{name: "suite 3 only, turned GUID", suites: []types.CipherSuiteID{3}, guid: turned(fencingtest.UUID), level: bmc.PrivilegeLevelOperator},
	{name: "suite 17 only, says already", suites: []types.CipherSuiteID{17}, cipher: "17", guid: smbios(fencingtest.UUID), already: types.CodeNotSupported, level: bmc.PrivilegeLevelAdministrator},
	{name: "GUID only in the handshake", suites: []types.CipherSuiteID{3, 17}, cipher: "3", told: [16]byte(raw(fencingtest.UUID)), level: bmc.PrivilegeLevelOperator},
}

// smbios turns the first three groups round, turned everything.
func smbios(uuid string) []byte {
	b := raw(uuid)
	slices.Reverse(b[0:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return b
}

func turned(uuid string) []byte {
	b := raw(uuid)
	slices.Reverse(b)
	return b
}

func TestConforms(t *testing.T) {
	for _, sh := range shapes {
		t.Run(sh.name, func(t *testing.T) {
			t.Parallel()
			fencingtest.Run(t, fencingtest.Harness[fencingtest.Machine]{
				Method: ipmi.Method,
				New: func(t *testing.T) (fencingtest.Machine, map[string]string) {
					if strings.Contains(t.Name(), "powering_off_for_a_while") {
						t.Skip("IPMI has no word for powering off: see TestPoweringOffReadsOn")
					}
					c := newController(t, sh)
					t.Cleanup(c.noSessionLeft)
					return c, c.settings()
				},
				Switch:  fencingtest.Child().Switch,
				Secrets: []string{password},
			})
		})
	}
}

// noSessionLeft demands that the controller's sessions have been closed. The closing is not waited for by the method.
func (c *controller) noSessionLeft() {
	c.mu.Lock()
	fault := c.fault
	c.mu.Unlock()
	if fault != fencingtest.Healthy {
		return
	}
	waittest.Until(c.t, waittest.Hang, "its sessions are closed", func() bool { return c.bmc.Sessions() == 0 })
}

func open(t *testing.T, settings map[string]string) fencing.PowerDevice {
	t.Helper()
	d, err := ipmi.Method.Power(settings)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var within = fencingtest.Within

const ample = 40 * time.Second // measures nothing

func TestPoweringOffReadsOn(t *testing.T) {
	c := newController(t, plain)
	d := open(t, c.settings())
	c.Break(fencingtest.SlowOff)
	if err := d.Off(within(t, ample)); err != nil {
		t.Fatal(err)
	}
	for i := range fencingtest.SlowReads + 1 {
		want := ha.PowerOn
		if i == fencingtest.SlowReads {
			want = ha.PowerOff
		}
		if r, err := d.Read(within(t, ample)); err != nil || r.Power != want {
			t.Fatalf("read %d: %+v, %v; want %s", i, r, err, want)
		}
	}
}

func TestOnlyThePowerBitIsOff(t *testing.T) {
	for _, x := range []struct {
		name   string
		status []byte
		code   types.CompletionCode
		want   ha.Power
		err    error
	}{
		{"off", []byte{0x00, 0, 0}, 0, ha.PowerOff, nil},
		{"on", []byte{0x01, 0, 0, 0}, 0, ha.PowerOn, nil},
		{"off after mains and power failed", []byte{0x68, 0x0b, 0}, 0, ha.PowerOff, nil},
		{"off by interlock and overload", []byte{0x06, 0, 0}, 0, ha.PowerOff, nil},
		{"on with every fault", []byte{0x1f, 0xff, 0xff}, 0, ha.PowerOn, nil},
		{"off, but the machine did not follow", []byte{0x10, 0, 0}, 0, ha.PowerUnknown, fencing.ErrRefused},
		{"too short", []byte{0x00, 0}, 0, ha.PowerUnknown, fencing.ErrRubbish},
		{"empty", []byte{}, 0, ha.PowerUnknown, fencing.ErrRubbish},
		{"too long", []byte{0x00, 0, 0, 0, 0}, 0, ha.PowerUnknown, fencing.ErrRubbish},
		{"an error that comes with no data", nil, types.CodeCannotProvideResponse, ha.PowerUnknown, fencing.ErrRefused},
		{"unknown command", nil, types.CodeInvalidCommand, ha.PowerUnknown, fencing.ErrRefused},
		{"a code that nobody knows", nil, 0x7e, ha.PowerUnknown, fencing.ErrRefused},
	} {
		c := newController(t, plain)
		c.set(func() { c.status, c.code = x.status, x.code })
		r, err := open(t, c.settings()).Read(within(t, ample))
		if r.Power != x.want || !errors.Is(err, x.err) || (err == nil) != (x.err == nil) {
			t.Errorf("%s: %q, %v; want %q, %v", x.name, r.Power, err, x.want, x.err)
		}
	}
}

func TestARefusalCountsAsDoneOnlyInTheWantedState(t *testing.T) {
	sh := plain
	sh.already = types.CodeNotSupported
	c := newController(t, sh)
	d := open(t, c.settings())
	c.SetPower(ha.PowerOff)
	if err := d.Off(within(t, ample)); err != nil {
		t.Errorf("off when off: %v", err)
	}
	c.set(func() { c.status = []byte{0x01, 0, 0} }) // refuses as already off, reads on
	if err := d.Off(within(t, ample)); !errors.Is(err, fencing.ErrRefused) || !strings.Contains(err.Error(), "D5h") || !strings.Contains(err.Error(), "reads on") {
		t.Errorf("refused while reading on: %v, want refused, the code and the reading", err)
	}
	c.set(func() { c.status, c.code = nil, types.CodeUnspecifiedError })
	if err := d.Off(within(t, ample)); !errors.Is(err, fencing.ErrRefused) {
		t.Errorf("refused and not readable: %v, want refused", err)
	}
	c.set(func() { c.code, c.power, c.status = 0, ha.PowerOn, []byte{0x00, 0, 0} }) // a stale off: the command has to be sent all the same
	if err := d.Off(within(t, ample)); err != nil || c.Power() != ha.PowerOff {
		t.Errorf("a stale off: %v, machine %s", err, c.Power())
	}
	c.Break(fencingtest.Refuses)
	c.SetPower(ha.PowerOff)
	if err := d.Off(within(t, ample)); !errors.Is(err, fencing.ErrRefused) || !strings.Contains(err.Error(), "D4h") {
		t.Errorf("any other refusal while off: %v, want refused and the code", err)
	}
}

func TestAConfiguredUUIDGuardsSwitching(t *testing.T) {
	for name, guid := range map[string][]byte{"RFC 4122": raw(fencingtest.UUID), "SMBIOS": smbios(fencingtest.UUID), "IPMI": turned(fencingtest.UUID)} {
		sh := plain
		sh.guid = guid
		c := newController(t, sh)
		settings := c.settings()
		settings["uuid"] = fencingtest.OtherUUID
		if err := open(t, settings).Off(within(t, ample)); !errors.Is(err, fencing.ErrWrongMachine) || len(c.Heard()) != 0 {
			t.Errorf("%s, another machine's UUID: %v, heard %v", name, err, c.Heard())
		}
		settings["uuid"] = strings.ToUpper(fencingtest.UUID)
		d := open(t, settings)
		if r, err := d.Read(within(t, ample)); err != nil || !ha.SameUUID(r.SystemUUID, fencingtest.UUID) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if err := d.Off(within(t, ample)); err != nil || c.Power() != ha.PowerOff {
			t.Errorf("%s, the machine's own UUID: %v", name, err)
		}
		if err := open(t, settings).On(within(t, ample)); err != nil || c.Power() != ha.PowerOn {
			t.Errorf("%s, on: %v", name, err)
		}
	}
}

func TestNoGUIDNoSwitchingByUUID(t *testing.T) {
	for name, guid := range map[string][]byte{"none": nil, "zeros": make([]byte, 16)} {
		sh := plain
		sh.guid = guid
		c := newController(t, sh)
		settings := c.settings()
		if r, err := open(t, settings).Read(within(t, ample)); err != nil || r.SystemUUID != "" || r.Power != ha.PowerOn {
			t.Errorf("%s: %+v, %v; want on and no UUID", name, r, err)
		}
		settings["uuid"] = fencingtest.UUID
		if err := open(t, settings).Off(within(t, ample)); !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), `"uuid"`) || len(c.Heard()) != 0 {
			t.Errorf("%s, compared: %v, heard %v; want settings and nothing sent", name, err, c.Heard())
		}
	}
	sh := plain
	sh.guid = []byte{1, 2, 3}
	if _, err := open(t, newController(t, sh).settings()).Read(within(t, ample)); !errors.Is(err, fencing.ErrRubbish) {
		t.Errorf("three bytes of GUID: %v, want rubbish", err)
	}
}

func TestPrivilege(t *testing.T) {
	sh := plain
	sh.level = bmc.PrivilegeLevelUser
	c := newController(t, sh)
	d := open(t, c.settings())
	if err := d.Off(within(t, ample)); !errors.Is(err, fencing.ErrRefused) || len(c.Heard()) != 0 {
		t.Errorf("an account that may only look: %v, heard %v; want refused", err, c.Heard())
	}
	sh.level = bmc.PrivilegeLevelAdministrator
	c = newController(t, sh)
	settings := c.settings()
	settings["privilege"] = "ADMINISTRATOR"
	if err := open(t, settings).Off(within(t, ample)); err != nil || c.Power() != ha.PowerOff {
		t.Errorf("an administrator: %v", err)
	}
}

func TestNobodyStaysBehind(t *testing.T) {
	c := newController(t, plain)
	d := open(t, c.settings())
	d.Read(within(t, ample)) // the controller's side of the wire has begun
	before := goleak.IgnoreCurrent()
	c.hooks(nothing, nil)
	d.Read(within(t, 50*time.Millisecond))
	d.Off(within(t, 50*time.Millisecond))
	c.cut()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
