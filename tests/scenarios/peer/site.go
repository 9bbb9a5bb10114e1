package peer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
	"bascule/tests/sim"
)

// storage is the one shared storage of the site.
const storage = "shared"

// bootTime is how long a machine takes from power to a running system: short, the peer's take none.
const bootTime = 15 * time.Second

// site is the spec of a scenario's world: no power switches, a watchdog in each machine. No guest runs at its beginning.
func site(s Scenario, ids map[string]ha.VMID, seed uint64) (sim.Spec, error) {
	t, err := ha.Profile("normal")
	if err != nil {
		return sim.Spec{}, err
	}
	restart, relocate := limits(s)
	spec := sim.Spec{Seed: seed, Timing: t, MaxRestart: restart, MaxRelocate: relocate, ParallelStarts: 4, ParallelMoves: 2,
		Plans: map[ha.NodeName]ladder.Plan{}, Storages: []sim.StorageSpec{{Name: storage, Shared: true}}}
	for i, n := range s.Nodes {
		spec.Hosts = append(spec.Hosts, sim.HostSpec{Name: n.Name, Memory: n.Memory, UUID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", i+1),
			Vote: true, Watchdog: "hw", BootTime: bootTime})
		spec.Plans[ha.NodeName(n.Name)] = ladder.Plan{Levels: [][]ladder.Device{{{Name: "manual", Kind: ha.ManualDevice}}}}
	}
	for _, g := range s.Guests {
		spec.Guests = append(spec.Guests, guestSpec(g, ids[g.ID]))
	}
	return spec, nil
}

func guestSpec(g Guest, id ha.VMID) sim.GuestSpec {
	kind := ha.QEMU
	if strings.HasPrefix(g.ID, "ct:") {
		kind = ha.LXC
	}
	faults := g.Fault
	if faults.Where != "" { // counted there: failHere
		faults.Starts, faults.Migrations = 0, 0
	}
	return sim.GuestSpec{ID: id, Kind: kind, Name: strings.ReplaceAll(g.ID, ":", "-"), Node: g.Node, Memory: g.Memory, Storages: []string{storage},
		Protected: g.State != "ignored", Onboot: g.State == "started", NoConfig: g.Later || g.Fault.Missing,
		FailStarts: faults.Starts, FailMigrations: faults.Migrations, NeverStops: faults.NeverStops}
}

// vmids gives every guest its number; where two kinds share one, the later gets another.
func vmids(guests []Guest) map[string]ha.VMID {
	const apart = 1000000
	out, taken := map[string]ha.VMID{}, map[ha.VMID]bool{}
	for _, g := range guests {
		_, digits, _ := strings.Cut(g.ID, ":")
		n, err := strconv.Atoi(digits)
		if err != nil || n <= 0 {
			n = apart
		}
		id := ha.VMID(n)
		for taken[id] {
			id += apart
		}
		out[g.ID], taken[id] = id, true
	}
	return out
}

// limits are the cluster's max_restart and max_relocate: those of the guests that fail, which are the only ones they matter for;
// without such a guest those of the first.
func limits(s Scenario) (restart, relocate int) {
	restart, relocate = 1, 1
	if len(s.Guests) == 0 {
		return restart, relocate
	}
	g := s.Guests[0]
	if i := slices.IndexFunc(s.Guests, failing); i >= 0 {
		g = s.Guests[i]
	}
	return g.MaxRestart, g.MaxRelocate
}

func failing(g Guest) bool { return g.Fault.Starts > 0 }

// limitsDiffer says whether failing guests disagree about the limits, which are the cluster's in Bascule.
func limitsDiffer(s Scenario) bool {
	restart, relocate := limits(s)
	return slices.ContainsFunc(s.Guests, func(g Guest) bool { return failing(g) && (g.MaxRestart != restart || g.MaxRelocate != relocate) })
}
