package node

import (
	"testing"
	"time"

	"bascule/ha"
)

// world runs one node's machine by hand: events in, effects collected, a clock that only the test moves.
type world struct {
	t    *testing.T
	c    Config
	now  ha.Instant
	s    State
	out  []Effect
	next ha.Instant
	recs map[ha.VMID]ha.GuestRecord
	seen map[ha.VMID]ha.GuestSeen
}

func newWorld(t *testing.T) *world {
	tm, err := ha.Profile("normal")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: 1e9, recs: map[ha.VMID]ha.GuestRecord{}, seen: map[ha.VMID]ha.GuestSeen{},
		c: Config{Self: "n1", Incarnation: "b1", Timing: tm, MaxRestart: 1, ParallelStarts: 2}}
	w.s = Start(w.now, w.c, Kept{})
	return w
}

// ready brings the machine to a held lease, past its quiet time.
func ready(t *testing.T) *world {
	w := newWorld(t)
	w.ev(GuardSeen{Connected: true, Clean: true})
	want[Grant](w)
	w.ev(Granted{Sent: w.now, ID: 7, OK: true})
	want[Register](w)
	w.ev(Registered{ID: 7, OK: true})
	want[Permit](w)
	w.ev(View{Records: w.recs})
	w.look()
	for range 8 {
		w.pass(time.Second)
	}
	w.out = nil
	return w
}

func (w *world) ev(e Event) {
	w.t.Helper()
	before := string(ha.Encode(w.s))
	s, out, next := w.c.Step(w.now, w.s, e)
	s2, out2, next2 := w.c.Step(w.now, w.s, e)
	if string(ha.Encode(s)) != string(ha.Encode(s2)) || len(out) != len(out2) || next != next2 || string(ha.Encode(w.s)) != before {
		w.t.Fatalf("Step is not pure for %T", e)
	}
	w.s, w.next = s, next
	w.out = append(w.out, out...)
}

// pass lets time go by and answers every renewal that comes up at once.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for w.now < end {
		step := end
		if w.next != 0 && w.next > w.now && w.next < end {
			step = w.next
		}
		w.now = step
		w.ev(Tick{})
		for i := 0; i < len(w.out); i++ {
			if r, ok := w.out[i].(Renew); ok {
				w.out = append(w.out[:i], w.out[i+1:]...)
				w.ev(Renewed{ID: r.ID, Sent: w.now, OK: true})
				i = -1
			}
		}
	}
}

// want takes the first effect of a type out of the list.
func want[E Effect](w *world) E {
	w.t.Helper()
	for i, e := range w.out {
		if x, ok := e.(E); ok {
			w.out = append(w.out[:i:i], w.out[i+1:]...)
			return x
		}
	}
	var zero E
	w.t.Fatalf("no %T among %v", zero, w.out)
	return zero
}

func none[E Effect](w *world) {
	w.t.Helper()
	for _, e := range w.out {
		if _, ok := e.(E); ok {
			w.t.Fatalf("unexpected %T: %+v", e, e)
		}
	}
}

// assign puts a record into the view; look tells the machine what Proxmox shows.
func (w *world) assign(g ha.GuestRecord) {
	if g.Holders == nil {
		g.Holders = []ha.Holder{{Node: g.Node, Incarnation: g.Incarnation, Generation: g.Generation}}
	}
	if g.Kind == "" {
		g.Kind = ha.QEMU
	}
	w.recs[g.ID] = g
	w.view()
}

func (w *world) view() {
	recs := map[ha.VMID]ha.GuestRecord{}
	for k, v := range w.recs {
		recs[k] = v
	}
	w.ev(View{Records: recs})
}

func (w *world) look() {
	l := Looked{Began: w.now, Quorate: true}
	for _, id := range sorted(w.seen) {
		l.Guests = append(l.Guests, w.seen[id])
	}
	w.ev(l)
}

func (w *world) here(id ha.VMID, running bool) {
	w.now = w.now.Add(time.Millisecond)
	w.seen[id] = ha.GuestSeen{ID: id, Kind: ha.QEMU, Protected: true, Running: running}
	w.look()
}

// do expects a step of a guest and answers it.
func (w *world) do(step StepName, o Outcome, msg string) Do {
	w.t.Helper()
	d := want[Do](w)
	if d.Step != step {
		w.t.Fatalf("step %s, want %s", d.Step, step)
	}
	w.now = w.now.Add(10 * time.Millisecond)
	w.ev(StepDone{Guest: d.Guest, Seq: d.Seq, Step: d.Step, Outcome: o, Message: msg})
	return d
}

// said returns the last report and empties the list of them.
func (w *world) said() ha.GuestReport {
	w.t.Helper()
	var last ha.GuestReport
	var rest []Effect
	for _, e := range w.out {
		if r, ok := e.(Report); ok {
			last = r.Report
		} else {
			rest = append(rest, e)
		}
	}
	w.out = rest
	return last
}

func mine(id ha.VMID, gen ha.Generation) ha.GuestRecord {
	return ha.GuestRecord{ID: id, Node: "n1", Incarnation: "b1", Generation: gen, Requested: ha.RequestedStarted, State: ha.GuestStarting, ConfigFrom: []ha.NodeName{"n2"}}
}
