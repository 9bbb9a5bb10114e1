package sim

import (
	"time"

	"bascule/ha"
)

// DeviceSpec describes a fencing device as the nodes' configuration names it.
type DeviceSpec struct {
	Name     string
	Node     string        // the node that it is configured for; its machine, unless a fault says otherwise
	Kind     ha.DeviceKind // empty: power
	Storages []string      // storage: those that it revokes; poison: the disks with the slots
	Outlet   bool          // power: it feeds one supply of the machine, which runs while one of its outlets has power
}

// Device is a fencing device: a BMC, a storage's administration, the disks of poison pills, or a reset service.
type Device struct {
	Name string

	m      *Machine
	spec   DeviceSpec
	end    string // its endpoint on NetMgmt
	stream string
	turns  map[*Proc]*deviceTurn

	slow          time.Duration
	dead, lies    int
	wrong         *Host
	diesWithPower bool
	stuck         bool
	wrongUUID     bool
	cut           bool // an outlet without power

	claimed map[ha.DeviceAction]bool // what it says that it did
	offFrom time.Duration            // a switching off that is under way: from, until
	offAt   time.Duration
	late    bool                                    // a reset just now met another boot than it was told for
	pills   []bool                                  // by disk: a message lies in the node's slot
	asked   func(device string, c ha.DeviceCommand) // told of what reaches a storage device
}

// deviceTurn is one caller's queue at a device.
type deviceTurn struct {
	busy bool
	next []func()
}

// AddDevice puts a device into the room.
func (m *Machine) AddDevice(s DeviceSpec) *Device {
	if s.Kind == "" {
		s.Kind = ha.PowerDevice
	}
	if s.Kind == ha.PoisonDevice && len(s.Storages) == 0 {
		s.Storages = []string{s.Name}
	}
	d := &Device{Name: s.Name, m: m, spec: s, end: "bmc:" + s.Name, stream: "bmc " + s.Name, turns: map[*Proc]*deviceTurn{},
		claimed: map[ha.DeviceAction]bool{}, pills: make([]bool, len(s.Storages))}
	m.devices = append(m.devices, d)
	return d
}

// Device returns the device of this name, nil if there is none.
func (m *Machine) Device(name string) *Device {
	for _, d := range m.devices {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// Spec is what the device was made from.
func (d *Device) Spec() DeviceSpec { return d.spec }

// Slow makes the device take d longer for everything.
func (d *Device) Slow(by time.Duration) { d.slow = by }

// Dead makes it answer nothing. Counted.
func (d *Device) Dead(on bool) { d.dead = countFault(d.dead, on) }

// Lies makes it say that it did what it was told, and read so, without doing it. Counted; the lie ends with it.
func (d *Device) Lies(on bool) {
	d.lies = countFault(d.lies, on)
	if d.lies == 0 {
		clear(d.claimed)
	}
}

// WrongMachine makes it switch and read another host's machine; "" sets it right.
func (d *Device) WrongMachine(host string) { d.wrong = d.m.Host(host) }

// DiesWithPower: it has no power of its own, so that it is silent while its machine's plug is dead.
func (d *Device) DiesWithPower(on bool) { d.diesWithPower = on }

// Stuck makes a switching off take 30-60 s, all of it read as powering-off.
func (d *Device) Stuck(on bool) { d.stuck = on }

// WrongUUID makes it read another machine's system UUID.
func (d *Device) WrongUUID(on bool) { d.wrongUUID = on }

func countFault(n int, on bool) int {
	if on {
		return n + 1
	}
	return max(0, n-1)
}

// machine is what the device really has its hands on.
func (d *Device) machine() *Host {
	if d.wrong != nil {
		return d.wrong
	}
	return d.m.Host(d.spec.Node)
}

// silent says whether the device gives no answer now.
func (d *Device) silent() bool {
	h := d.machine()
	return d.dead > 0 || h == nil || d.diesWithPower && !h.mains
}

func (d *Device) between(lo, hi time.Duration) time.Duration {
	return d.m.loop.Between(d.stream, lo, hi)
}

// handle is a command's arrival at the device. there is asked once more, after the first half of the device's time, whether the
// caller's process is still there; what it has taken then takes effect whatever becomes of the caller.
func (d *Device) handle(c ha.DeviceCommand, there func() bool, answer func(ha.DeviceReading)) {
	if d.silent() {
		return
	}
	before := time.Duration(0)
	if d.slow > 0 {
		before = d.between(0, d.slow)
	}
	d.m.loop.After(before+d.between(10*time.Millisecond, 100*time.Millisecond), func() {
		if d.silent() || !there() {
			return
		}
		r := ha.DeviceReading{Power: ha.PowerUnknown}
		switch d.spec.Kind {
		case ha.PowerDevice:
			d.power(c.Action, &r)
		case ha.StorageDevice:
			d.storage(c, &r)
			if d.asked != nil {
				d.asked(d.Name, c)
			}
		case ha.ResetDevice:
			d.reset(c, &r)
		default:
			r.Problem = "there is no such device"
		}
		d.m.loop.Logf(d.Name, "%s: %s %s", c.Action, r.Power, r.Problem)
		d.m.loop.After(d.slow-before+d.between(10*time.Millisecond, 100*time.Millisecond), func() {
			if !d.silent() {
				answer(r)
			}
		})
	})
}

// power reads or switches a machine.
func (d *Device) power(a ha.DeviceAction, r *ha.DeviceReading) {
	h := d.machine()
	switch a {
	case ha.DeviceRead:
		r.Power, r.SystemUUID = d.reads(h), h.spec.UUID
		if d.wrongUUID {
			r.SystemUUID = "00000000-dead-beef-0000-000000000000"
		}
	case ha.DeviceOff:
		d.switchOff(h)
	case ha.DeviceOn:
		if d.m.loop.Now() < d.offAt {
			r.Problem = "refused: the machine is being switched off"
			return
		}
		if d.lies > 0 {
			d.claimed[ha.DeviceOff] = false
			return
		}
		d.cut = false
		h.switchOn(d.Name)
	}
}

// longOff is how long a switching off takes before a reader sees it as such.
const longOff = time.Second

func (d *Device) reads(h *Host) ha.Power {
	switch {
	case d.claimed[ha.DeviceOff]:
		return ha.PowerOff
	case d.live(h) && d.m.loop.Now() < d.offAt && d.offAt-d.offFrom > longOff:
		return ha.PowerPoweringOff
	case d.live(h):
		return ha.PowerOn
	}
	return ha.PowerOff
}

// live says whether what the device switches has power: the machine, or an outlet whatever hangs on it.
func (d *Device) live(h *Host) bool {
	if d.spec.Outlet {
		return !d.cut && h.mains
	}
	return h.on
}

// switchOff takes the command; the machine loses its power a little later.
func (d *Device) switchOff(h *Host) {
	if d.lies > 0 {
		d.claimed[ha.DeviceOff] = true
		return
	}
	if !d.live(h) || d.m.loop.Now() < d.offAt {
		return
	}
	takes := d.between(100*time.Millisecond, 2*time.Second)
	if d.stuck {
		takes = d.between(30*time.Second, 60*time.Second)
	}
	d.offFrom, d.offAt = d.m.loop.Now(), d.m.loop.Now()+takes
	d.m.loop.After(takes, func() {
		d.cut = d.spec.Outlet
		if !d.spec.Outlet || !h.fed() {
			h.switchOff(d.Name)
		}
	})
}
