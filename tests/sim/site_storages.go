package sim

import (
	"slices"
	"time"
)

// looks makes the daemons of some sites look at their storages, and lets nodes lose one for long. Its dice are others than the site's.
func (d *draw) looks(s *Spec) {
	if !d.chance(0.2) {
		return
	}
	s.Looks = true
	for range 1 + d.r.IntN(3) {
		disk := s.Storages[d.r.IntN(len(s.Storages))].Name
		c := d.command("fail-storage", d.between(40*time.Second, 100*time.Second), disk, d.node(s))
		switch d.r.IntN(5) {
		case 0: // it hangs
			c = d.command("cut", d.between(40*time.Second, 100*time.Second), "storage", d.node(s), "disk:"+disk)
		case 1: // for all
			c = d.command("cut", d.between(40*time.Second, 100*time.Second), "storage", "disk:"+disk, "*")
		}
		s.Commands = append(s.Commands, c)
		s.Length = max(s.Length, c.At+c.For+time.Second)
	}
	slices.SortStableFunc(s.Commands, func(a, b Command) int { return int(a.At - b.At) })
}
