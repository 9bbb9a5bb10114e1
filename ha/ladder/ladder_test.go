package ladder

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bascule/ha"
)

const (
	uuid = "11112222-3333-4444-5555-666677778888"
	node = ha.NodeName("n2")
	inc  = ha.Incarnation("boot-2")
)

// bench is one walk by hand: devices answer when the test says so.
type bench struct {
	t     *testing.T
	in    Input
	reads []ha.DeviceCommand
	offs  []ha.DeviceCommand
	proof []ha.Proof
}

func newBench(t *testing.T, active bool, devices ...string) *bench {
	tm, err := ha.Profile("normal")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, in: Input{Now: 1e9, Wall: time.Unix(1700000000, 0), Term: 9, Timing: tm}}
	var level []Device
	for _, d := range devices {
		level = append(level, Device{Name: d, Kind: ha.PowerDevice})
		b.in.Facts.Checks = append(b.in.Facts.Checks, ha.DeviceCheck{Device: d, Incarnation: inc, ReadOn: true, UUIDMatched: true})
	}
	b.in.Plan = Plan{Levels: [][]Device{level, {{Name: "manual"}}}}
	b.in.Facts.Node, b.in.Facts.Incarnation, b.in.Facts.SystemUUID, b.in.Facts.Timing = node, inc, uuid, tm
	if active {
		b.in.Record = &ha.FenceRecord{Node: node, Incarnation: inc}
	}
	return b
}

// step advances the clock and takes one step with these answers.
func (b *bench) step(d time.Duration, answers ...ha.DeviceReading) Output {
	b.in.Now = b.in.Now.Add(d)
	if b.in.Deadline == 0 || b.in.Deadline > 2e9 { // renewed, unless the test froze it
		b.in.Deadline = b.in.Now.Add(4 * time.Second)
	}
	b.in.Readings = answers
	out := Step(b.in)
	b.in.Memory, b.in.Record = out.Memory, out.Record
	b.reads, b.offs, b.proof = out.Reads, out.Commands, append(b.proof, out.Proofs...)
	return out
}

func (b *bench) read(dev string, p ha.Power) ha.DeviceReading {
	return ha.DeviceReading{Device: dev, Node: node, Incarnation: inc, Action: ha.DeviceRead, Asked: b.in.Now, Answered: b.in.Now, Power: p, SystemUUID: uuid}
}

func (b *bench) accepted(dev string) ha.DeviceReading {
	return ha.DeviceReading{Device: dev, Node: node, Incarnation: inc, Action: ha.DeviceOff, Asked: b.in.Now, Answered: b.in.Now, Power: ha.PowerUnknown}
}

func TestOffThenReadBack(t *testing.T) {
	b := newBench(t, true, "bmc")
	b.step(0)
	if len(b.offs) != 1 || b.offs[0].Action != ha.DeviceOff || b.offs[0].Deadline != b.in.Deadline || !slices.Contains(b.in.Record.Commanded, "bmc") {
		t.Fatalf("offs %v record %+v", b.offs, b.in.Record)
	}
	b.step(time.Second, b.accepted("bmc"))
	if len(b.proof) != 0 || len(b.reads) != 1 {
		t.Fatal("a success without the read-back is a failure")
	}
	b.step(250*time.Millisecond, b.read("bmc", ha.PowerPoweringOff))
	b.step(250*time.Millisecond, b.read("bmc", ha.PowerOff))
	if len(b.proof) != 1 || b.proof[0].Kind() != ha.PowerOffConfirmed || b.proof[0].Incarnation() != inc {
		t.Fatalf("proofs %v", b.proof)
	}
}

func TestUncommandedOffNeedsTwoReadsASecondApart(t *testing.T) {
	b := newBench(t, false, "bmc")
	b.step(0)
	b.step(10*time.Millisecond, b.read("bmc", ha.PowerOff))
	b.step(900*time.Millisecond, b.read("bmc", ha.PowerOff))
	if len(b.proof) != 0 {
		t.Fatal("two reads within a second")
	}
	b.step(200 * time.Millisecond)
	b.step(0, b.read("bmc", ha.PowerOff))
	if len(b.proof) != 1 {
		t.Fatal("no proof")
	}
}

func TestAnUnreadableAnswerBreaksTheRow(t *testing.T) {
	b := newBench(t, false, "bmc")
	b.step(0)
	b.step(0, b.read("bmc", ha.PowerOff))
	bad := b.read("bmc", ha.PowerUnknown)
	bad.Problem = "timed out"
	b.step(600*time.Millisecond, bad)
	b.step(600*time.Millisecond, b.read("bmc", ha.PowerOff))
	if len(b.proof) != 0 {
		t.Fatal("the row of readings was broken")
	}
}

func TestPassiveNeverSwitches(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, false, "bmc", "pdu")
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			var answers []ha.DeviceReading
			for _, c := range b.reads {
				answers = append(answers, b.read(c.Device, rapid.SampledFrom([]ha.Power{ha.PowerOn, ha.PowerOff, ha.PowerPoweringOff, ha.PowerUnknown}).Draw(rt, "power")))
			}
			b.step(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms"))*time.Millisecond, answers...)
			if len(b.offs) != 0 {
				rt.Fatalf("passive walk sent %v", b.offs)
			}
		}
	})
}

