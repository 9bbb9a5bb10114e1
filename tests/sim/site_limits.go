package sim

import (
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// limits draws what the leader may do to machines at once, and what becomes of them: mostly as shipped.
func (d *draw) limits(s *Spec) {
	UsualLimits(s)
	s.MaxConcurrent = pick(d, 1, 1, 2, 4)
	s.MinHealthy = pick(d, 51, 51, 51, 51, 51, 60, 67, 80, 100, 0)
	if d.chance(0.25) {
		s.PriorityDelay = d.between(time.Second, 15*time.Second)
	}
	on := pick(d, 0, 0, 0.5, 1)
	for _, h := range s.Hosts {
		if p, ok := s.Plans[ha.NodeName(h.Name)]; ok && d.chance(on) {
			p.After = ladder.SwitchOn
			s.Plans[ha.NodeName(h.Name)] = p
		}
	}
}

// UsualLimits sets what the configuration has by default.
func UsualLimits(s *Spec) {
	s.MaxConcurrent, s.MinHealthy, s.PriorityDelay = 4, 51, 0
	for n, p := range s.Plans {
		p.After = ladder.StayOff
		s.Plans[n] = p
	}
}
