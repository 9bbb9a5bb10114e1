package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// rented makes some of the hosts that have no power device of their own rented servers with a reset service, and gives the service
// faults. Its dice are others than the site's: what a seed draws besides stays what it was.
func rented(s *Spec, seed uint64) {
	d := &draw{r: rand.New(rand.NewPCG(seed, 0x4e70))}
	for i := range s.Hosts {
		h := &s.Hosts[i]
		plan, guests := s.Plans[ha.NodeName(h.Name)]
		if !guests || slices.ContainsFunc(plan.Levels, hasPower) || !d.chance(0.27) {
			continue
		}
		dev := DeviceSpec{Name: h.Name + "-robot", Node: h.Name, Kind: ha.ResetDevice}
		rung := ladder.Device{Name: dev.Name, Kind: dev.Kind}
		s.Devices = append(s.Devices, dev)
		if len(plan.Levels) > 1 && d.chance(0.5) { // beside what the host has
			plan.Levels[0] = append(plan.Levels[0], rung)
		} else { // after it, before the person
			plan.Levels = slices.Insert(plan.Levels, len(plan.Levels)-1, []ladder.Device{rung})
		}
		s.Plans[ha.NodeName(h.Name)] = plan
		s.Timing.BootTime = d.between(60*time.Second, 90*time.Second)
		if d.chance(0.5) {
			s.Commands = append(s.Commands, d.resetFault(dev.Name))
		}
	}
	for _, c := range s.Commands {
		s.Length = max(s.Length, c.At+c.For+time.Second)
	}
	slices.SortStableFunc(s.Commands, func(a, b Command) int { return int(a.At - b.At) })
}

func hasPower(level []ladder.Device) bool {
	return slices.ContainsFunc(level, func(d ladder.Device) bool { return d.Kind == ha.PowerDevice })
}

func (d *draw) resetFault(device string) Command {
	switch d.r.IntN(4) {
	case 0:
		return d.command("device-dead", d.long(), device)
	case 1:
		return d.command("device-slow", d.long(), device, d.between(time.Second, 8*time.Second).String())
	case 2:
		return d.command("device-stuck", d.long(), device)
	}
	return d.command("device-lies", d.long(), device)
}
