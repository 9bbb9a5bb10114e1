package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"bascule/tests/lab"
)

// ColdKind says what makes a cold start harder than that everybody comes back.
type ColdKind string

// The kinds of cold starts.
const (
	ColdAll    ColdKind = "all back"       // in random order, after random times
	ColdAbsent ColdKind = "one stays off"  // until the others run everything, which they may with a proof only
	ColdSwitch ColdKind = "switch last"    // nobody hears anybody until all have booted, or nearly
	ColdDisk   ColdKind = "a disk emptied" // one voter comes back without its etcd data
)

// coldKinds in the order in which the rounds take them.
var coldKinds = []ColdKind{ColdAll, ColdAbsent, ColdSwitch, ColdDisk}

// The bounds of what is drawn.
const (
	cutSpread  = 2 * time.Second  // from the first power cut to the last
	outageMax  = 6 * time.Second  // from the last power cut to the first power-on
	bootMin    = 2 * time.Second  // from power-on to the first process
	bootMax    = 20 * time.Second // a server takes longer; what matters is that they differ
	switchLate = 20 * time.Second // how much later than the last power-on the switch may come
)

// coldRound is one power loss of everything, as it was drawn.
type coldRound struct {
	No      int
	Kind    ColdKind
	Outage  time.Duration            // from the last cut to the first moment at which somebody may get power
	Cuts    map[string]time.Duration // machine → when its power goes, from the first cut's earliest moment on
	Ons     []coldOn                 // in the order in which they get power
	Absent  string                   // gets power only when the others run everything
	Heals   time.Duration            // when the switch comes back; 0: it was never away
	Emptied string                   // the voter whose etcd data are gone
}

// coldOn is a machine's return.
type coldOn struct {
	Machine string
	After   time.Duration // from the outage's end
	Boot    time.Duration // from power-on to its first process
}

// drawCold draws one round. The same seed and number give the same round.
func drawCold(seed uint64, no int, o lab.Options, machines []string, longest time.Duration) coldRound {
	rng := rand.New(rand.NewPCG(seed, uint64(no)))
	upTo := func(d time.Duration) time.Duration {
		return time.Duration(rng.Int64N(int64(d) + 1)).Round(10 * time.Millisecond)
	}
	r := coldRound{No: no, Kind: coldKinds[(no-1)%len(coldKinds)], Outage: upTo(outageMax), Cuts: map[string]time.Duration{}}
	for _, m := range machines {
		r.Cuts[m] = upTo(cutSpread)
	}
	// A power loss ends for all at once as often as people walk from machine to machine.
	spread := []time.Duration{0, 3 * time.Second, longest / 4, longest}[rng.IntN(4)]
	for _, m := range machines {
		r.Ons = append(r.Ons, coldOn{Machine: m, After: upTo(spread), Boot: bootMin + upTo(bootMax-bootMin)})
	}
	rng.Shuffle(len(r.Ons), func(i, j int) { r.Ons[i], r.Ons[j] = r.Ons[j], r.Ons[i] })
	slices.SortStableFunc(r.Ons, func(a, b coldOn) int { return int(a.After - b.After) })
	last := r.Ons[len(r.Ons)-1].After
	switch r.Kind {
	case ColdAbsent:
		r.Absent = machines[rng.IntN(o.Nodes)] // a witness has no guests that could wait for anything
	case ColdSwitch:
		r.Heals = last + upTo(switchLate)
	case ColdDisk:
		r.Emptied = machines[rng.IntN(len(machines))]
	}
	return r
}

// needed is the machine with whose power everything is there that recovery needs: a majority of the store's voters and of corosync's votes.
// An emptied voter does not vote. It is empty when even all of them are not enough.
func (r coldRound) needed(o lab.Options, machines []string) string {
	voters, votes, nodes := 0, 0, 0
	allVotes := o.Nodes
	if o.QDevice {
		allVotes++
	}
	for _, on := range r.Ons {
		if on.Machine == r.Absent {
			continue
		}
		if on.Machine != r.Emptied {
			voters++
		}
		if on.Machine != lab.WitnessName {
			nodes++
		}
		if on.Machine != lab.WitnessName || o.QDevice {
			votes++
		}
		if 2*voters > len(machines) && 2*votes > allVotes && nodes > 0 {
			return on.Machine
		}
	}
	return ""
}

// String tells people what will happen.
func (r coldRound) String() string {
	var ons []string
	for _, on := range r.Ons {
		if on.Machine == r.Absent {
			ons = append(ons, on.Machine+" last of all")
			continue
		}
		ons = append(ons, fmt.Sprintf("%s +%.1f (boots %.1f)", on.Machine, on.After.Seconds(), on.Boot.Seconds()))
	}
	text := fmt.Sprintf("round %d, %s: power back: %s", r.No, r.Kind, strings.Join(ons, ", "))
	if r.Heals > 0 {
		text += fmt.Sprintf("; the switch +%.1f", r.Heals.Seconds())
	}
	if r.Emptied != "" {
		text += "; the etcd data of " + r.Emptied + " are gone"
	}
	return text
}
