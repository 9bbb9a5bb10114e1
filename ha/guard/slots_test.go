package guard

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// fakeSlot is looked at each second; a look counts for 5 s. It shows a message for as long as one lies there.
type fakeSlot struct {
	j       *journal
	now     func() ha.Instant
	mu      sync.Mutex
	lost    bool
	message node.NodeEnd
	broken  error // of Watch
}

func (f *fakeSlot) Device() string { return "sbd" }

func (f *fakeSlot) Watch(ctx context.Context, fresh bool, report func(Sight)) error {
	f.j.add("watch fresh=%v", fresh)
	if f.broken != nil {
		return f.broken
	}
	if fresh {
		f.set(false, "")
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var s Sight
	for {
		f.mu.Lock()
		s.Message, s.Problem = f.message, "hangs"
		if !f.lost {
			s.Until, s.Problem = f.now().Add(5*time.Second), ""
		}
		f.mu.Unlock()
		report(s)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (f *fakeSlot) set(lost bool, message node.NodeEnd) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost, f.message = lost, message
}

type fakeEnder struct {
	j   *journal
	err error
}

func (f fakeEnder) End(how node.NodeEnd) error {
	f.j.add("end %s", how)
	return f.err
}

// slotted is a bench whose guard watches a slot; started and armed.
func (b *bench) slotted() *fakeSlot {
	f := &fakeSlot{j: b.j, now: b.cfg.Now}
	b.cfg.Slots, b.cfg.Ender = []Slot{f}, fakeEnder{j: b.j}
	b.start()
	time.Sleep(10 * time.Millisecond)
	b.permit(time.Hour)
	b.must(node.GuardArm{})
	b.must(node.GuardObey{Obey: true, Sent: b.cfg.Now()})
	return f
}

func TestAMessageEndsTheNode(t *testing.T) {
	for how, err := range map[node.NodeEnd]error{node.EndReset: nil, node.EndOff: errors.New("no such file"), node.EndCrash: nil} {
		bubble(t, func(t *testing.T, b *bench) {
			f := b.slotted()
			b.cfg.Ender = fakeEnder{b.j, err}
			b.l.cfg.Ender = b.cfg.Ender
			time.Sleep(10 * time.Second)
			f.set(false, how)
			time.Sleep(1100 * time.Millisecond)
			b.want("end", "11s end "+string(how))
			b.want("fire", "11s fire")
			feeds := len(b.j.of("feed"))
			time.Sleep(20 * time.Second)
			if st := b.must(nil); len(b.j.of("feed")) != feeds || len(b.j.of("end")) != 1 || !strings.Contains(st.Detail, "message "+string(how)) || st.Armed {
				t.Errorf("%q %+v", b.j.of("feed"), st)
			}
			b.stop()
			if said := b.log.String(); (err != nil) != strings.Contains(said, "no such file") {
				t.Errorf("%v: %s", err, said)
			}
		})
	}
}

func TestAMessageIsObeyedAfterARestartToo(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		f := b.slotted()
		time.Sleep(3 * time.Second)
		b.stop()
		f.set(false, node.EndOff) // while no guard runs
		b.start()
		time.Sleep(time.Second)
		b.want("watch", "0s watch fresh=true", "3.01s watch fresh=false")
		b.want("end", "3.01s end off")
		b.stop()
		b.cfg.Incarnation = "boot2"
		b.start()
		time.Sleep(time.Second)
		b.stop()
		if got := b.j.of("watch"); !strings.HasSuffix(got[2], "fresh=true") || len(b.j.of("end")) != 1 {
			t.Errorf("the next boot: %q", b.j.of(""))
		}
	})
}

func TestNotFedWithoutSightUnlessReleased(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		f := b.slotted()
		time.Sleep(10 * time.Second)
		f.set(true, "")
		time.Sleep(6 * time.Second)
		feeds := b.j.of("feed")
		st := b.must(nil)
		if st.Slots == nil || st.Slots.Seen || !st.Slots.Held || !slices.Equal(st.Slots.Devices, []string{"sbd"}) || !strings.Contains(st.Slots.Problem, "hangs") || !st.Armed {
			t.Fatalf("%+v %+v", st, st.Slots)
		}
		if at, _ := b.dog.fires(); time.Duration(at) > 25*time.Second { // the last look at 10 s, 5 s, the watchdog's 10 s
			t.Fatalf("it would end at %v: %q", time.Duration(at), feeds)
		}
		time.Sleep(2 * time.Second)
		if got := b.j.of("feed"); !slices.Equal(got, feeds) {
			t.Fatalf("fed without sight: %q", got)
		}
		b.must(node.GuardObey{Sent: b.cfg.Now()})
		time.Sleep(3 * time.Second)
		if got := b.j.of("feed"); len(got) < len(feeds)+2 || b.must(nil).Slots.Held {
			t.Fatalf("released: %q", got)
		}
		if a := b.ask(node.GuardObey{Obey: true, Sent: b.cfg.Now()}); a.OK {
			t.Error("it obeys without sight")
		}
		b.stop()
		b.start() // the release is on file
		time.Sleep(3 * time.Second)
		if st := b.must(nil); st.Slots.Held {
			t.Errorf("%+v", st.Slots)
		}
		f.set(false, "")
		time.Sleep(1500 * time.Millisecond) // beside its looks, which come at whole seconds
		if st := b.must(node.GuardObey{Obey: true, Sent: b.cfg.Now()}); !st.Slots.Held || !st.Slots.Seen {
			t.Errorf("%+v", st.Slots)
		}
		b.stop()
	})
}

func TestAWatchThatEndsIsNoSight(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.cfg.Slots = []Slot{&fakeSlot{j: b.j, broken: errors.New("4 disks")}}
		b.start()
		time.Sleep(time.Second)
		if st := b.must(nil); st.Slots.Seen || !strings.Contains(st.Slots.Problem, "4 disks") {
			t.Errorf("%+v", st.Slots)
		}
		if a := b.ask(node.GuardArm{}); a.OK || !strings.Contains(a.Error, "4 disks") {
			t.Errorf("%+v", a)
		}
		b.must(node.GuardObey{Sent: b.cfg.Now()})
		b.must(node.GuardArm{})
		b.stop()
	})
}

func TestSysRq(t *testing.T) {
	root := t.TempDir()
	if err := (SysRq{root}).End(node.EndReset); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	key := filepath.Join(root, "proc/sysrq-trigger")
	if err := os.MkdirAll(filepath.Dir(key), 0o700); err != nil {
		t.Fatal(err)
	}
	for how, want := range map[node.NodeEnd]string{node.EndReset: "b", node.EndOff: "o", node.EndCrash: "c", "": "", "test": ""} {
		if err := os.WriteFile(key, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		err := SysRq{root}.End(how)
		if got, _ := os.ReadFile(key); string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", how, got, err)
		}
	}
}

func TestOneSlotForEachDevice(t *testing.T) {
	cfg := newBench(t).cfg
	cfg.Slots = []Slot{&fakeSlot{}, &fakeSlot{}}
	if err := cfg.check(); err == nil || !strings.Contains(err.Error(), "two slots of device sbd") {
		t.Errorf("%v", err)
	}
}
