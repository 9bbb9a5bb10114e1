package guard

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bascule/ha/node"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
)

// start runs the guard as after a start of its process.
func (b *bench) start() {
	b.t.Helper()
	saved, err := loadState(b.cfg.StateFile)
	if err != nil {
		b.t.Fatal(err)
	}
	b.l = newLoop(b.cfg, newLogq(b.cfg.Log), saved)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		b.l.runAll(ctx, func(ctx context.Context, _ *loop) { <-ctx.Done() })
		close(ended)
	}()
	b.stop = func() { cancel(); <-ended }
}

func (b *bench) ask(e node.GuardEvent) answer {
	got := make(chan answer, 1)
	b.l.inbox <- message{event: e, reply: func(a answer) { got <- a }}
	return <-got
}

func (b *bench) must(e node.GuardEvent) Status {
	b.t.Helper()
	a := b.ask(e)
	if !a.OK {
		b.t.Fatalf("%T refused: %s", e, a.Error)
	}
	return a.Status
}

func (b *bench) permit(length time.Duration) Status {
	b.t.Helper()
	return b.must(node.GuardPermit{Deadline: b.cfg.Now().Add(length), Guests: refs(101, 102), Incarnation: "boot1"})
}

func (b *bench) want(word string, lines ...string) {
	b.t.Helper()
	if diff := cmp.Diff(lines, b.j.of(word)); diff != "" {
		b.t.Fatalf("%q (-want +got):\n%s\nall: %q", word, diff, b.j.of(""))
	}
}

func bubble(t *testing.T, f func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) { f(t, newBench(t)) })
}

func TestKillsAtTheMomentAndFeedsOn(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.start()
		b.permit(4 * time.Second)
		if st := b.must(node.GuardArm{}); !st.Armed || st.Driver != "fake" {
			t.Fatalf("not armed: %+v", st)
		}
		time.Sleep(10 * time.Second)
		b.want("kill", "4.5s kill worker 102", "4.5s kill guest 101") // the worker first, 999 not at all
		b.want("open", "0s open")
		if st := b.must(nil); st.Phase != node.GuardClean || !st.Armed || len(st.Remaining) != 0 {
			t.Fatalf("not clean: %+v", st)
		}
		b.procs.appear(Proc{PID: 14, What: WhatWorker, VMID: 101})
		time.Sleep(1100 * time.Millisecond)
		if got := b.j.of("kill"); len(got) != 3 || !strings.HasSuffix(got[2], "kill worker 101") {
			t.Fatalf("what appeared was not killed in a second: %q", got)
		}
		if feeds := b.j.of("feed"); len(feeds) < 5 || len(feeds) > 7 {
			t.Fatalf("fed %d times in 11 s: %q", len(feeds), feeds)
		}
		b.permit(4 * time.Second)
		b.must(node.GuardDisarm{})
		time.Sleep(20 * time.Second)
		b.stop()
		if _, armed := b.dog.fires(); armed || len(b.j.of("kill")) != 3 {
			t.Fatalf("armed %v after disarming; %q", armed, b.j.of("kill"))
		}
	})
}

func TestStopsFeedingWhenNotClean(t *testing.T) {
	for name, prepare := range map[string]func(*bench){
		"undying":     func(b *bench) { b.procs.undying = true },
		"scan hangs":  func(b *bench) { b.procs.hang = make(chan struct{}) },
		"feed hangs":  func(b *bench) { b.procs.undying = true; b.dog.hang = make(chan struct{}) },
		"log blocked": func(b *bench) { b.procs.undying = true; b.cfg.Log = blockedLog(b) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				prepare(b)
				b.start()
				b.permit(4 * time.Second)
				b.must(node.GuardArm{})
				time.Sleep(30 * time.Second)
				at, armed := b.dog.fires()
				if w := b.cfg.Timing.SelfFence(); !armed || time.Duration(at) > 4*time.Second+w {
					t.Fatalf("the node ends at %v (armed %v), beyond the permit's end + W %v", time.Duration(at), armed, w)
				}
				if name != "feed hangs" {
					b.want("fire", "7.5s fire")
				}
				if name == "undying" && (len(b.j.of("kill")) < 100 || len(b.must(nil).Remaining) != 2) {
					t.Fatalf("does not go on killing: %q", b.j.of("kill"))
				}
				if a := b.ask(node.GuardPermit{Deadline: b.cfg.Now().Add(time.Second)}); a.OK || a.Status.Phase != node.GuardFailing || a.Status.Armed {
					t.Fatalf("a failing guard accepts: %+v", a)
				}
				for _, c := range []chan struct{}{b.procs.hang, b.dog.hang} {
					if c != nil {
						close(c)
					}
				}
				b.stop()
				after, _ := b.dog.fires()
				if after > at && name != "feed hangs" {
					t.Fatalf("fed after it had stopped: %v", time.Duration(after))
				}
			})
		})
	}
}

// blockedLog is a log whose reader is gone until the test is over.
func blockedLog(b *bench) logrus.FieldLogger {
	lg := logrus.New()
	r, w := io.Pipe()
	lg.SetOutput(w)
	stop := b.t.Context()
	go func() { <-stop.Done(); _ = r.Close() }()
	return lg
}

