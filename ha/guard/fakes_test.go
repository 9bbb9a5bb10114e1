package guard

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/node"

	"github.com/sirupsen/logrus"
)

// textLog collects log lines.
type textLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *textLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *textLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *textLog) logger() *logrus.Logger {
	lg := logrus.New()
	lg.SetOutput(l)
	return lg
}

// journal is the common diary of the fakes: what was done when, counted from the start.
type journal struct {
	now   func() ha.Instant
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, a ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf("%v ", time.Duration(j.now()).Round(time.Millisecond))+fmt.Sprintf(format, a...))
}

// of returns the entries with this word.
func (j *journal) of(word string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.lines), func(s string) bool { return !strings.Contains(s, " "+word) })
}

// fakeDog is a watchdog that knows when it would have fired.
type fakeDog struct {
	j       *journal
	driver  string
	fail    error         // of Open
	hang    chan struct{} // Feed waits for it to be closed, if set
	mu      sync.Mutex
	armed   bool
	fireAt  ha.Instant
	timeout time.Duration
}

func (d *fakeDog) Driver() string        { return d.driver }
func (d *fakeDog) Facts() *WatchdogFacts { return nil }

func (d *fakeDog) Fire() error {
	d.j.add("fire")
	return nil
}

func (d *fakeDog) Open(timeout time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	d.armed, d.timeout, d.fireAt = true, timeout, d.j.now().Add(timeout)
	d.j.add("open")
	return nil
}

func (d *fakeDog) Feed() error {
	if d.hang != nil {
		<-d.hang
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fireAt = d.j.now().Add(d.timeout)
	d.j.add("feed")
	return nil
}

func (d *fakeDog) Disarm() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = false
	d.j.add("disarm")
	return nil
}

func (d *fakeDog) Close() error {
	d.j.add("close")
	return nil
}

// fires says when an armed dog that is fed no more ends the node.
func (d *fakeDog) fires() (ha.Instant, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fireAt, d.armed
}

// fakeProcs holds processes that die when killed, unless they are undying.
type fakeProcs struct {
	j       *journal
	mu      sync.Mutex
	procs   []Proc
	undying bool
	hang    chan struct{} // Find waits for it to be closed, if set
}

func (f *fakeProcs) Find(guests []node.GuestRef) ([]Proc, error) {
	if f.hang != nil {
		<-f.hang
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []Proc{}
	for _, p := range f.procs {
		if slices.ContainsFunc(guests, func(g node.GuestRef) bool { return g.ID == p.VMID }) {
			out = append(out, p)
		}
	}
	return out, nil
}

func (f *fakeProcs) Kill(p Proc) error {
	f.j.add("kill %s %d", p.What, p.VMID)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.undying {
		f.procs = slices.DeleteFunc(f.procs, func(q Proc) bool { return q.PID == p.PID })
	}
	return nil
}

func (f *fakeProcs) appear(p Proc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.procs = append(f.procs, p)
}

// bench is a guard among fakes in a synctest bubble.
type bench struct {
	t     *testing.T
	cfg   Config
	j     *journal
	dog   *fakeDog
	procs *fakeProcs
	log   *textLog
	l     *loop
	stop  func()
}

func newBench(t *testing.T) *bench {
	start := time.Now()
	now := func() ha.Instant { return ha.Instant(time.Since(start)) }
	j := &journal{now: now}
	b := &bench{
		t: t, j: j, log: &textLog{}, dog: &fakeDog{j: j, driver: "fake"},
		procs: &fakeProcs{j: j, procs: []Proc{
			{PID: 11, What: WhatGuest, VMID: 101}, {PID: 12, What: WhatWorker, VMID: 102}, {PID: 13, What: WhatGuest, VMID: 999},
		}},
	}
	b.cfg = Config{
		Socket: "unused", StateFile: t.TempDir() + "/guard.json", Timing: testTiming(t), Incarnation: "boot1",
		Watchdog: b.dog, Processes: b.procs, Now: now, Log: b.log.logger(),
	}
	return b
}
