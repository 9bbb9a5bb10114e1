package sim

import (
	"slices"

	"bascule/ha"
	"bascule/ha/ladder"
)

// hardware makes some sites less plain: machines with two power supplies, each on an outlet of its own; several addresses on the storage
// network; a msgwait that somebody set too short, so that a poison pill proves nothing.
func (d *draw) hardware(s *Spec) {
	for i := range s.Hosts {
		h := &s.Hosts[i]
		if h.Witness {
			continue
		}
		if d.chance(0.07) {
			s.supplies(h.Name)
		}
		if d.chance(0.16) {
			h.Portals = 1 + d.r.IntN(2)
		}
		if d.chance(0.2) {
			s.hasty(h.Name)
		}
	}
}

// supplies replaces a machine's BMC by two outlets in the same level: the machine is off when both are.
func (s *Spec) supplies(host string) {
	levels := s.Plans[ha.NodeName(host)].Levels
	for i, spec := range s.Devices {
		if spec.Node != host || spec.Kind != ha.PowerDevice {
			continue
		}
		s.Devices[i].Outlet = true
		second := s.Devices[i]
		second.Name += "2"
		s.Devices = append(s.Devices, second)
		for j, level := range levels {
			if slices.ContainsFunc(level, func(d ladder.Device) bool { return d.Name == spec.Name }) {
				levels[j] = append(slices.Clone(level), ladder.Device{Name: second.Name, Kind: second.Kind})
			}
		}
		return
	}
}

// hasty takes a third off the msgwait of a machine's poison pills.
func (s *Spec) hasty(host string) {
	for _, level := range s.Plans[ha.NodeName(host)].Levels {
		for i := range level {
			level[i].MsgWait -= level[i].MsgWait / 3
		}
	}
}
