package bench

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Set is the rounds of one bench, by corosync setting.
type Set struct {
	N           int                // rounds wanted per kind and setting
	Rounds      map[string][]Round // default, tuned
	DoubleRuns  int
	DoubleTexts []string // what the double runs were
}

// Lost counts the guests that ran nowhere any more.
func (s Set) Lost() int {
	n := 0
	for _, rounds := range s.Rounds {
		for _, r := range rounds {
			n += len(r.Lost)
		}
	}
	return n
}

// percentile is the smallest value that at least this share (0 to 1) of the values do not exceed. It is 0 without values.
func percentile(values []time.Duration, share float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// samples are the rounds of one kind in three views.
type samples struct{ first, all, each []time.Duration }

func (s Set) samples(corosync string, kind Kind) samples {
	var out samples
	for _, r := range s.Rounds[corosync] {
		if r.Kind != kind || len(r.Guests) == 0 {
			continue
		}
		out.first = append(out.first, r.First())
		out.all = append(out.all, r.All())
		out.each = append(out.each, values(r.Guests)...)
	}
	return out
}

// seconds writes a duration with two decimals, or "-" if nothing was measured.
func seconds(values []time.Duration, share float64) string {
	if len(values) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", percentile(values, share).Seconds())
}

// Table shows every kind and setting: the first guest of a round, its last, and each one by itself.
func (s Set) Table() string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"corosync", "victim", "rounds", "guests", "first p50", "first max", "all p50", "all max", "each p50", "each p99", "lost"})
	for _, corosync := range []string{"default", "tuned"} {
		for _, kind := range Kinds {
			m := s.samples(corosync, kind)
			lost, rounds := 0, 0
			for _, r := range s.Rounds[corosync] {
				if r.Kind == kind {
					lost += len(r.Lost)
					rounds++
				}
			}
			if rounds == 0 {
				continue
			}
			t.AppendRow(table.Row{
				corosync, kind, rounds, len(m.each), seconds(m.first, 0.5), seconds(m.first, 1),
				seconds(m.all, 0.5), seconds(m.all, 1), seconds(m.each, 0.5), seconds(m.each, 0.99), lost,
			})
		}
	}
	return t.Render()
}

// Phases shows where the milliseconds went, for each kind and setting, beside the time that the same takes by hand.
func (s Set) Phases() string {
	var out []string
	for _, corosync := range []string{"default", "tuned"} {
		for _, kind := range Kinds {
			var guests []Profile
			for _, r := range s.Rounds[corosync] {
				if r.Kind != kind {
					continue
				}
				for _, id := range slices.Sorted(maps.Keys(r.Profiles)) {
					guests = append(guests, r.Profiles[id])
				}
			}
			if len(guests) > 0 {
				out = append(out, phaseTable(fmt.Sprintf("corosync %s, %s: where the milliseconds go", corosync, kind), corosync, guests))
			}
		}
	}
	out = append(out, fmt.Sprintf("starts under way at once on one node: %d at most", s.AtOnce()))
	return strings.Join(out, "\n")
}

// AtOnce is how many starts a single node had under way at most.
func (s Set) AtOnce() int {
	most := 0
	for _, rounds := range s.Rounds {
		for _, r := range rounds {
			for _, n := range r.AtOnce {
				most = max(most, n)
			}
		}
	}
	return most
}

// Result is the last line of a bench: seconds from the cut to each recovered guest's first line on another node, over all
// guests of all rounds of a kind.
func (s Set) Result() string {
	var b strings.Builder
	fmt.Fprintf(&b, "RESULT n=%d", s.N)
	for _, m := range []struct {
		name, corosync string
		kind           Kind
	}{{"plain", "default", Plain}, {"leader", "default", Leader}, {"tuned_plain", "tuned", Plain}} {
		each := s.samples(m.corosync, m.kind).each
		fmt.Fprintf(&b, " %s_p50=%s %s_max=%s", m.name, seconds(each, 0.5), m.name, seconds(each, 1))
	}
	fmt.Fprintf(&b, " double_runs=%d lost=%d", s.DoubleRuns, s.Lost())
	return b.String()
}