// TestNoPowerProofWithoutIdentityOrWithLife: whatever the readings, a power proof needs an identified device, a matching UUID and a
// silent gossip.
func TestNoPowerProofWithoutIdentityOrWithLife(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, rapid.Bool().Draw(rt, "active"), "bmc")
		why := rapid.SampledFrom([]string{"other boot", "never on", "other machine", "alive"}).Draw(rt, "why")
		c := &b.in.Facts.Checks[0]
		switch why {
		case "other boot":
			c.Incarnation = "boot-1"
		case "never on":
			c.ReadOn = false
		case "alive":
			b.in.Facts.GossipAlive = true
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			var answers []ha.DeviceReading
			for _, c := range append(b.reads, b.offs...) {
				r := b.read(c.Device, ha.PowerOff)
				r.Action = c.Action
				if why == "other machine" {
					r.SystemUUID = "99992222-3333-4444-5555-666677778888"
				}
				answers = append(answers, r)
			}
			b.step(time.Duration(rapid.IntRange(0, 2000).Draw(rt, "ms"))*time.Millisecond, answers...)
			if len(b.proof) != 0 {
				rt.Fatalf("%s: proof %v", why, b.proof[0].Evidence())
			}
			if why != "alive" && why != "other machine" && len(b.offs) != 0 {
				rt.Fatalf("%s: switched a device that was never identified", why)
			}
		}
	})
}

func TestAllDevicesOfALevelAreNeeded(t *testing.T) {
	b := newBench(t, true, "psu1", "psu2")
	b.step(0)
	if len(b.offs) != 2 {
		t.Fatalf("offs %v", b.offs)
	}
	b.step(time.Second, b.accepted("psu1"), b.accepted("psu2"))
	b.step(time.Second, b.read("psu1", ha.PowerOff), b.read("psu2", ha.PowerOn))
	if len(b.proof) != 0 {
		t.Fatal("half a machine was believed")
	}
	if p := b.in.Record.Problem; !strings.Contains(p, "psu2") || !strings.Contains(p, "runs on") {
		t.Fatalf("problem %q", p)
	}
	b.step(time.Second, b.read("psu2", ha.PowerOff))
	if len(b.proof) != 1 {
		t.Fatal("no proof")
	}
}

func TestNoCommandWithoutEnoughLeadership(t *testing.T) {
	b := newBench(t, true, "bmc")
	b.in.Deadline = b.in.Now.Add(b.in.Timing.DeviceTimeout)
	b.in.Readings = nil
	if out := Step(b.in); len(out.Commands) != 0 || slices.Contains(out.Record.Commanded, "bmc") {
		t.Fatalf("sent with %v left", b.in.Timing.DeviceTimeout)
	}
}

func TestSelfFenceWaitsW(t *testing.T) {
	b := newBench(t, true)
	b.in.Facts.Armed, b.in.Facts.LeaseGone, b.in.Facts.GoneSince = true, true, b.in.Now
	w := b.in.Timing.SelfFence()
	if out := b.step(w - time.Millisecond); len(out.Proofs) != 0 || out.Wake != b.in.Facts.GoneSince.Add(w) {
		t.Fatalf("proofs %v wake %v", out.Proofs, out.Wake)
	}
	b.in.Facts.Armed = false
	if out := b.step(time.Hour); len(out.Proofs) != 0 {
		t.Fatal("an incarnation that is not armed ended itself?")
	}
	b.in.Facts.Armed, b.in.Facts.LeaseGone = true, false
	if out := b.step(time.Hour); len(out.Proofs) != 0 {
		t.Fatal("its lease stands")
	}
	b.in.Facts.LeaseGone = true
	if out := b.step(0); len(out.Proofs) != 1 || out.Proofs[0].Kind() != ha.SelfFenceElapsed {
		t.Fatalf("proofs %v", out.Proofs)
	}
}

func TestConfirmationMustNameTheBoot(t *testing.T) {
	b := newBench(t, true)
	b.in.Facts.LeaseGone = true
	b.in.Facts.Confirmed = &ha.Request{Kind: ha.RequestConfirmOff, Node: node, Incarnation: "boot-1", By: "ada"}
	if out := b.step(0); len(out.Proofs) != 0 {
		t.Fatal("confirmed another boot")
	}
	b.in.Facts.Confirmed.Incarnation = inc
	if out := b.step(0); len(out.Proofs) != 1 || !strings.Contains(out.Proofs[0].Evidence(), "ada") {
		t.Fatalf("proofs %v", out.Proofs)
	}
}

func TestDeadDeviceLeadsToTheNextLevelAndBackOff(t *testing.T) {
	b := newBench(t, true, "bmc")
	for range 8 {
		b.step(12 * time.Second)
		var answers []ha.DeviceReading
		for _, c := range append(b.reads, b.offs...) {
			r := b.read(c.Device, ha.PowerUnknown)
			r.Action, r.Problem = c.Action, "bmc does not answer"
			answers = append(answers, r)
		}
		b.step(0, answers...)
	}
	if b.in.Record.Level != 1 || !strings.Contains(b.in.Record.Problem, "confirm-off n2") || len(b.in.Record.Steps) > ha.MaxFenceSteps {
		t.Fatalf("record %+v", b.in.Record)
	}
}
