package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"bascule/ha"
	"bascule/ha/etcd/memstore"
)

// storePort is one process's handle on the store, with a journal of its writes and failures picked by what a transaction holds.
type storePort struct {
	*memstore.Memory
	w *world
	n ha.NodeName

	mu       sync.Mutex
	before   func(ha.Txn)               // called before a commit
	fate     func(ha.Txn) memstore.Fate // nil: answered
	refuse   func(ha.Txn) error         // an error in place of the commit
	voters   func() ha.StoreHealth      // who votes; nil: nobody knows
	attempts int                        // commits tried
}

// Commit is the agent's port. It takes a millisecond, as no commit is quicker.
func (s *storePort) Commit(ctx context.Context, t ha.Txn) (int64, error) {
	select {
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	if s.before != nil {
		s.before(t)
	}
	if s.refuse != nil {
		if err := s.refuse(t); err != nil {
			return 0, err
		}
	}
	if s.fate != nil {
		s.Lose(s.fate(t))
	}
	rev, err := s.Memory.Commit(ctx, t)
	if err == nil {
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		for _, p := range t.Puts {
			s.w.note(s.n, "wrote "+p.Key, p.Value)
		}
		for _, k := range t.Dels {
			s.w.note(s.n, "removed "+k, nil)
		}
	}
	return rev, err
}

func (s *storePort) set(f func(s *storePort)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *storePort) tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts
}

func (s *storePort) told(what string, err error) error {
	if err == nil {
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		s.w.note(s.n, what, nil)
	}
	return err
}

// Grant is the agent's port.
func (s *storePort) Grant(ctx context.Context, ttl time.Duration) (ha.LeaseID, error) {
	id, err := s.Memory.Grant(ctx, ttl)
	return id, s.told(fmt.Sprintf("was granted lease %d", id), err)
}

// Revoke is the agent's port.
func (s *storePort) Revoke(ctx context.Context, id ha.LeaseID) error {
	return s.told(fmt.Sprintf("revoked lease %d", id), s.Memory.Revoke(ctx, id))
}

// Campaign is the agent's port.
func (s *storePort) Campaign(ctx context.Context, r ha.LeaderRecord) (ha.Term, *ha.LeaderRecord, error) {
	term, other, err := s.Memory.Campaign(ctx, r)
	if term != 0 {
		_ = s.told("leads", err)
	}
	return term, other, err
}

// Resign is the agent's port.
func (s *storePort) Resign(ctx context.Context, t ha.Term) error {
	return s.told("resigned", s.Memory.Resign(ctx, t))
}

// Health is the agent's port.
func (s *storePort) Health(ctx context.Context) ha.StoreHealth {
	if _, _, err := s.Get(ctx, ha.KeyLeader); err != nil {
		return ha.StoreHealth{Reason: err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.voters != nil {
		return s.voters()
	}
	return ha.StoreHealth{Available: true}
}

// MoveRaftLeaderOff is the agent's port; the model has no raft.
func (s *storePort) MoveRaftLeaderOff(context.Context, ha.NodeName) (bool, string, error) {
	return false, "", nil
}

// fakeGossip is what one machine hears of the others.
type fakeGossip struct {
	w *world
	m *machine
}

// View is the agent's port.
func (g fakeGossip) View() map[ha.NodeName]ha.GossipView {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	v := map[ha.NodeName]ha.GossipView{}
	for _, n := range g.w.names {
		o := g.w.nodes[n]
		v[n] = ha.GossipView{Known: true, Alive: o == g.m || o.heard && !g.m.cut, Leaving: o.leaving}
	}
	return v
}

// Send is the agent's port: what is cut off reaches nobody.
func (g fakeGossip) Send(to ha.NodeName, msg []byte) error {
	g.w.mu.Lock()
	o := g.w.nodes[to]
	reached := !g.m.cut && !o.cut && o.heard && o.proc != nil
	var a *Agent
	if reached {
		a = o.proc.agent
	}
	g.w.mu.Unlock()
	if !reached {
		return errors.New("no living member of this name")
	}
	a.Receive(msg)
	return nil
}

// UpdateMeta is the agent's port.
func (g fakeGossip) UpdateMeta() {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	g.m.leaving = true
	g.w.note(g.m.name, "gossips that it leaves", nil)
}

// Leave is the agent's port.
func (g fakeGossip) Leave(context.Context) error {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	g.m.heard = false
	g.w.note(g.m.name, "left gossip", nil)
	g.w.wakeAll()
	return nil
}

// fakeGuard is a machine's guard process: it outlives basculed and ends guests when the permit ends.
type fakeGuard struct {
	w *world
	m *machine

	down     bool // its socket does not answer
	phase    string
	driver   string
	armed    bool
	deadline ha.Instant
	guests   []ha.GuestRef
	busy     bool          // a permit is on its way
	slow     time.Duration // that a permit takes

	slots    []string
	seen     bool // its slots are
	released bool
	deaf     bool // it takes no word about them
}

var errGuardDown = errors.New("dial unix guard.sock: connect: connection refused")

// Permit is the agent's port. Two at once could overtake each other, so that an older list of guests replaces a newer one.
func (g *fakeGuard) Permit(ctx context.Context, inc ha.Incarnation, deadline ha.Instant, guests []ha.GuestRef) error {
	g.w.mu.Lock()
	if g.busy {
		g.w.wrong = append(g.w.wrong, "R2: two permits on their way to the guard of "+string(g.m.name)+" at once")
	}
	g.busy = true
	slow := g.slow
	g.w.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
		}
	}
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	g.busy = false
	now := g.w.boottime()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case g.down:
		return errGuardDown
	case inc != g.m.incarnation():
		return fmt.Errorf("the permit is for boot %s", inc)
	case deadline <= now || deadline < g.deadline:
		return errors.New("the permit is over")
	case g.phase == "killing":
		return errors.New("guests are being killed")
	}
	g.phase, g.deadline, g.guests = "permitted", deadline, slices.Clone(guests)
	tm, _ := ha.Profile("normal")
	time.AfterFunc(deadline.Add(tm.PermitGrace).Sub(now), g.enforce)
	return nil
}

