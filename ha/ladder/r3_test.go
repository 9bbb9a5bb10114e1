package ladder

import (
	"slices"
	"testing"
	"time"

	"bascule/ha"
)

func TestPowerOffConfirmed(t *testing.T) {
	off := func(b *bench) { // our own off, accepted, and read back off
		b.step(0)
		b.step(100*time.Millisecond, b.yes(bmc))
		b.step(100*time.Millisecond, b.read("bmc", ha.PowerOff))
	}
	clauses{
		{"switched off and read back off", func(t *testing.T) {
			b := newPlan(t, []Device{bmc})
			if off(b); !slices.Equal(b.kinds(), []ha.ProofKind{ha.PowerOffConfirmed}) {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"only a literal off counts", func(t *testing.T) {
			for _, p := range []ha.Power{ha.PowerOn, ha.PowerPoweringOn, ha.PowerPoweringOff, ha.PowerUnknown, "", "Off", "OFF"} {
				b := newPlan(t, []Device{bmc})
				b.step(0)
				b.step(time.Second, b.yes(bmc))
				b.step(time.Second, b.read("bmc", p))
				b.step(2*time.Second, b.read("bmc", p))
				if len(b.proof) != 0 {
					t.Errorf("%q was believed", p)
				}
			}
		}},
		{"a read that was asked before the off was accepted is no read-back", func(t *testing.T) {
			b := newPlan(t, []Device{bmc})
			b.step(0)
			early := b.read("bmc", ha.PowerOff)
			early.Asked--
			b.step(time.Second, b.yes(bmc))
			if b.step(0, early); len(b.proof) != 0 {
				t.Fatal("believed")
			}
		}},
		{"the device must have read on during this incarnation's live lease", func(t *testing.T) {
			for _, change := range []func(*ha.DeviceCheck){func(c *ha.DeviceCheck) { c.ReadOn = false }, func(c *ha.DeviceCheck) { c.Incarnation = "boot-1" }, func(c *ha.DeviceCheck) { c.Kind = ha.StorageDevice }} {
				b := newPlan(t, []Device{bmc})
				change(&b.in.Facts.Checks[0])
				if off(b); len(b.proof) != 0 || len(b.offs) != 0 {
					t.Errorf("proofs %v, sent %v", b.kinds(), b.offs)
				}
			}
		}},
		{"it must have matched the system UUID or an operator's confirmed test", func(t *testing.T) {
			for confirmed, want := range map[string]int{"": 0, "ada, 2 May": 1} {
				b := newPlan(t, []Device{bmc})
				b.in.Facts.Checks[0].UUIDMatched, b.in.Facts.Checks[0].Confirmed = false, confirmed
				if off(b); len(b.proof) != want {
					t.Errorf("confirmed %q: proofs %v", confirmed, b.kinds())
				}
			}
		}},
		{"a confirmed test does not vouch for a device that tells another machine's UUID", func(t *testing.T) {
			b := newPlan(t, []Device{bmc})
			b.in.Facts.Checks[0].Confirmed = "ada, 2 May"
			b.step(0)
			b.step(100*time.Millisecond, b.yes(bmc))
			other := b.read("bmc", ha.PowerOff)
			other.SystemUUID = "99992222-3333-4444-5555-666677778888"
			if b.step(100*time.Millisecond, other); len(b.proof) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"power of a level that is not reached is read, and not commanded", func(t *testing.T) {
			b := newPlan(t, []Device{bmc}, []Device{{Name: "pdu", Kind: ha.PowerDevice}})
			b.step(0)
			if len(b.reads) != 1 || b.reads[0].Device != "pdu" || len(b.offs) != 1 || b.offs[0].Device != "bmc" {
				t.Fatalf("reads %v, commands %v", b.reads, b.offs)
			}
			b.step(100*time.Millisecond, b.read("pdu", ha.PowerOff))
			b.step(time.Second)
			if b.step(100*time.Millisecond, b.read("pdu", ha.PowerOff)); !slices.Equal(b.kinds(), []ha.ProofKind{ha.PowerOffConfirmed}) {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"all power devices of a level, whatever else is in it", func(t *testing.T) {
			b := newPlan(t, []Device{bmc, {Name: "pdu", Kind: ha.PowerDevice}, ceph})
			b.step(0)
			b.step(time.Second, b.yes(bmc), b.yes(ceph), b.yes(Device{Name: "pdu", Kind: ha.PowerDevice}))
			b.step(time.Second, b.read("bmc", ha.PowerOff), b.read("pdu", ha.PowerOn))
			if len(b.proof) != 0 {
				t.Fatalf("half a machine: %v", b.kinds())
			}
			if b.step(time.Second, b.read("pdu", ha.PowerOff)); len(b.proof) != 1 {
				t.Fatal("no proof")
			}
		}},
		{"an off reading is not believed while gossip answers", func(t *testing.T) {
			b := newPlan(t, []Device{bmc})
			b.in.Facts.GossipAlive = true
			if off(b); len(b.proof) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"readings of an earlier suspicion prove nothing", func(t *testing.T) {
			b := newPlan(t, []Device{bmc})
			b.in.Facts.GossipAlive = true
			off(b)
			b.in.Facts.GossipAlive = false
			if b.step(time.Minute); len(b.proof) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
	}.all(t)
}

func TestNewBoot(t *testing.T) {
	clauses{
		{"it registered with another boot id", func(t *testing.T) {
			b := newPlan(t, []Device{bmc})
			b.in.Facts.Registered, b.in.Facts.RegUUID, b.in.Facts.LeaseGone = "boot-3", uuid, false
			if b.step(0); !slices.Equal(b.kinds(), []ha.ProofKind{ha.NewBoot}) || b.proof[0].Incarnation() != inc {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"the same boot id proves nothing", func(t *testing.T) {
			b := newPlan(t, []Device{bmc})
			b.in.Facts.Registered, b.in.Facts.RegUUID, b.in.Facts.LeaseGone = inc, uuid, false
			if b.step(0); len(b.proof) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"another machine under the name proves nothing", func(t *testing.T) {
			b := newPlan(t, []Device{bmc})
			b.in.Facts.Registered, b.in.Facts.RegUUID = "boot-3", "99992222-3333-4444-5555-666677778888"
			if b.step(0); len(b.proof) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"it ends the looking at revoked storages", func(t *testing.T) {
			b := takenAway(t)
			b.in.Facts.Registered, b.in.Facts.RegUUID = "boot-3", uuid
			b.step(time.Minute)
			if len(b.reads)+len(b.offs) != 0 || b.proof[len(b.proof)-1].Kind() != ha.NewBoot {
				t.Fatalf("reads %v, sent %v, proofs %v", b.reads, b.offs, b.kinds())
			}
		}},
	}.all(t)
}

func TestSelfFenceElapsed(t *testing.T) {
	silent := func(t *testing.T) *bench {
		b := newPlan(t, []Device{bmc})
		b.in.Facts.GoneSince = b.in.Now
		return b
	}
	clauses{
		{"the published W counts from when this leader first saw the lease gone", func(t *testing.T) {
			b := silent(t)
			b.in.Facts.Timing.KillTime += 7 * time.Second // the node's own timing, not the leader's
			w := b.in.Facts.Timing.SelfFence()
			if b.step(w - 1); len(b.proof) != 0 {
				t.Fatal("too early")
			}
			if b.step(1); !slices.Equal(b.kinds(), []ha.ProofKind{ha.SelfFenceElapsed}) {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"only for an armed incarnation", func(t *testing.T) {
			b := silent(t)
			b.in.Facts.Armed = false
			if b.step(time.Hour); len(b.proof) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"not while its lease stands", func(t *testing.T) {
			b := silent(t)
			b.in.Facts.LeaseGone = false
			if b.step(time.Hour); len(b.proof) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"a lease that was ended before its time adds what the permit may have left", func(t *testing.T) {
			b := silent(t)
			b.in.Record.LeaseRevoked = true
			if b.step(b.in.Facts.Timing.SelfFence() + b.in.Facts.Timing.LeaseTTL - 1); len(b.proof) != 0 {
				t.Fatal("the permit may have outlived the lease")
			}
			if b.step(1); len(b.proof) != 1 {
				t.Fatal("no proof")
			}
		}},
		{"its clock runs beside devices that bring nothing", func(t *testing.T) {
			b := silent(t)
			b.step(0)
			for range 20 {
				b.step(time.Second, b.broken(bmc, ha.DeviceOff), b.broken(bmc, ha.DeviceRead))
			}
			if len(b.proof) == 0 || b.proof[0].Kind() != ha.SelfFenceElapsed {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
	}.all(t)
}

func TestOperatorConfirmed(t *testing.T) {
	asked := func(t *testing.T, change func(*bench)) *bench {
		b := newPlan(t, []Device{bmc})
		b.in.Facts.Confirmed = &ha.Request{Kind: ha.RequestConfirmOff, Node: node, Incarnation: inc, By: "ada"}
		change(b)
		b.step(0)
		return b
	}
	for name, c := range map[string]struct {
		change func(*bench)
		want   int
	}{
		"who and when are recorded":     {func(*bench) {}, 1},
		"about another boot":            {func(b *bench) { b.in.Facts.Confirmed.Incarnation = "boot-1" }, 0},
		"about another node":            {func(b *bench) { b.in.Facts.Confirmed.Node = "n3" }, 0},
		"another request":               {func(b *bench) { b.in.Facts.Confirmed.Kind = ha.RequestFence }, 0},
		"while its lease stands":        {func(b *bench) { b.in.Facts.LeaseGone = false }, 0},
		"while it still answers gossip": {func(b *bench) { b.in.Facts.GossipAlive = true }, 0},
		"while another machine is there": {func(b *bench) {
			b.in.Facts.Registered, b.in.Facts.RegUUID = "x", "99992222-3333-4444-5555-666677778888"
		}, 1},
		"in a walk that commands nothing": {func(b *bench) { b.in.Record = nil }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if b := asked(t, c.change); len(b.proof) != c.want || c.want == 1 && b.proof[0].Kind() != ha.OperatorConfirmed {
				t.Fatalf("proofs %v, want %d", b.kinds(), c.want)
			}
		})
	}
}
