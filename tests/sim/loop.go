package sim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"time"
)

// Loop runs events in the order of their time, then of their making. Times are virtual, counted from the world's start.
type Loop struct {
	now   time.Duration
	seq   uint64
	queue queue
	seed  uint64
	rands map[string]*rand.Rand
	hash  uint64
	out   io.Writer // readable trace; nil: none
	after func()    // called after every event: the judge
	halt  bool
}

// Event is something that happens later, unless it is cancelled.
type Event struct {
	at  time.Duration
	seq uint64
	run func()
}

// Cancel makes the event never happen. Cancelling nil or a past event does nothing.
func (e *Event) Cancel() {
	if e != nil {
		e.run = nil
	}
}

// NewLoop returns a loop at time 0. out receives the readable trace when not nil.
func NewLoop(seed uint64, out io.Writer) *Loop {
	return &Loop{seed: seed, rands: map[string]*rand.Rand{}, out: out, hash: seed}
}

// Now is the virtual time since the start.
func (l *Loop) Now() time.Duration { return l.now }

// After runs f once, d from now (at once when d is not positive, after everything that is due now).
func (l *Loop) After(d time.Duration, f func()) *Event {
	l.seq++
	e := &Event{at: l.now + max(0, d), seq: l.seq, run: f}
	heap.Push(&l.queue, e)
	return e
}

// Every runs f now and again with this pause, until the loop ends.
func (l *Loop) Every(d time.Duration, f func()) {
	l.After(0, func() {
		f()
		l.After(d, func() { l.Every(d, f) })
	})
}

// Run takes events until this time, or until Halt. The time is then `until` (not after a Halt).
func (l *Loop) Run(until time.Duration) {
	for len(l.queue) > 0 && !l.halt && l.queue[0].at <= until {
		e := heap.Pop(&l.queue).(*Event)
		if e.run == nil {
			continue
		}
		l.now = e.at
		l.Mix(uint64(e.at))
		e.run()
		if l.after != nil {
			l.after()
		}
	}
	if !l.halt {
		l.now = until
	}
}

// Halt ends Run after the present event.
func (l *Loop) Halt() { l.halt = true }

// Rand is the stream of this name: what one part of the world draws does not shift what another draws, so that leaving a fault
// out changes as little as possible.
func (l *Loop) Rand(stream string) *rand.Rand {
	r := l.rands[stream]
	if r == nil {
		h := fnv.New64a()
		_, _ = h.Write([]byte(stream))
		r = rand.New(rand.NewPCG(l.seed, h.Sum64()))
		l.rands[stream] = r
	}
	return r
}

// Between draws a duration in [lo, hi) from a stream.
func (l *Loop) Between(stream string, lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(l.Rand(stream).Int64N(int64(hi-lo)))
}

// Chance is true in p of all draws from a stream.
func (l *Loop) Chance(stream string, p float64) bool {
	return p > 0 && l.Rand(stream).Float64() < p
}

// Mix folds a value into the trace's hash.
func (l *Loop) Mix(v uint64) {
	l.hash = (l.hash ^ v) * 0x9E3779B97F4A7C15
	l.hash ^= l.hash >> 29
}

// MixBytes folds bytes into the trace's hash.
func (l *Loop) MixBytes(b []byte) {
	h := fnv.New64a()
	_, _ = h.Write(b)
	l.Mix(h.Sum64())
}

// Hash is the hash of everything that happened.
func (l *Loop) Hash() uint64 { return l.hash }

// Logf writes one line of the readable trace.
func (l *Loop) Logf(who, format string, a ...any) {
	if l.out != nil {
		_, _ = fmt.Fprintf(l.out, "%9.3fs %-10s %s\n", l.now.Seconds(), who, fmt.Sprintf(format, a...))
	}
}

type queue []*Event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*Event)) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return e
}