// enforce ends the guests when the permit is over.
func (g *fakeGuard) enforce() {
	tm, _ := ha.Profile("normal")
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if g.m.guard != g || !g.m.on || g.down || g.phase != "permitted" || g.w.boottime() < g.deadline.Add(tm.PermitGrace) {
		return
	}
	g.phase = "killing"
	g.w.note(g.m.name, "guard: the permit ended", nil)
	for _, ref := range g.guests {
		g.w.killGuest(g.m, ref.ID, "killed by the guard")
	}
	time.AfterFunc(200*time.Millisecond, func() {
		g.w.mu.Lock()
		defer g.w.mu.Unlock()
		if g.phase == "killing" {
			g.phase = "clean"
		}
	})
}

// Arm is the agent's port.
func (g *fakeGuard) Arm(context.Context) error {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if g.phase != "permitted" && len(g.guests) > 0 {
		return errors.New("no permit")
	}
	g.armed = true
	g.w.note(g.m.name, "guard: armed", nil)
	return nil
}

// End is the agent's port.
func (g *fakeGuard) End(context.Context) error {
	g.w.mu.Lock()
	if g.phase == "permitted" {
		g.deadline = min(g.deadline, g.w.boottime())
	}
	g.w.mu.Unlock()
	time.AfterFunc(600*time.Millisecond, g.enforce)
	return nil
}

// Disarm is the agent's port. The world watches R3 here: the store must say so before.
func (g *fakeGuard) Disarm(ctx context.Context) error {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if g.down {
		return errGuardDown
	}
	if g.phase == "killing" || g.phase == "permitted" && g.w.boottime() >= g.deadline {
		return errors.New("the permit has ended: the guests are killed before anything is disarmed")
	}
	var rep ha.NodeReport
	kv, _, err := g.w.mem.Get(ctx, ha.KeyReport(g.m.name))
	if err != nil || kv == nil || json.Unmarshal(kv.Value, &rep) != nil || rep.Armed || !rep.Leaving {
		g.w.wrong = append(g.w.wrong, fmt.Sprintf("R3: the guard of %s was disarmed, but the store says armed=%v, leaving=%v", g.m.name, rep.Armed, rep.Leaving))
	}
	g.phase, g.armed = "disarmed", false
	g.w.note(g.m.name, "guard: disarmed", nil)
	return nil
}

// Obey is the agent's word about the slots. The store must not say that they are watched when it ends.
func (g *fakeGuard) Obey(ctx context.Context, obey bool) error {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	switch {
	case g.down:
		return errGuardDown
	case g.deaf || obey && !g.seen:
		return errors.New("the slots are not seen")
	}
	var rep ha.NodeReport
	kv, _, err := g.w.mem.Get(ctx, ha.KeyReport(g.m.name))
	if !obey && (err != nil || kv == nil || json.Unmarshal(kv.Value, &rep) != nil || len(rep.Watches) > 0) {
		g.w.wrong = append(g.w.wrong, "R3: the guard of "+string(g.m.name)+" is released while the store says that messages end the node")
	}
	g.released = !obey
	return nil
}

