package sim

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// room is a machine room for tests: n1, n2 ... with one shared storage "ceph" and VM 101 on n1.
type room struct {
	*testing.T
	*Machine
	l   *Loop
	net *Net
}

func newRoom(t *testing.T, seed uint64, n int, watchdog string, guests ...GuestSpec) *room {
	t.Helper()
	timing, err := ha.Profile("normal")
	if err != nil {
		t.Fatal(err)
	}
	l := NewLoop(seed, nil)
	net := NewNet(l)
	var hosts []HostSpec
	for i := range n {
		hosts = append(hosts, HostSpec{Name: fmt.Sprintf("n%d", i+1), Memory: 64 << 30, UUID: fmt.Sprintf("uuid-%d", i+1), Vote: true,
			Watchdog: watchdog, BootTime: 20 * time.Second})
	}
	if guests == nil {
		guests = []GuestSpec{vm(101)}
	}
	m := NewMachine(l, net, timing, hosts, []StorageSpec{{Name: "ceph", Shared: true, Revocable: true}, {Name: "local"}}, guests)
	m.Start()
	return &room{T: t, Machine: m, l: l, net: net}
}

// vm is a running VM on n1 whose disk lies on the shared storage.
func vm(id ha.VMID) GuestSpec {
	return GuestSpec{ID: id, Kind: ha.QEMU, Name: "web", Node: "n1", Memory: 1 << 30, Storages: []string{"ceph"}, Protected: true, Running: true}
}

func stopped(g GuestSpec) GuestSpec { g.Running = false; return g }

func (r *room) run(d time.Duration) { r.l.Run(r.l.Now() + d) }

// await runs until a condition holds and returns how long that took; it fails after limit.
func (r *room) await(what string, limit time.Duration, ok func() bool) time.Duration {
	r.Helper()
	for from := r.l.Now(); ; r.run(10 * time.Millisecond) {
		if ok() {
			return r.l.Now() - from
		}
		if r.l.Now()-from > limit {
			r.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// writers are the names of the hosts that can write a guest's disks.
func (r *room) writers(id ha.VMID) string {
	s := ""
	for _, w := range r.Writers(id) {
		s += w.Host + " "
	}
	return s
}

func (r *room) wantWriters(id ha.VMID, want string) {
	r.Helper()
	if got := r.writers(id); got != want {
		r.Errorf("writers of %d at %v: %q, want %q", id, r.l.Now(), got, want)
	}
}

// pve is a process on a host and its Proxmox.
func (r *room) pve(host string) (*Proc, *PVE) {
	p := r.Host(host).NewProc("test")
	return p, r.Host(host).PVE(p)
}

// answer collects the end of a call.
type answer struct {
	n   int
	err error
	at  time.Duration
}

func (r *room) answer() (*answer, func(error)) {
	a := &answer{}
	return a, func(err error) { a.n++; a.err, a.at = err, r.l.Now() }
}

func (r *room) wait(a *answer, limit time.Duration) error {
	r.Helper()
	r.await("an answer", limit, func() bool { return a.n > 0 })
	if a.n != 1 {
		r.Errorf("answered %d times", a.n)
	}
	return a.err
}

// permit gives the guard of a host a permit for d, with these guests.
func (r *room) permit(host string, d time.Duration, ids ...ha.VMID) {
	h := r.Host(host)
	e := node.GuardPermit{Deadline: h.Clock().Now().Add(d), Incarnation: h.Inc()}
	for _, id := range ids {
		e.Guests = append(e.Guests, ha.GuestRef{ID: id, Kind: ha.QEMU})
	}
	p := h.NewProc("agent")
	a, done := r.answer()
	h.Guard().Permit(p, e, func(_ ha.GuardStatus, err error) { done(err) })
	if err := r.wait(a, 2*time.Second); err != nil {
		r.Fatalf("permit: %v", err)
	}
}

func (r *room) arm(host string) {
	h := r.Host(host)
	a, done := r.answer()
	h.Guard().Arm(h.NewProc("agent"), func(st ha.GuardStatus, err error) {
		if err == nil && !st.Armed {
			err = errors.New("not armed")
		}
		done(err)
	})
	if err := r.wait(a, 3*time.Second); err != nil {
		r.Fatalf("arm: %v", err)
	}
}

func (r *room) cutOff(host string, on bool) {
	for _, k := range []NetKind{NetCluster, NetCorosync, NetStorage, NetMgmt} {
		r.net.Cut(k, host, "*", on)
		r.net.Cut(k, "*", host, on)
	}
}
