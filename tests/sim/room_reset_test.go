package sim

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"bascule/ha"
)

func TestAResetServiceResetsInItsOwnTime(t *testing.T) {
	for _, c := range []struct {
		name             string
		before           func(d *Device)
		problem, perhaps bool
		fires            bool
	}{
		{"works", func(*Device) {}, false, false, true},
		{"lies", func(d *Device) { d.Lies(true) }, false, false, false},
		{"another machine's", func(d *Device) { d.WrongMachine("n3") }, true, false, false},
		{"dead", func(d *Device) { d.Dead(true) }, true, true, false}, // nobody can tell it from one that has heard
		{"too slow to answer", func(d *Device) { d.Slow(7 * time.Second) }, true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			fired, perhaps := 0, 0
			for seed := range uint64(20) {
				r := newRoom(t, seed, 3, "")
				r.OnReset = func(host, why string) {
					if host != "n1" || why != "robot1" {
						t.Errorf("%s was reset by %s", host, why)
					}
					fired++
				}
				c.before(r.AddDevice(DeviceSpec{Name: "robot1", Node: "n1", Kind: ha.ResetDevice}))
				p := r.Host("n2").NewProc("leader")
				before := r.Host("n1").Inc()
				cmd := ha.DeviceCommand{Device: "robot1", Node: "n1", Incarnation: before, Action: ha.DeviceReset, Timeout: 3 * time.Second, Deadline: p.Clock().Now().Add(4 * time.Second)}
				got := r.doIt(p, cmd)
				if (got.Problem != "") != c.problem || got.Perhaps && got.Problem == "" || got.Power != ha.PowerUnknown {
					t.Fatalf("answers %+v", got)
				}
				if got.Perhaps {
					perhaps++
				}
				r.run(resetLatest + 8*time.Second)
			}
			if (fired > 0) != c.fires || (perhaps > 0) != c.perhaps || !c.problem && c.fires && fired != 20 {
				t.Errorf("%d resets, %d answers lost", fired, perhaps)
			}
		})
	}
}

func TestAResetServiceTakesNothingElse(t *testing.T) {
	r := newRoom(t, 3, 3, "")
	r.AddDevice(DeviceSpec{Name: "robot1", Node: "n1", Kind: ha.ResetDevice})
	p := r.Host("n2").NewProc("leader")
	cmd := ha.DeviceCommand{Device: "robot1", Node: "n1", Action: ha.DeviceOff, Timeout: 3 * time.Second, Deadline: p.Clock().Now().Add(4 * time.Second)}
	if got := r.doIt(p, cmd); got.Problem == "" || got.Perhaps {
		t.Errorf("off: %+v", got)
	}
	cmd.Action = ha.DeviceRead
	if got := r.doIt(p, cmd); got.Problem != "" || got.Power != ha.PowerUnknown {
		t.Errorf("read: %+v", got)
	}
}

// TestALateResetIsSeen: a service that carries a reset out late meets another boot than it was told for.
func TestALateResetIsSeen(t *testing.T) {
	r := newRoom(t, 5, 3, "")
	d := r.AddDevice(DeviceSpec{Name: "robot1", Node: "n1", Kind: ha.ResetDevice})
	d.Stuck(true)
	var late []bool
	r.OnReset = func(string, string) { late = append(late, d.late) }
	p := r.Host("n2").NewProc("leader")
	cmd := ha.DeviceCommand{Device: "robot1", Node: "n1", Incarnation: "boot-before", Action: ha.DeviceReset, Timeout: 3 * time.Second, Deadline: p.Clock().Now().Add(4 * time.Second)}
	r.doIt(p, cmd)
	r.run(70 * time.Second)
	if !slices.Equal(late, []bool{true}) || d.late {
		t.Errorf("seen %v", late)
	}
}

// TestRentedServersChangeNothingElse: what a seed draws besides its rented servers is what it always drew.
func TestRentedServersChangeNothingElse(t *testing.T) {
	hosts, servers := 0, 0
	for seed := uint64(1); seed <= 600; seed++ {
		old := owned(seed)
		now := owned(seed)
		rented(&now, seed)
		hosts += len(now.Plans)
		var kept []DeviceSpec
		for _, dev := range now.Devices {
			if dev.Kind == ha.ResetDevice {
				servers++
			} else {
				kept = append(kept, dev)
			}
		}
		now.Commands = slices.DeleteFunc(now.Commands, func(c Command) bool {
			return len(c.Args) > 0 && slices.ContainsFunc(now.Devices, func(x DeviceSpec) bool { return x.Kind == ha.ResetDevice && x.Name == c.Args[0] })
		})
		now.Devices, now.Timing.BootTime, now.Length, now.Plans = kept, old.Timing.BootTime, old.Length, old.Plans
		if !reflect.DeepEqual(now, old) {
			t.Fatalf("seed %d draws another site", seed)
		}
	}
	if share := float64(servers) / float64(hosts); share < 0.02 || share > 0.07 {
		t.Errorf("%d of %d hosts are rented servers with a reset service only", servers, hosts)
	}
}
