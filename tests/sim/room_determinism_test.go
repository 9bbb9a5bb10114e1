package sim

import (
	"bytes"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// busyRun is a run in which everything of the room happens.
func busyRun(seed uint64) (uint64, string) {
	var out bytes.Buffer
	timing, _ := ha.Profile("normal")
	l := NewLoop(seed, &out)
	n := NewNet(l)
	hosts := []HostSpec{{Name: "n1", Vote: true, Watchdog: dogHW}, {Name: "n2", Vote: true, Watchdog: dogMux, PPM: 40}, {Name: "n3", Vote: true, Watchdog: dogSoft}}
	ct := vm(103)
	ct.Kind, ct.Onboot = ha.LXC, true
	m := NewMachine(l, n, timing, hosts, []StorageSpec{{Name: "ceph", Shared: true, Revocable: true}}, []GuestSpec{vm(101), vm(102), ct})
	d := m.AddDevice(DeviceSpec{Name: "bmc1", Node: "n1"})
	for _, h := range m.Hosts() {
		h.OnBoot = func(h *Host) {
			h.StartGuard()
			p := h.NewProc("agent")
			c := h.PVE(p)
			var loop func()
			loop = func() {
				h.Guard().Permit(p, node.GuardPermit{Deadline: p.Clock().Now().Add(4 * time.Second), Incarnation: h.Inc(), Guests: []ha.GuestRef{{ID: 101, Kind: ha.QEMU}}}, func(ha.GuardStatus, error) {})
				c.Inventory(func(ha.Inventory, error) {})
				c.Members(func(ha.CorosyncView, error) {})
				p.After(time.Second, loop)
			}
			loop()
			h.Guard().Arm(p, func(ha.GuardStatus, error) {})
		}
	}
	m.Start()
	at := func(t time.Duration, f func()) { l.After(t, f) }
	p := m.Host("n2").NewProc("leader")
	at(5*time.Second, func() { m.Host("n1").PVE(m.Host("n1").NewProc("x")).Migrate(101, ha.QEMU, "n2", true, func(error) {}) })
	at(6*time.Second, func() { m.Host("n1").PVE(m.Host("n1").NewProc("x")).Migrate(103, ha.LXC, "n3", true, func(error) {}) })
	at(20*time.Second, func() { n.Cut(NetCorosync, "n3", "*", true) })
	at(30*time.Second, func() { d.Slow(time.Second) })
	at(31*time.Second, func() {
		m.Do(p, "n2", ha.DeviceCommand{Device: "bmc1", Node: "n1", Action: ha.DeviceOff, Timeout: 3 * time.Second, Deadline: p.Clock().Now().Add(4 * time.Second)}, func(ha.DeviceReading) {})
	})
	at(40*time.Second, func() { m.Host("n2").PVE(p).Claim(102, ha.QEMU, "n1", func(error) {}) })
	at(45*time.Second, func() { m.Host("n3").Freeze(true) })
	at(50*time.Second, func() { n.Cut(NetCorosync, "n3", "*", false); m.Host("n3").Freeze(false); m.Host("n1").Power(true) })
	l.Run(150 * time.Second)
	return l.Hash(), out.String()
}

func TestTheSameSeedIsTheSameRun(t *testing.T) {
	h1, out1 := busyRun(7)
	h2, out2 := busyRun(7)
	if h1 != h2 || out1 != out2 {
		t.Errorf("two runs of one seed differ: %x, %x", h1, h2)
	}
	if h3, _ := busyRun(8); h3 == h1 {
		t.Error("two seeds are one run")
	}
}

func BenchmarkRoom(b *testing.B) {
	for i := range b.N {
		busyRun(uint64(i))
	}
}
