package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Tally sums up runs.
type Tally struct {
	Seeds, WithoutFault, Faults, Starts, Recoveries, Fences, Fenced, FalseFences, Deputies, Promises, Violations int

	kinds    map[string]int
	perSeed  []int // kinds of fault, by seed
	recs     []int // recoveries, by seed
	rto      map[string][]time.Duration
	nodeTime time.Duration
}

// NewTally is empty.
func NewTally() *Tally { return &Tally{kinds: map[string]int{}, rto: map[string][]time.Duration{}} }

// Add takes a run in.
func (t *Tally) Add(r Result) {
	t.Seeds++
	if len(r.Kinds) == 0 {
		t.WithoutFault++
	}
	t.Faults += r.Faults
	t.Starts += r.Starts
	t.Recoveries += r.Recoveries
	t.Fences += r.Fences
	t.Fenced += r.Fenced
	t.FalseFences += r.FalseFences
	t.Deputies += r.Deputies
	t.Promises += r.Promises
	t.nodeTime += r.NodeTime
	if len(r.Violations) > 0 {
		t.Violations++
	}
	for _, k := range r.Kinds {
		t.kinds[k]++
	}
	t.perSeed = append(t.perSeed, len(r.Kinds))
	t.recs = append(t.recs, r.Recoveries)
	for kind, list := range r.RTO {
		t.rto[kind] = append(t.rto[kind], list...)
	}
}

// percentile of a list, in place sorted; 0 of none.
func percentile[T int | time.Duration](list []T, p float64) T {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(len(list)-1, int(p*float64(len(list))))]
}

// Table is what the runs showed, for people.
func (t *Tally) Table() string {
	var b strings.Builder
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(t.kinds)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", k, t.kinds[k]))
	}
	fmt.Fprintf(&b, "seeds with each fault: %s\n", strings.Join(kinds, ", "))
	fmt.Fprintf(&b, "per seed, median: %d kinds of fault, %d recoveries\n", percentile(t.perSeed, 0.5), percentile(t.recs, 0.5))
	for _, k := range slices.Sorted(maps.Keys(t.rto)) {
		l := t.rto[k]
		fmt.Fprintf(&b, "recovered by %-18s %6d  p50 %6.2fs  p90 %6.2fs  p99 %6.2fs  max %6.2fs\n", k, len(l), percentile(l, 0.5).Seconds(),
			percentile(l, 0.9).Seconds(), percentile(l, 0.99).Seconds(), percentile(l, 1).Seconds())
	}
	years := t.nodeTime.Hours() / 24 / 365
	fmt.Fprintf(&b, "%d incarnations proven dead, %d machines ended by a device or a watchdog, %d of them worked (each for a fault's reason): %.2f per simulated node-year of trouble (%.2f years)\n",
		t.Fenced, t.Fences, t.FalseFences, float64(t.FalseFences)/max(years, 1e-9), years)
	fmt.Fprintf(&b, "%d promises to peers, %d leases ended by deputies\n", t.Promises, t.Deputies)
	return b.String()
}

// Line is the result in one line, for machines.
func (t *Tally) Line() string {
	var all []time.Duration
	for _, k := range slices.Sorted(maps.Keys(t.rto)) {
		all = append(all, t.rto[k]...)
	}
	return fmt.Sprintf("RESULT seeds=%d faults=%d seeds_without_fault=%d starts=%d recoveries=%d rto_p50=%.2f rto_p99=%.2f false_fences=%d violations=%d",
		t.Seeds, t.Faults, t.WithoutFault, t.Starts, t.Recoveries, percentile(all, 0.5).Seconds(), percentile(all, 0.99).Seconds(), t.FalseFences, t.Violations)
}
