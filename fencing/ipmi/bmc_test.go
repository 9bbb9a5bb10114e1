package ipmi_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing/fencingtest"
	"bascule/fencing/ipmi/ipmitest"
	"bascule/ha"
)

const (
	user     = "fence-operator"
	password = `pa"ss/w+rd&-7c1e`
)

// shape is how a maker's firmware answers.
type shape struct {
	name    string
	suites  []types.CipherSuiteID
	guid    []byte               // as Get System GUID puts it on the wire; nil: it does not know the command
	told    [16]byte             // the GUID of the handshake
	already types.CompletionCode // answer to a command into the state that the machine has
	level   bmc.PrivilegeLevel   // the account's highest
	kg      []byte               // BMC key
	cipher  string               // setting
}

var plain = shape{name: "plain", suites: []types.CipherSuiteID{3, 17}, guid: raw(fencingtest.UUID), level: bmc.PrivilegeLevelOperator}

func raw(uuid string) []byte { return ipmitest.GUID(uuid) }

// controller is a controller and its machine, behind a wire.
type controller struct {
	*wire
	t      *testing.T
	sh     shape
	mu     sync.Mutex
	bmc    *ipmitest.Server
	power  ha.Power
	fault  fencingtest.Fault
	slow   int
	status []byte // chassis status as is, instead of the power's
	code   types.CompletionCode
	busy   int // commands that are answered with "node busy"
	heard  []ha.DeviceAction
	others []byte // chassis controls that are neither off nor on
}

func newController(t *testing.T, sh shape) *controller {
	c := &controller{t: t, sh: sh, power: ha.PowerOn, fault: fencingtest.Healthy}
	c.wire = newWire(t, c.start(sh))
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.others) > 0 {
			t.Errorf("the controller was sent the chassis controls %v", c.others)
		}
	})
	return c
}

// start serves a new BMC and returns its address.
func (c *controller) start(sh shape) string {
	conn, err := udp.Listen("127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	s, err := ipmitest.Serve(conn, ipmitest.Options{
		Suites: sh.suites, User: user, Password: password, Level: sh.level, KG: sh.kg, Told: sh.told, NoGUID: sh.guid == nil, Machine: c,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(s.Close)
	c.bmc = s
	return conn.LocalAddr().String()
}

// settings are what reaches the controller, with the password in a file.
func (c *controller) settings() map[string]string {
	s := map[string]string{"address": c.address(), "user": user, "password_file": fencingtest.SecretFile(c.t, password)}
	if c.sh.cipher != "" {
		s["cipher"] = c.sh.cipher
	}
	return s
}

func (c *controller) Power() ha.Power { c.mu.Lock(); defer c.mu.Unlock(); return c.power }

func (c *controller) SetPower(p ha.Power) { c.mu.Lock(); defer c.mu.Unlock(); c.power = p }

func (c *controller) Heard() []ha.DeviceAction {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.heard)
}

func (c *controller) set(f func()) { c.mu.Lock(); defer c.mu.Unlock(); f() }

func (c *controller) Break(f fencingtest.Fault) {
	c.set(func() { c.fault = f })
	c.hooks(nil, nil)
	switch f {
	case fencingtest.Unreachable:
		c.cut()
	case fencingtest.Hangs:
		c.hooks(nothing, nil)
	case fencingtest.Rubbish:
		c.hooks(nil, func(p []byte) [][]byte { return [][]byte{append([]byte("<html>"), p...)} })
	case fencingtest.WrongPassword:
		if err := c.bmc.SetPassword("another"); err != nil {
			c.t.Fatal(err)
		}
	case fencingtest.OtherMachine:
		sh := c.sh
		if sh.told != [16]byte{} {
			sh.told = [16]byte(raw(fencingtest.OtherUUID))
		}
		back := c.start(sh)
		c.wire.mu.Lock()
		c.wire.back = back
		c.wire.mu.Unlock()
	}
}

func (c *controller) isBusy() bool {
	c.busy--
	return c.busy >= 0
}

// SystemGUID implements ipmitest.Machine.
func (c *controller) SystemGUID() ([]byte, types.CompletionCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isBusy() {
		return nil, types.CodeNodeBusy
	}
	if c.fault == fencingtest.OtherMachine {
		return raw(fencingtest.OtherUUID), types.CodeOK
	}
	return slices.Clone(c.sh.guid), types.CodeOK
}

// ChassisStatus implements ipmitest.Machine.
func (c *controller) ChassisStatus() ([]byte, types.CompletionCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.isBusy():
		return nil, types.CodeNodeBusy
	case c.code != types.CodeOK:
		return nil, c.code
	case c.status != nil:
		return slices.Clone(c.status), types.CodeOK
	}
	if c.power == ha.PowerPoweringOff {
		if c.slow--; c.slow < 0 {
			c.power = ha.PowerOff
		}
	}
	return ipmitest.Status(c.power != ha.PowerOff), types.CodeOK
}

// ChassisControl implements ipmitest.Machine.
func (c *controller) ChassisControl(control byte) types.CompletionCode {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isBusy() {
		return types.CodeNodeBusy
	}
	action, to := ha.DeviceOff, ha.PowerOff
	switch control {
	case 0:
	case 1:
		action, to = ha.DeviceOn, ha.PowerOn
	default:
		c.others = append(c.others, control)
		return types.CodeOK
	}
	c.heard = append(c.heard, action)
	switch {
	case c.fault == fencingtest.Refuses:
		return types.CodeInsufficientPrivilege
	case c.sh.already != types.CodeOK && to == c.power:
		return c.sh.already
	case c.fault == fencingtest.Lies:
	case c.fault == fencingtest.SlowOff && to == ha.PowerOff:
		c.power, c.slow = ha.PowerPoweringOff, fencingtest.SlowReads
	default:
		c.power = to
	}
	return types.CodeOK
}
