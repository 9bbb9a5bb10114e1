package sim

import (
	"errors"
	"testing"
	"time"

	"bascule/ha"
)

// claim asks a host to take 101 over.
func (r *room) claim(host, from string) *answer {
	_, c := r.pve(host)
	a, done := r.answer()
	c.Claim(101, ha.QEMU, ha.NodeName(from), done)
	return a
}

func TestAWriteWaitsWhileCorosyncForms(t *testing.T) {
	r := newRoom(t, 5, 3, "")
	r.Token = 5 * time.Second
	cut := r.l.Now()
	r.Host("n1").Power(false)
	a := r.claim("n2", "n1")
	r.run(4900 * time.Millisecond)
	if a.n != 0 {
		t.Fatalf("renamed while corosync forms: %v", a.err)
	}
	if err := r.wait(a, time.Second); err != nil {
		t.Fatal(err)
	}
	if d := a.at - cut; d < r.Token || d > r.Token+100*time.Millisecond {
		t.Errorf("done after %v", d)
	}
	if at := r.ConfigNode(101); at != "n2" {
		t.Errorf("config at %q", at)
	}
}

func TestAMinorityReadsItsOldTreeAndWritesNothing(t *testing.T) {
	r := newRoom(t, 6, 3, "")
	r.cutOff("n3", true)
	inFlight := r.claim("n3", "n1")
	r.run(r.Token + time.Second)
	if err := r.wait(inFlight, time.Second); !errors.Is(err, ha.ErrNoQuorum) {
		t.Errorf("in flight: %v", err)
	}
	if err := r.wait(r.claim("n2", "n1"), time.Second); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(r.claim("n3", "n1"), time.Second); !errors.Is(err, ha.ErrNoQuorum) {
		t.Errorf("minority: %v", err)
	}
	at := func(host string) (got ha.NodeName) {
		_, c := r.pve(host)
		c.ConfigAt(101, ha.QEMU, func(n ha.NodeName, err error) { got = n })
		r.run(100 * time.Millisecond)
		return got
	}
	if at("n1") != "n2" || at("n3") != "n1" {
		t.Errorf("n1 sees it at %s, the minority at %s", at("n1"), at("n3"))
	}
	if v := r.Host("n3").Corosync(); v.Quorate || len(v.Online) != 1 {
		t.Errorf("the minority's view: %+v", v)
	}
	_, c := r.pve("n3")
	a, done := r.answer()
	c.Start(101, ha.QEMU, done)
	if err := r.wait(a, time.Second); !errors.Is(err, ha.ErrNoQuorum) {
		t.Errorf("start in the minority: %v", err)
	}
	r.cutOff("n3", false)
	r.run(10 * time.Second)
	if at("n3") != "n2" || !r.Host("n3").Corosync().Quorate {
		t.Error("not healed")
	}
}

func TestMembersShowsTheOldRingThenWaits(t *testing.T) {
	r := newRoom(t, 7, 3, "")
	r.Token = 4 * time.Second
	r.Host("n1").Power(false)
	ask := func() (*answer, *ha.CorosyncView) {
		_, c := r.pve("n2")
		a, done := r.answer()
		v := &ha.CorosyncView{}
		c.Members(func(got ha.CorosyncView, err error) { *v = got; done(err) })
		r.run(100 * time.Millisecond)
		return a, v
	}
	if a, v := ask(); a.n != 1 || len(v.Online) != 3 {
		t.Errorf("before the loss is noticed: %d answers, %+v", a.n, v)
	}
	r.run(2500 * time.Millisecond)
	a, v := ask()
	if a.n != 0 {
		t.Error("no wait while the ring forms")
	}
	r.run(2 * time.Second)
	if a.n != 1 || len(v.Online) != 2 || !v.Quorate {
		t.Errorf("after: %d answers, %+v", a.n, v)
	}
}

func TestTwoNodesNeedAQuorumDevice(t *testing.T) {
	for _, with := range []bool{false, true} {
		r := newRoom(t, 8, 2, "")
		if with {
			r.SetQDevice("q")
		}
		r.Host("n1").Power(false)
		r.run(10 * time.Second)
		if got := r.Host("n2").Corosync().Quorate; got != with {
			t.Errorf("quorum device %v: quorate %v", with, got)
		}
	}
	r := newRoom(t, 8, 2, "")
	r.SetQDevice("q")
	r.net.Cut(NetCorosync, "n1", "n2", true)
	r.run(10 * time.Second)
	if !r.Host("n1").Corosync().Quorate || r.Host("n2").Corosync().Quorate {
		t.Error("the quorum device must vote for one side")
	}
}

func TestAFrozenHostComesBackIntoANewRing(t *testing.T) {
	r := newRoom(t, 9, 3, "")
	r.Host("n1").Freeze(true)
	r.run(12 * time.Second)
	if err := r.wait(r.claim("n2", "n1"), time.Second); err != nil {
		t.Fatal(err)
	}
	r.Host("n1").Freeze(false)
	if f := r.Host("n1").files()[101]; f.node != "n1" {
		t.Error("it cannot know yet")
	}
	_, c := r.pve("n1")
	a, done := r.answer()
	c.SetOnboot(101, ha.QEMU, true, done) // it takes itself for quorate and the config for its own
	r.run(500 * time.Millisecond)
	if a.n != 0 {
		t.Errorf("a write without a ring: %v", a.err)
	}
	if err := r.wait(a, 5*time.Second); !errors.Is(err, ha.ErrConfigGone) {
		t.Errorf("in the new ring: %v", err)
	}
	r.run(10 * time.Second)
	if v := r.Host("n1").Corosync(); len(v.Online) != 3 {
		t.Errorf("view %+v", v)
	}
}

func TestARenameOverwritesSilently(t *testing.T) {
	r := newRoom(t, 10, 3, "", vm(101), stopped(vm(102)))
	_, c := r.pve("n1")
	a, done := r.answer()
	c.Rename("n1", 102, "n1", 101, done)
	if err := r.wait(a, time.Second); err != nil {
		t.Fatal(err)
	}
	if r.ConfigNode(101) != "n1" || r.ConfigNode(102) != "" {
		t.Errorf("101 at %q, 102 at %q", r.ConfigNode(101), r.ConfigNode(102))
	}
	if err := r.wait(r.claim("n2", "n3"), time.Second); !errors.Is(err, ha.ErrConfigGone) {
		t.Errorf("a source that is not there: %v", err)
	}
}
