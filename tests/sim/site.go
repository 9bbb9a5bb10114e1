package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// RandomSpec draws a site, its faults and its people from a seed. Some sites lose the power of everything.
func RandomSpec(seed uint64) Spec {
	s := owned(seed)
	rented(&s, seed)
	outage(&s, seed)
	return s
}

// owned is a site without rented servers. What is rare or new has dice of its own, which leave the other draws as they were.
func owned(seed uint64) Spec {
	d := &draw{r: rand.New(rand.NewPCG(seed, 0x5eed))}
	s := d.site(seed)
	(&draw{r: rand.New(rand.NewPCG(seed, 0x4a4e))}).hardware(&s)
	d.faults(&s)
	(&draw{r: rand.New(rand.NewPCG(seed^0x11417, 0xfe4ce))}).limits(&s)
	(&draw{r: rand.New(rand.NewPCG(seed, 0xd15c))}).looks(&s)
	return s
}

// draw is the dice for specs; the world's own streams are others.
type draw struct{ r *rand.Rand }

func (d *draw) chance(p float64) bool { return d.r.Float64() < p }

func (d *draw) between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return (lo + time.Duration(d.r.Int64N(int64(hi-lo)))).Round(time.Millisecond)
}

func pick[T any](d *draw, of ...T) T { return of[d.r.IntN(len(of))] }

// site is a small cluster as SITES.md has them: mostly three nodes with BMCs, sometimes a witness, four or five nodes, no device at all.
func (d *draw) site(seed uint64) Spec {
	profile := pick(d, "normal", "normal", "normal", "normal", "normal", "normal", "normal", "fast", "fast", "patient")
	t, err := ha.Profile(profile)
	if err != nil {
		panic(err) // the profiles above exist
	}
	s := Spec{Seed: seed, Timing: t, MaxRestart: 1, MaxRelocate: 2, ParallelStarts: 2 + d.r.IntN(3), ParallelMoves: 1 + d.r.IntN(2),
		Plans: map[ha.NodeName]ladder.Plan{}, Storages: []StorageSpec{{Name: "ceph", Shared: true, Revocable: true}, {Name: "iscsi", Shared: true, Revocable: true}}}
	nodes, witness := pick(d, 3, 3, 3, 3, 3, 4, 5), false
	if d.chance(0.12) {
		nodes, witness = 2, true
	}
	for i := range nodes {
		s.Hosts = append(s.Hosts, d.host(i+1, false))
	}
	if witness {
		s.Hosts = append(s.Hosts, d.host(nodes+1, true))
		s.QDevice = s.Hosts[nodes].Name
	}
	for i := range nodes {
		d.fencing(&s, &s.Hosts[i])
	}
	d.guests(&s, nodes)
	s.Keep = d.chance(0.06)
	if d.chance(0.25) {
		d.tight(&s)
	}
	return s
}

func (d *draw) host(i int, witness bool) HostSpec {
	h := HostSpec{Name: fmt.Sprintf("node%d", i), Witness: witness, Memory: 64 << 30, UUID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", i),
		Vote: !witness, PPM: int64(d.r.IntN(1001)) - 500, BootTime: d.between(15*time.Second, 40*time.Second)}
	if !witness {
		h.Watchdog = pick(d, "hw", "hw", "hw", "hw", "mux", "softdog", "", "")
	}
	return h
}

// fencing gives a node its ladder: storage and power together or one after the other, sometimes poison pills, always a human in the end.
func (d *draw) fencing(s *Spec, h *HostSpec) {
	var plan ladder.Plan
	var first []ladder.Device
	add := func(spec DeviceSpec, msgwait time.Duration) {
		s.Devices = append(s.Devices, spec)
		first = append(first, ladder.Device{Name: spec.Name, Kind: spec.Kind, Storages: spec.Storages, MsgWait: msgwait})
	}
	if d.chance(0.85) {
		add(DeviceSpec{Name: h.Name + "-bmc", Node: h.Name, Kind: ha.PowerDevice}, 0)
	}
	if d.chance(0.2) {
		add(DeviceSpec{Name: h.Name + "-storage", Node: h.Name, Kind: ha.StorageDevice, Storages: []string{"ceph", "iscsi"}[:1+d.r.IntN(2)]}, 0)
	}
	if d.chance(0.1) {
		add(DeviceSpec{Name: h.Name + "-pill", Node: h.Name, Kind: ha.PoisonDevice, Storages: []string{"iscsi"}}, 2*s.Timing.WatchdogTimeout)
	}
	if len(first) > 1 && d.chance(0.4) { // power only when the rest has had its time
		plan.Levels = append(plan.Levels, first[1:])
		first = first[:1]
	}
	if len(first) > 0 {
		plan.Levels = append(plan.Levels, first)
	}
	plan.Levels = append(plan.Levels, []ladder.Device{{Name: "manual", Kind: ha.ManualDevice}})
	s.Plans[ha.NodeName(h.Name)] = plan
}

// tight gives the hosts little more memory than their own guests need: not everybody finds a place when one of them dies.
func (d *draw) tight(s *Spec) {
	for i := range s.Hosts {
		h := &s.Hosts[i]
		h.Memory = hostReserve + int64(d.r.IntN(5))<<30
		for _, g := range s.Guests {
			if g.Node == h.Name {
				h.Memory += g.Memory
			}
		}
	}
}

func (d *draw) guests(s *Spec, nodes int) {
	n := nodes + 1 + d.r.IntN(nodes+2)
	for i := range n {
		kind := ha.QEMU
		if d.chance(0.4) {
			kind = ha.LXC
		}
		g := GuestSpec{ID: ha.VMID(101 + i), Kind: kind, Node: s.Hosts[i%nodes].Name, Memory: int64(1+d.r.IntN(4)) << 30,
			Storages:  pick(d, []string{"ceph"}, []string{"ceph"}, []string{"iscsi"}, []string{"ceph", "iscsi"}),
			Protected: !d.chance(0.05), Running: !d.chance(0.08), Onboot: d.chance(0.7), Priority: d.r.IntN(3), StartTakes: d.between(200*time.Millisecond, 3*time.Second)}
		if d.chance(0.04) {
			g.Pinned = "hostpci0: a device of that node"
		}
		g.Name = fmt.Sprintf("guest%d", g.ID)
		switch {
		case d.chance(0.03):
			g.FailStarts = 1 + d.r.IntN(3)
		case d.chance(0.03):
			g.FailMigrations = 1
		case d.chance(0.02):
			g.NeverStops = true
		}
		s.Guests = append(s.Guests, g)
	}
}
