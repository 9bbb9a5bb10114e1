package ladder

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// delivered is a walk in which the message was written and read back on two of three disks just now.
func delivered(t *testing.T) *bench {
	t.Helper()
	b := newPlan(t, []Device{sbd})
	b.step(0)
	b.step(100*time.Millisecond, b.yes(sbd))
	b.step(100*time.Millisecond, b.pills(sbd, 2, 3))
	return b
}

func TestPoisonPill(t *testing.T) {
	clauses{
		{"the intent is committed before it is sent", func(t *testing.T) {
			b := newPlan(t, []Device{sbd})
			b.step(0)
			if len(b.offs) != 1 || b.offs[0].Action != ha.DevicePoison || b.offs[0].Deadline != b.in.Deadline || b.offs[0].Incarnation != inc ||
				!slices.Contains(b.in.Record.Commanded, sbd.Name) {
				t.Fatalf("sent %+v, record %+v", b.offs, b.in.Record)
			}
		}},
		{"it is never sent with too little leadership ahead", func(t *testing.T) {
			b := newPlan(t, []Device{sbd})
			b.in.Deadline = b.in.Now.Add(b.in.Timing.DeviceTimeout)
			if out := Step(b.in); len(out.Commands) != 0 || len(out.Record.Commanded) != 0 {
				t.Fatal("sent")
			}
		}},
		{"a success without the read-back is nothing", func(t *testing.T) {
			b := newPlan(t, []Device{sbd})
			b.step(0)
			b.step(100*time.Millisecond, b.yes(sbd))
			if b.step(time.Hour); len(b.proof) != 0 {
				t.Fatal("believed")
			}
		}},
		{"it takes a majority of the disks", func(t *testing.T) {
			for _, c := range []struct {
				pills, disks int
				want         bool
			}{{1, 1, true}, {1, 2, false}, {2, 2, true}, {1, 3, false}, {2, 3, true}, {3, 3, true}, {0, 0, false}, {3, 0, false}, {4, 3, false}} {
				b := newPlan(t, []Device{sbd})
				b.step(0)
				b.step(100*time.Millisecond, b.yes(sbd))
				b.step(0, b.pills(sbd, c.pills, c.disks))
				b.step(sbd.MsgWait, b.pills(sbd, c.pills, c.disks))
				b.step(0, b.pills(sbd, c.pills, c.disks))
				if got := len(b.proof) == 1; got != c.want {
					t.Errorf("%d of %d: proven %v", c.pills, c.disks, got)
				}
			}
		}},
		{"msgwait counts from the asking of the first read-back on a majority", func(t *testing.T) {
			b := newPlan(t, []Device{sbd})
			b.step(0)
			b.step(time.Second, b.yes(sbd))
			b.step(time.Second, b.pills(sbd, 1, 3)) // not yet a majority
			r := b.pills(sbd, 2, 3)
			r.Asked = r.Asked.Add(500 * time.Millisecond)
			b.step(time.Second, r)
			since := r.Asked
			b.step(since.Add(sbd.MsgWait).Sub(b.in.Now) - time.Millisecond)
			b.step(0, b.pills(sbd, 3, 3))
			if len(b.proof) != 0 {
				t.Fatal("a millisecond too early")
			}
			b.step(time.Millisecond)
			b.step(0, b.pills(sbd, 2, 3))
			if !slices.Equal(b.kinds(), []ha.ProofKind{ha.PoisonPill}) || !b.covers("anything") {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"the last look is due exactly at the end of msgwait", func(t *testing.T) {
			b := delivered(t)
			since := b.in.Memory.Devices[sbd.Name].PillSince
			for b.in.Now < since.Add(sbd.MsgWait) {
				out := b.step(0)
				if out.Wake == 0 || out.Wake > since.Add(sbd.MsgWait) {
					t.Fatalf("wakes at %v, due at %v", out.Wake, since.Add(sbd.MsgWait))
				}
				b.step(out.Wake.Sub(b.in.Now))
				b.step(0, b.pills(sbd, 2, 3))
			}
			if b.in.Now != since.Add(sbd.MsgWait) || len(b.proof) != 1 {
				t.Fatalf("at %v, proofs %v", b.in.Now, b.kinds())
			}
		}},
		{"the end of msgwait without a look proves nothing", func(t *testing.T) {
			b := delivered(t)
			if b.step(10 * sbd.MsgWait); len(b.proof) != 0 {
				t.Fatal("nobody looked whether the message is still there")
			}
		}},
		{"msgwait_is_not_shortened_by_a_second_leader", func(t *testing.T) {
			b := delivered(t)
			b.step(sbd.MsgWait - time.Second)
			b.newLeader(4e18) // its clock is years ahead
			b.step(0)
			if len(b.offs) != 0 || len(b.reads) != 1 {
				t.Fatalf("a delivered message was written again: %v", b.offs)
			}
			b.step(0, b.pills(sbd, 3, 3))
			b.step(sbd.MsgWait - time.Millisecond)
			b.step(0, b.pills(sbd, 3, 3))
			if len(b.proof) != 0 {
				t.Fatal("the old leader's wait was counted")
			}
			b.step(time.Millisecond)
			b.step(0, b.pills(sbd, 3, 3))
			if len(b.proof) != 1 {
				t.Fatal("no proof")
			}
		}},
		{"a message that is gone in between proves nothing and is not written again", func(t *testing.T) {
			b := delivered(t)
			b.step(10*time.Second, b.pills(sbd, 0, 3))
			b.step(time.Hour)
			if len(b.proof) != 0 || len(b.offs) != 0 || !strings.Contains(b.in.Record.Problem, "is gone") {
				t.Fatalf("proofs %v, sent %v, problem %q", b.kinds(), b.offs, b.in.Record.Problem)
			}
			b.step(0, b.pills(sbd, 3, 3)) // somebody wrote it again: the wait begins anew
			b.step(sbd.MsgWait-time.Millisecond, b.pills(sbd, 3, 3))
			if len(b.proof) != 0 {
				t.Fatal("the broken row was counted")
			}
		}},
		{"a look that fails neither shortens nor restarts the wait", func(t *testing.T) {
			b := delivered(t)
			b.step(sbd.MsgWait-time.Millisecond, b.broken(sbd, ha.DeviceRead))
			if b.step(time.Millisecond, b.broken(sbd, ha.DeviceRead)); len(b.proof) != 0 {
				t.Fatal("proven by failures")
			}
			if b.step(0, b.pills(sbd, 2, 3)); len(b.proof) != 1 {
				t.Fatal("no proof")
			}
		}},
		{"msgwait must be twice the published watchdog time", func(t *testing.T) {
			b := newPlan(t, []Device{sbd})
			b.in.Facts.Timing.WatchdogTimeout = sbd.MsgWait/2 + 1
			b.step(0)
			b.step(time.Second, b.pills(sbd, 3, 3))
			b.step(sbd.MsgWait, b.pills(sbd, 3, 3))
			b.step(0, b.pills(sbd, 3, 3))
			if len(b.offs) != 0 || len(b.proof) != 0 || !strings.Contains(b.in.Record.Problem, "msgwait 20s is shorter than twice") {
				t.Fatalf("sent %v, proofs %v, problem %q", b.offs, b.kinds(), b.in.Record.Problem)
			}
		}},
		{"an incarnation that published no watchdog time gives none", func(t *testing.T) {
			b := newPlan(t, []Device{sbd})
			b.in.Facts.Timing = ha.Timing{}
			if b.step(0); len(b.offs) != 0 {
				t.Fatal("sent")
			}
		}},
		{"only for an incarnation that had proved an armed watchdog", func(t *testing.T) {
			b := newPlan(t, []Device{sbd})
			b.in.Facts.Armed = false
			b.step(0)
			b.step(time.Second, b.pills(sbd, 3, 3))
			b.step(sbd.MsgWait, b.pills(sbd, 3, 3))
			b.step(0, b.pills(sbd, 3, 3))
			if len(b.offs) != 0 || len(b.proof) != 0 || !strings.Contains(b.in.Record.Problem, "no armed watchdog") {
				t.Fatalf("sent %v, proofs %v, problem %q", b.offs, b.kinds(), b.in.Record.Problem)
			}
		}},
		{"only for an incarnation that said that it watches its slot on these disks", func(t *testing.T) {
			for _, watches := range [][]string{nil, {"other"}} {
				b := newPlan(t, []Device{sbd})
				b.in.Facts.Watches = watches
				b.step(0)
				b.step(time.Second, b.pills(sbd, 3, 3))
				b.step(sbd.MsgWait, b.pills(sbd, 3, 3))
				b.step(0, b.pills(sbd, 3, 3))
				if len(b.offs) != 0 || len(b.proof) != 0 || !strings.Contains(b.in.Record.Problem, "does not watch its slot") {
					t.Errorf("%q: sent %v, proofs %v, problem %q", watches, b.offs, b.kinds(), b.in.Record.Problem)
				}
			}
		}},
		{"one that took its word back meanwhile gives none", func(t *testing.T) {
			b := delivered(t)
			b.in.Facts.Watches = nil
			b.step(sbd.MsgWait)
			if b.step(0, b.pills(sbd, 3, 3)); len(b.proof) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"an incarnation of which nobody knows any more whether it was armed gives none", func(t *testing.T) {
			b := delivered(t)
			b.in.Facts.Armed = false
			b.step(sbd.MsgWait)
			if b.step(0, b.pills(sbd, 3, 3)); len(b.proof) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"a device with doubts during the live lease is not used", func(t *testing.T) {
			b := newPlan(t, []Device{sbd})
			b.in.Facts.Checks[0].Problem = "a message lies in the slot"
			if b.step(0); len(b.offs) != 0 || !strings.Contains(b.in.Record.Problem, "lies in the slot") {
				t.Fatalf("sent %v, problem %q", b.offs, b.in.Record.Problem)
			}
		}},
		{"somebody else's message is not counted on", func(t *testing.T) {
			b := newPlan(t, []Device{sbd})
			b.in.Facts.Back = true // nothing of ours is sent
			b.step(0, b.pills(sbd, 3, 3))
			b.step(sbd.MsgWait)
			b.step(0, b.pills(sbd, 3, 3))
			if len(b.proof) != 0 {
				t.Fatalf("proofs %v", b.kinds())
			}
		}},
		{"a node that still shows life was not ended by it", func(t *testing.T) {
			for _, life := range []func(*Facts){func(f *Facts) { f.GossipAlive = true }, func(f *Facts) { f.LeaseGone = false }} {
				b := delivered(t)
				life(&b.in.Facts)
				b.step(sbd.MsgWait, b.pills(sbd, 3, 3))
				b.step(0, b.pills(sbd, 3, 3))
				if len(b.proof) != 0 {
					t.Errorf("proofs %v", b.kinds())
				}
			}
		}},
		{"a message that did not arrive is written again", func(t *testing.T) {
			b := newPlan(t, []Device{sbd})
			b.step(0)
			b.step(time.Second, b.yes(sbd))
			b.step(time.Second, b.pills(sbd, 1, 3))
			if b.step(10 * time.Second); len(b.offs) != 1 || !strings.Contains(b.in.Record.Problem, "read back on 1 of 3") {
				t.Fatalf("sent %v, problem %q", b.offs, b.in.Record.Problem)
			}
		}},
	}.all(t)
}
