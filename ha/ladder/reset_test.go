package ladder

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bascule/ha"
)

// wasReset is a walk in which the machine was just told to reset and the device took it.
func wasReset(t *testing.T, levels ...[]Device) *bench {
	t.Helper()
	if len(levels) == 0 {
		levels = [][]Device{{reset}}
	}
	b := newPlan(t, levels...)
	b.step(0)
	b.step(100*time.Millisecond, b.yes(reset))
	return b
}

// perhaps is the answer to a reset that may have been heard.
func (b *bench) perhaps(d Device) ha.DeviceReading {
	r := b.broken(d, ha.DeviceReset)
	r.Perhaps = true
	return r
}

// quiet passes a time, step by step, and counts the commands.
func (b *bench) quiet(d time.Duration) (commands int) {
	for end := b.in.Now.Add(d); b.in.Now < end; {
		b.step(min(time.Second, end.Sub(b.in.Now)))
		commands += len(b.offs)
	}
	return commands
}

func TestReset(t *testing.T) {
	clauses{
		{"the intent is committed before it is sent, and counted", func(t *testing.T) {
			b := newPlan(t, []Device{reset})
			b.step(0)
			if len(b.offs) != 1 || b.offs[0].Action != ha.DeviceReset || b.offs[0].Deadline != b.in.Deadline || b.offs[0].Incarnation != inc ||
				!slices.Contains(b.in.Record.Commanded, reset.Name) || b.in.Record.Told(reset.Name) != 1 {
				t.Fatalf("sent %+v, record %+v", b.offs, b.in.Record)
			}
		}},
		{"it is never sent with too little leadership ahead", func(t *testing.T) {
			b := newPlan(t, []Device{reset})
			b.in.Deadline = b.in.Now.Add(b.in.Timing.DeviceTimeout)
			if out := Step(b.in); len(out.Commands) != 0 || out.Record.Told(reset.Name) != 0 {
				t.Fatal("sent")
			}
		}},
		{"it is never sent to a node that is back", func(t *testing.T) {
			b := newPlan(t, []Device{reset})
			b.in.Facts.Back = true
			if b.quiet(time.Minute) != 0 {
				t.Fatal("sent")
			}
		}},
		{"it is never sent when another boot has registered", func(t *testing.T) {
			b := newPlan(t, []Device{reset})
			b.in.Facts.Registered, b.in.Facts.RegUUID = "boot-3", uuid
			b.step(0)
			if len(b.offs) != 0 || !slices.Equal(b.kinds(), []ha.ProofKind{ha.NewBoot}) {
				t.Fatalf("sent %v, proofs %v", b.offs, b.kinds())
			}
		}},
		{"it is never sent while another machine has the name", func(t *testing.T) { // a person must look: which of the two would it hit?
			b := newPlan(t, []Device{reset})
			b.in.Facts.Registered, b.in.Facts.RegUUID = "boot-3", "99992222-3333-4444-5555-666677778888"
			b.step(0)
			if len(b.offs) != 0 || len(b.proof) != 0 {
				t.Fatalf("sent %v, proofs %v", b.offs, b.kinds())
			}
		}},
		{"not in a passive walk, and not by a device that was not seen ready", func(t *testing.T) {
			b := newPlan(t, []Device{reset})
			b.in.Record = nil
			if b.quiet(time.Minute) != 0 {
				t.Fatal("sent without a record")
			}
			b = newPlan(t, []Device{reset})
			b.in.Facts.Checks[0].Problem = "unauthorized"
			if b.quiet(time.Minute) != 0 {
				t.Fatal("sent by a device that does not work")
			}
		}},
		{"an accepted reset proves nothing", func(t *testing.T) {
			b := wasReset(t)
			b.quiet(10 * time.Minute)
			if len(b.proof) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"nothing is read from it", func(t *testing.T) {
			b := wasReset(t)
			r := b.read(reset.Name, ha.PowerOff)
			if b.step(time.Second, r); len(b.reads) != 0 || len(b.proof) != 0 {
				t.Fatal("it was asked, or believed")
			}
		}},
		{"the next boot is the proof", func(t *testing.T) {
			b := wasReset(t)
			b.quiet(time.Minute)
			b.in.Facts.Registered, b.in.Facts.RegUUID = "boot-3", uuid
			b.step(0)
			if !slices.Equal(b.kinds(), []ha.ProofKind{ha.NewBoot}) || !b.covers("anything") || len(b.offs) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"a booting machine is not reset again", func(t *testing.T) {
			b := wasReset(t)
			if n := b.quiet(b.in.Timing.BootTime - time.Second); n != 0 {
				t.Fatalf("reset %d more times", n)
			}
			if n := b.quiet(2 * time.Second); n != 1 || b.in.Record.Told(reset.Name) != 2 {
				t.Fatalf("after boot_time: %d more", n)
			}
		}},
		{"nor for ever", func(t *testing.T) {
			b := wasReset(t)
			n := 1
			for range 20 {
				n += b.quiet(b.in.Timing.BootTime / 4)
				if b.in.Memory.Devices[reset.Name].InFlight != "" {
					b.step(0, b.yes(reset))
				}
			}
			if n != MaxResets {
				t.Fatalf("%d resets", n)
			}
			if !strings.Contains(b.in.Record.Problem, "look at the machine") {
				t.Errorf("says %q", b.in.Record.Problem)
			}
		}},
		{"an answer that rules it out is tried again, later each time", func(t *testing.T) {
			b := newPlan(t, []Device{reset})
			b.step(0)
			var gaps []time.Duration
			for range 8 {
				if len(b.offs) != 1 || b.in.Record.Told(reset.Name) != 1 {
					t.Fatalf("sent %v, told %d", b.offs, b.in.Record.Told(reset.Name))
				}
				out := b.step(0, b.broken(reset, ha.DeviceReset))
				if len(b.offs) != 0 || b.in.Record.Told(reset.Name) != 0 {
					t.Fatalf("sent %v at once, told %d", b.offs, b.in.Record.Told(reset.Name))
				}
				gaps = append(gaps, b.in.Memory.Devices[reset.Name].ResetDue.Sub(b.in.Now))
				if out.Wake == 0 || out.Wake > b.in.Memory.Devices[reset.Name].ResetDue {
					t.Fatalf("wakes at %v", out.Wake)
				}
				b.step(gaps[len(gaps)-1])
			}
			s := time.Second
			if !slices.Equal(gaps, []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s}) {
				t.Fatalf("gaps %v", gaps)
			}
		}},
		{"one that may have been heard counts as carried out", func(t *testing.T) {
			b := newPlan(t, []Device{reset})
			b.step(0)
			b.step(time.Second, b.perhaps(reset)) // sent when the commit was through, perhaps just now
			if n := b.quiet(b.in.Timing.BootTime - time.Second); n != 0 || b.in.Record.Told(reset.Name) != 1 {
				t.Fatalf("reset %d more times, told %d", n, b.in.Record.Told(reset.Name))
			}
			if n := b.quiet(2 * time.Second); n != 1 {
				t.Fatal("not tried again")
			}
		}},
		{"so does one whose answer was lost", func(t *testing.T) {
			b := newPlan(t, []Device{reset})
			b.step(0)
			lost := AnswerLost(b.in.Timing, b.in.Now).Sub(b.in.Now)
			if n := b.quiet(lost + b.in.Timing.BootTime - time.Second); n != 0 {
				t.Fatalf("reset %d more times", n)
			}
			if n := b.quiet(2 * time.Second); n != 1 {
				t.Fatal("not tried again")
			}
		}},
		{"an intent that was not stored is not taken back twice", func(t *testing.T) {
			b := wasReset(t)
			b.quiet(b.in.Timing.BootTime - time.Second)
			stored := *b.in.Record
			for b.step(time.Second); len(b.offs) == 0; b.step(time.Second) {
			}
			b.in.Record = &stored // the commit failed
			b.step(0, b.broken(reset, ha.DeviceReset))
			if b.in.Record.Told(reset.Name) != 1 {
				t.Fatalf("told %d", b.in.Record.Told(reset.Name))
			}
		}},
		{"a new leader does not repeat it, and gives the machine its time by its own clock", func(t *testing.T) {
			for name, b := range map[string]*bench{"accepted": wasReset(t), "only intended": newPlan(t, []Device{reset})} {
				if name == "only intended" {
					b.step(0)
				}
				b.newLeader(77)
				if n := b.quiet(b.in.Timing.BootTime - time.Second); n != 0 {
					t.Fatalf("%s: reset %d more times", name, n)
				}
				if n := b.quiet(3 * time.Second); n != 1 || b.in.Record.Told(reset.Name) != 2 {
					t.Fatalf("%s: %d more, told %d", name, n, b.in.Record.Told(reset.Name))
				}
			}
		}},
		{"a new leader tries at once what was refused", func(t *testing.T) {
			b := newPlan(t, []Device{reset})
			b.step(0)
			b.step(0, b.broken(reset, ha.DeviceReset))
			b.newLeader(77)
			if b.step(0); len(b.offs) != 1 {
				t.Fatal("not tried")
			}
		}},
		{"power beside it proves alone", func(t *testing.T) {
			b := newPlan(t, []Device{reset, bmc})
			b.step(0)
			b.step(100*time.Millisecond, b.yes(reset), b.accepted(bmc.Name))
			b.step(100*time.Millisecond, b.read(bmc.Name, ha.PowerOff))
			if !slices.Equal(b.kinds(), []ha.ProofKind{ha.PowerOffConfirmed}) {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"the next level follows after level_timeout, beside it", func(t *testing.T) {
			b := wasReset(t, []Device{reset}, []Device{bmc})
			for b.in.Record.Level == 0 {
				b.step(time.Second, b.read(bmc.Name, ha.PowerOn))
			}
			if since := b.in.Now.Sub(1e9); since < b.in.Timing.LevelTimeout || since > b.in.Timing.LevelTimeout+2*time.Second {
				t.Fatalf("after %v", since)
			}
		}},
		{"the next level follows at once when the device does not work", func(t *testing.T) {
			b := newPlan(t, []Device{reset}, []Device{bmc})
			b.in.Facts.Checks[0].Problem = "unauthorized"
			if b.step(0); b.in.Record.Level != 1 {
				t.Fatal("waits")
			}
		}},
		{"people are told what is waited for", func(t *testing.T) {
			b := wasReset(t)
			if p := b.in.Record.Problem; !strings.Contains(p, "was told to reset n2") || !strings.Contains(p, "registers again") {
				t.Errorf("says %q", p)
			}
			b = newPlan(t, []Device{reset})
			b.step(0)
			b.step(0, b.perhaps(reset))
			if p := b.in.Record.Problem; !strings.Contains(p, "robot does not answer") {
				t.Errorf("says %q", p)
			}
		}},
	}.all(t)
}

// TestResetsAreBounded: whatever the device says and however often the leader changes, the machine is told at most MaxResets times, and
// two resets that may have been heard are boot_time apart by the clock of whoever sends the second.
func TestResetsAreBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newPlan(t, []Device{reset})
		heard, last, led := 0, ha.Instant(-1<<62), b.in.Now
		for range 60 {
			var answers []ha.DeviceReading
			if b.in.Memory.Devices[reset.Name].InFlight == ha.DeviceReset {
				switch rapid.IntRange(0, 4).Draw(rt, "answer") {
				case 0:
					answers = append(answers, b.yes(reset))
				case 1:
					answers = append(answers, b.perhaps(reset))
				case 2:
					answers = append(answers, b.broken(reset, ha.DeviceReset))
					heard--
					last = -1 << 62
				}
			}
			if rapid.IntRange(0, 9).Draw(rt, "leader") == 0 {
				b.newLeader(b.in.Now)
				led = b.in.Now
			}
			b.step(time.Duration(rapid.Int64Range(0, int64(2*time.Minute)).Draw(rt, "pause")), answers...)
			for range b.offs {
				if heard > 0 && b.in.Now.Sub(max(last, led)) < b.in.Timing.BootTime && last > -1<<62 {
					rt.Fatalf("reset %v after the one before", b.in.Now.Sub(last))
				}
				heard, last = heard+1, b.in.Now
			}
			if heard > MaxResets || b.in.Record.Told(reset.Name) > MaxResets || b.in.Record.Told(reset.Name) < 0 {
				rt.Fatalf("%d resets heard, %d recorded", heard, b.in.Record.Told(reset.Name))
			}
			if len(b.proof) != 0 {
				rt.Fatal("a reset proved something")
			}
		}
	})
}
