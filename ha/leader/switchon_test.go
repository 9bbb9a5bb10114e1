package leader

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// ons lists when a node was told to switch on.
func (w *world) ons(n ha.NodeName) []ha.DeviceCommand {
	var out []ha.DeviceCommand
	for _, c := range w.sent {
		if c.Node == n && c.Action == ha.DeviceOn {
			out = append(out, c)
		}
	}
	return out
}

// backOn is a world in which n2 is to be switched on again and carries a guest.
func backOn(t *testing.T) *world {
	w := newWorld(t, 3)
	p := w.leader.Plans["n2"]
	p.After = ladder.SwitchOn
	w.leader.Plans["n2"] = p
	w.guest(102, ha.QEMU, "n2")
	return w
}

func TestAFencedMachineIsSwitchedOnAgain(t *testing.T) {
	w := backOn(t)
	w.cut("n2")
	for range 100 {
		before := w.node("n2")
		w.run(1)
		proven := before.State == ha.NodeFenced && len(before.Proofs) > 0
		if len(w.ons("n2")) > 0 && !proven {
			t.Fatalf("told to switch on while the store said %s", before.State)
		}
	}
	w.wantNode("n2", ha.NodeFenced)
	ons := w.ons("n2")
	if len(ons) != 1 || ons[0].Incarnation != boot("n2") || ons[0].Term != w.term || ons[0].Deadline == 0 || w.device["n2-bmc"].power != ha.PowerOn {
		t.Fatalf("commands %+v, power %s", ons, w.device["n2-bmc"].power)
	}
	f := w.snapshot().Fences["n2"].Rec
	if !f.RunsAgain || !slices.Equal(f.SwitchedOn, []string{"n2-bmc"}) || !strings.Contains(w.node("n2").Reason, "it was switched on again") {
		t.Fatalf("record %+v, reason %q", f, w.node("n2").Reason)
	}
	w.wantGuest(102, ha.GuestStarting, "")
	w.boot("n2", "boot-n2b")
	w.run(5)
	w.wantNode("n2", ha.NodeOnline)
	if g := w.g(102); g.Node == "n2" {
		t.Fatalf("the guest went back: %+v", g)
	}
}

// Never before the proof, however long it takes.
func TestNothingIsSwitchedOnBeforeTheProof(t *testing.T) {
	w := backOn(t)
	w.slow(30*time.Second, "n2")
	w.cut("n2")
	for w.node("n2").State != ha.NodeFenced {
		w.run(1)
		if len(w.ons("n2")) > 0 {
			t.Fatalf("%+v", w.sent)
		}
	}
	w.run(10)
	if len(w.ons("n2")) != 1 {
		t.Fatalf("%+v", w.sent)
	}
}

func TestWhatStaysOff(t *testing.T) {
	often := func(w *world) {
		r := w.node("n2")
		for i := range quarantineAfter - 1 {
			r.Fences = append(r.Fences, time.Unix(1700000000, 0).Add(-time.Duration(i+1)*time.Minute))
		}
		w.put(ha.KeyNode("n2"), r)
	}
	for name, tt := range map[string]struct {
		before  func(w *world)
		happens func(w *world)
		says    string
	}{
		"stay-off": {func(w *world) {
			p := w.leader.Plans["n2"]
			p.After = ladder.StayOff
			w.leader.Plans["n2"] = p
		}, nil, "PowerOffConfirmed"},
		"without a word": {func(w *world) {
			p := w.leader.Plans["n2"]
			p.After = ""
			w.leader.Plans["n2"] = p
		}, nil, "PowerOffConfirmed"},
		"found off":                     {nil, func(w *world) { w.die("n2") }, "read off twice"},
		"an operator had it fenced":     {nil, func(w *world) { w.request(ha.RequestFence, "n2"); w.run(3); w.cut("n2") }, "ada had it fenced"},
		"drained":                       {func(w *world) { w.request(ha.RequestDrain, "n2"); w.run(2) }, nil, "hactl undrain n2"},
		"fenced again and again":        {often, nil, "fenced 3 times within 1h0m0s: find out why, then hactl undrain n2"},
		"its end is confirmed, not off": {func(w *world) { w.device["n2-bmc"].lies = true }, func(w *world) { w.cut("n2"); w.run(50); w.request(ha.RequestConfirmOff, "n2") }, "OperatorConfirmed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := backOn(t)
			if tt.before != nil {
				tt.before(w)
			}
			if tt.happens == nil {
				tt.happens = func(w *world) { w.cut("n2") }
			}
			tt.happens(w)
			w.run(200)
			w.wantNode("n2", ha.NodeFenced)
			if len(w.ons("n2")) != 0 || !strings.Contains(w.node("n2").Reason, tt.says) {
				t.Fatalf("sent %+v, reason %q", w.sent, w.node("n2").Reason)
			}
		})
	}
}

