package peer

import (
	"strconv"
	"strings"

	"bascule/ha"
	"bascule/tests/sim"
)

// Fault is what is wrong with an fa: guest, by the digits of its number.
type Fault struct {
	Starts     int    // so many start attempts fail before one succeeds
	Migrations int    // so many migrations fail before one succeeds
	NeverStops bool   // its process ends with its machine only
	Missing    bool   // it does not exist
	Where      string // starts and migrations fail only on this node; "": anywhere
}

// faultOf reads the digits abcdef of fa:abcdef; other guests have none.
func faultOf(id string) Fault {
	digits, ok := strings.CutPrefix(id, "fa:")
	if !ok {
		return Fault{}
	}
	digit := func(i int) int {
		if i < len(digits) && digits[i] >= '0' && digits[i] <= '9' {
			return int(digits[i] - '0')
		}
		return 0
	}
	f := Fault{Starts: digit(1), Migrations: digit(2), NeverStops: digit(3) != 0, Missing: digit(4) != 0}
	if n := digit(5); n != 0 {
		f.Where = "node" + string(rune('0'+n))
	}
	return f
}

// started keeps the counters of an fa: guest: after a success the faults begin again.
func (r *run) started(host string, id ha.VMID) {
	for _, g := range r.s.Guests {
		switch {
		case r.ids[g.ID] != id || g.Fault == Fault{}:
		case g.Fault.Where != "":
			r.failHere(g, host)
		default:
			r.scene.Change(id, func(spec *sim.GuestSpec) {
				if spec.FailStarts == 0 {
					spec.FailStarts = g.Fault.Starts
				}
				if spec.FailMigrations == 0 {
					spec.FailMigrations = g.Fault.Migrations
				}
			})
		}
	}
}

// failHere sets the faults of a guest that fails on one node only, as it stands on host now: starts there, migrations from there.
func (r *run) failHere(g Guest, host string) {
	if g.Fault.Where == "" || !r.knows(g.Fault.Where) {
		return
	}
	id := r.ids[g.ID]
	r.scene.Do("fail-start", g.Fault.Where, strconv.Itoa(int(id)), strconv.Itoa(g.Fault.Starts))
	r.scene.Change(id, func(spec *sim.GuestSpec) {
		spec.FailMigrations = 0
		if host == g.Fault.Where {
			spec.FailMigrations = g.Fault.Migrations
		}
	})
}