func TestCrashAndRestart(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.start()
		b.permit(2 * time.Second)
		b.must(node.GuardArm{})
		time.Sleep(time.Second)
		b.permit(2 * time.Second) // renewed without another change: only the deadline's file knows
		time.Sleep(time.Second)
		b.stop()
		b.start()
		if st := b.must(nil); st.Phase != node.GuardPermitted || time.Duration(st.Deadline) != 3*time.Second || len(st.Guests) != 2 {
			t.Fatalf("restarted with %+v", st)
		}
		time.Sleep(2 * time.Second)
		b.want("kill", "3.5s kill worker 102", "3.5s kill guest 101")
		b.want("open", "0s open", "2s open")
		b.stop()
	})
}

func TestRestartAfterKillTimeDoesNotFeedBeforeClean(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.start()
		b.permit(time.Second)
		b.must(node.GuardArm{})
		b.stop()
		b.procs.undying = true
		time.Sleep(6 * time.Second)
		b.start()
		time.Sleep(10 * time.Second)
		b.want("open", "0s open")
		if kills := b.j.of("kill"); !strings.HasPrefix(kills[0], "6s") {
			t.Fatalf("did not kill at its start: %q", kills)
		}
		if st := b.must(nil); st.Phase != node.GuardFailing {
			t.Fatalf("phase %s", st.Phase)
		}
		b.stop()
	})
}

func TestRestartOfAnotherBootIsIdle(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.start()
		b.permit(time.Second)
		b.stop()
		b.cfg.Incarnation = "boot2"
		b.start()
		time.Sleep(10 * time.Second)
		if st := b.must(nil); st.Phase != node.GuardIdle || len(b.j.of("kill")) != 0 {
			t.Fatalf("another boot's permit counts: %+v", st)
		}
		b.stop()
	})
}

func TestArmWithoutWatchdog(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.cfg.Watchdog = noWatchdog{}
		b.start()
		b.permit(4 * time.Second)
		if a := b.ask(node.GuardArm{}); a.OK || a.Status.Armed || !strings.Contains(a.Error, ErrNoWatchdog.Error()) {
			t.Fatalf("armed without a watchdog: %+v", a)
		}
		time.Sleep(5 * time.Second)
		b.want("kill", "4.5s kill worker 102", "4.5s kill guest 101")
		b.stop()
		if n := strings.Count(b.log.String(), ErrNoWatchdog.Error()); n != 1 {
			t.Fatalf("said %d times that there is no watchdog:\n%s", n, b.log)
		}
	})
}

func TestUnkeptStateIsNotConfirmed(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.cfg.StateFile = t.TempDir() + "/missing/guard.json"
		b.start()
		a := b.ask(node.GuardPermit{Deadline: b.cfg.Now().Add(time.Second), Guests: refs(101)})
		if a.OK || !strings.Contains(a.Error, "run directory") {
			t.Fatalf("confirmed though not on file: %+v", a)
		}
		b.stop()
	})
}

// TestLateFeedingIsDropped: what waited behind a hung operation must not put the reset off any more.
func TestLateFeedingIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		l := newLoop(b.cfg, newLogq(b.cfg.Log), node.GuardSaved{})
		defer l.log.close()
		time.Sleep(time.Second)
		l.inbox = make(chan message, 1)
		for _, op := range []node.WatchdogOp{node.WatchdogOpen, node.WatchdogFeed} {
			l.watch.do(t.Context(), b.dog, watchOp{op: op, notAfter: b.cfg.Now()})
		}
		if got := b.j.of(""); len(got) != 0 {
			t.Fatalf("done too late: %q", got)
		}
		if e, ok := (<-l.inbox).event.(node.GuardWatchdogFault); !ok || e.Op != node.WatchdogOpen {
			t.Fatalf("a late opening is reported as %+v", e)
		}
	})
}

func TestLogIsBounded(t *testing.T) {
	block := make(chan struct{})
	lg := logrus.New()
	lg.SetFormatter(&logrus.JSONFormatter{})
	out := &textLog{}
	lg.SetOutput(writerFunc(func(p []byte) (int, error) { <-block; return out.Write(p) }))
	q := newLogq(lg)
	for range 2 * logQueue {
		q.add(logrus.InfoLevel, "line") // must not block
	}
	close(block)
	q.close()
	if s := out.String(); !strings.Contains(s, "lines are lost") || strings.Count(s, `"line"`) > logQueue+1 {
		t.Fatalf("no word of lost lines:\n%.300s", s)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestConfigCheck(t *testing.T) {
	good := Config{Socket: "/run/x", StateFile: "/run/y", Timing: testTiming(t), Watchdog: noWatchdog{}, Processes: &ProcFS{}}
	for name, spoil := range map[string]func(*Config){
		"socket": func(c *Config) { c.Socket = "" }, "long": func(c *Config) { c.Socket = strings.Repeat("x", 108) },
		"dog": func(c *Config) { c.Watchdog = nil }, "timing": func(c *Config) { c.Timing.WatchdogFeed = 6 * time.Second },
	} {
		bad := good
		spoil(&bad)
		if err := Run(t.Context(), bad); err == nil {
			t.Errorf("%s: started", name)
		}
	}
	if _, err := NewWatchdog(WatchdogOptions{Driver: "softdg"}); err == nil || !strings.Contains(err.Error(), "device, lab, none, watchdog-mux") {
		t.Errorf("unknown driver: %v", err)
	}
	if !slices.Equal(WatchdogDrivers(), []string{"device", "lab", "none", "watchdog-mux"}) || !errors.Is(noWatchdog{}.Open(0), ErrNoWatchdog) {
		t.Error("drivers")
	}
}