// The operator's undrain is what a quarantined or drained machine waits for.
func TestUndrainLetsItBeSwitchedOn(t *testing.T) {
	w := backOn(t)
	w.request(ha.RequestDrain, "n2")
	w.run(2)
	w.cut("n2")
	w.run(100)
	w.request(ha.RequestUndrain, "n2")
	w.run(30)
	if len(w.ons("n2")) != 1 {
		t.Fatalf("sent %+v", w.sent)
	}
}

// A device that does nothing, or refuses, is told a bounded number of times, with growing pauses, whoever leads.
func TestTriesToSwitchOnAreBounded(t *testing.T) {
	for name, b := range map[string]*slowBMC{
		"refuses": {node: "n2", takes: time.Second},
		"lies":    {node: "n2", takes: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := backOn(t)
			w.slow(0)
			w.other["n2-bmc"] = b // it switches off, and takes an "on" without effect
			w.cut("n2")
			for w.node("n2").State != ha.NodeFenced {
				w.run(1)
			}
			if name == "refuses" {
				b.says = "refused"
			}
			var at []ha.Instant
			for i := range 1700 {
				if i == 400 { // another leader
					w.term, w.state, w.pending = 77, State{Began: 1}, nil
				}
				before := len(w.ons("n2"))
				if w.run(1); len(w.ons("n2")) > before {
					at = append(at, w.now)
				}
			}
			if len(at) != 4 {
				t.Fatalf("told %d times", len(at))
			}
			for i := 1; i < len(at); i++ {
				if pause := at[i].Sub(at[i-1]); pause < 10*time.Second<<(i-1) {
					t.Errorf("try %d comes after %v", i+1, pause)
				}
			}
			if r := w.node("n2").Reason; !strings.Contains(r, "n2-bmc was told to switch n2 on 4 times") || !strings.Contains(r, "switch it on by hand") {
				t.Errorf("reason %q", r)
			}
		})
	}
}

// Two feeds: each that was switched off is switched on; one that still reads on is left alone.
func TestAllFeedsAreSwitchedOnAgain(t *testing.T) {
	w := backOn(t)
	w.leader.Plans["n2"] = ladder.Plan{After: ladder.SwitchOn, Levels: [][]ladder.Device{{{Name: "n2-bmc", Kind: ha.PowerDevice}, {Name: "n2-pdu", Kind: ha.PowerDevice}}}}
	w.device["n2-pdu"] = &bmc{power: ha.PowerOn, uuid: uuidOf("n2")}
	w.run(30)
	w.cut("n2")
	w.run(60)
	w.wantNode("n2", ha.NodeFenced)
	if a, b := w.device["n2-bmc"].power, w.device["n2-pdu"].power; a != ha.PowerOn || b != ha.PowerOn || len(w.ons("n2")) != 2 {
		t.Fatalf("bmc %s, pdu %s, sent %+v", a, b, w.ons("n2"))
	}
}

// A device that answers for another machine by now is not told to switch it on.
func TestAnotherMachineIsNotSwitchedOn(t *testing.T) {
	w := backOn(t)
	w.cut("n2")
	for w.node("n2").State != ha.NodeFenced {
		w.run(1)
	}
	w.device["n2-bmc"].uuid = uuidOf("n9")
	w.run(200)
	if len(w.ons("n2")) != 0 {
		t.Fatalf("sent %+v", w.sent)
	}
}

// It registers while it is being switched on: nothing more is sent, and it is let in.
func TestALetInMachineIsToldNothingMore(t *testing.T) {
	w := backOn(t)
	w.slow(0)
	w.other["n2-bmc"] = &slowBMC{node: "n2", takes: time.Second}
	w.cut("n2")
	for w.node("n2").State != ha.NodeFenced {
		w.run(1)
	}
	w.boot("n2", "boot-n2b")
	w.run(400)
	w.wantNode("n2", ha.NodeOnline)
	if n := len(w.ons("n2")); n > 1 {
		t.Fatalf("told %d times", n)
	}
}