// Status is the agent's port.
func (g *fakeGuard) Status(context.Context) (ha.GuardStatus, error) {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if g.down {
		return ha.GuardStatus{}, errGuardDown
	}
	tm, _ := ha.Profile("normal")
	clean := g.phase == "idle" || g.phase == "clean" || g.phase == "disarmed" || len(g.guests) == 0
	return ha.GuardStatus{Connected: true, Phase: g.phase, Driver: g.driver, Armed: g.armed, Deadline: g.deadline, Clean: clean, Guests: slices.Clone(g.guests), Timing: tm,
		Slots: slices.Clone(g.slots), SlotsSeen: g.seen, SlotsHeld: len(g.slots) > 0 && !g.released, SlotsProblem: "not seen"}, nil
}

// guarding changes a machine's guard.
func (w *world) guarding(n ha.NodeName, f func(g *fakeGuard)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.nodes[n].guard)
}

// mayStart watches R2 and R5 when a start begins: the guard knows of the guest under a permit, and the store assigns it here. The
// caller holds the lock.
func (w *world) mayStart(m *machine, id ha.VMID) {
	if !slices.ContainsFunc(m.guard.guests, func(r ha.GuestRef) bool { return r.ID == id }) || w.boottime() >= m.guard.deadline {
		w.wrong = append(w.wrong, fmt.Sprintf("R2: %s starts guest %d, but its guard does not know of it under a permit", m.name, id))
	}
	var rec ha.GuestRecord
	kv, _, err := w.mem.Get(w.ctx, ha.KeyGuest(id))
	if err != nil || kv == nil || json.Unmarshal(kv.Value, &rec) != nil || rec.Node != m.name || rec.Incarnation != m.incarnation() {
		w.wrong = append(w.wrong, fmt.Sprintf("R5: %s starts guest %d, which is assigned to %q", m.name, id, rec.Node))
	}
}

// bmc is a machine's fencing device.
type bmc struct {
	uuid    string
	problem string // every request fails with it
	lies    bool   // accepts "off" and does nothing
}

// fakeExecutor sends device commands from one machine.
type fakeExecutor struct {
	w *world
	n ha.NodeName
}

// Do is the agent's port. The world watches R4 here: an "off" has its intent in the store under the sender's term, and enough of the
// sender's leadership lies ahead.
func (x fakeExecutor) Do(ctx context.Context, c ha.DeviceCommand) ha.DeviceReading {
	w := x.w
	r := ha.DeviceReading{Device: c.Device, Node: c.Node, Incarnation: c.Incarnation, Action: c.Action, Asked: w.boottime(), Power: ha.PowerUnknown}
	if c.Action != ha.DeviceRead {
		w.mayCommand(x.n, c)
	}
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
		r.Problem = ctx.Err().Error()
	}
	r.Answered = w.boottime()
	w.mu.Lock()
	m := w.nodes[c.Node]
	dev, on := m.bmc, m.on
	w.mu.Unlock()
	switch {
	case r.Problem != "":
	case dev.problem != "":
		r.Problem = dev.problem
	case c.Action == ha.DeviceRead:
		r.Power, r.SystemUUID = ha.PowerOff, dev.uuid
		if on {
			r.Power = ha.PowerOn
		}
	case c.Action == ha.DeviceOff && !dev.lies:
		w.cutPower(c.Node)
	}
	return r
}

func (w *world) mayCommand(from ha.NodeName, c ha.DeviceCommand) {
	var f ha.FenceRecord
	kv, _, err := w.mem.Get(w.ctx, ha.KeyFence(c.Node))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(from, fmt.Sprintf("sends %s to %s", c.Action, c.Device), nil)
	if err != nil || kv == nil || json.Unmarshal(kv.Value, &f) != nil || f.Incarnation != c.Incarnation || f.Term != c.Term || !slices.Contains(f.Commanded, c.Device) {
		w.wrong = append(w.wrong, fmt.Sprintf("R4: %s sends %s to %s without a stored intent", from, c.Action, c.Device))
	}
	if w.boottime().Add(c.Timeout) >= c.Deadline {
		w.wrong = append(w.wrong, fmt.Sprintf("R4: %s sends %s to %s with %v of its leadership left", from, c.Action, c.Device, c.Deadline.Sub(w.boottime())))
	}
}

// fakeNotifier keeps what people were told.
type fakeNotifier struct{ w *world }

// Notify is the agent's port.
func (f fakeNotifier) Notify(e ha.Event) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	f.w.told = append(f.w.told, e)
}
