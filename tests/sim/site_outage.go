package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// outage takes the power from everything within two seconds, in some sites, and gives it back to each machine at its own time. Its dice are
// others than the site's: what a seed draws besides stays what it was.
func outage(s *Spec, seed uint64) {
	d := &draw{r: rand.New(rand.NewPCG(seed, 0xb1ac))}
	if !d.chance(0.08) {
		return
	}
	at := d.between(faultsFrom, faultsUntil)
	for _, h := range s.Hosts {
		if h.Witness && d.chance(0.3) {
			continue // it stands in another house
		}
		c := Command{At: at + d.between(0, 2*time.Second), Verb: "power-off", Args: []string{h.Name}, For: d.between(2*time.Second, 90*time.Second)}
		s.Commands = append(s.Commands, c)
		s.Length = max(s.Length, c.At+c.For+time.Second)
	}
	s.Settle += time.Minute // the last to boot begins late
	slices.SortStableFunc(s.Commands, func(a, b Command) int { return int(a.At - b.At) })
}
