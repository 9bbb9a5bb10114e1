package sim

import (
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
	"bascule/ha/node"
	"bascule/ha/placement"
)

// Daemon is one run of basculed: the shell of ha/agent in the world's single thread. It decides nothing; what it asks and what it does
// with the answers is what ha/agent does, call by call.
type Daemon struct {
	w      *World
	h      *Host
	p      *Proc
	self   ha.NodeName
	cfg    node.Config
	leader leader.Leader
	store  *Client
	pve    *PVE // nil on a witness
	files  *files

	state    node.State
	tick     *Event
	tickAt   time.Duration
	guard    ha.GuardStatus
	obeys    bool // the guard was told that messages in its slots end this node, and nothing else since
	inv      ha.Inventory
	sights   map[string]node.Sight
	looked   bool
	looking  bool
	lookSoon bool
	strays   map[ha.VMID]int
	coro     ha.CorosyncView
	coroAt   time.Duration // when it last changed
	leaving  bool
	started  time.Duration
	seen     *ha.Snapshot // the view before

	rep  reporter
	lead leading
	sync permitSync

	etcd      leader.EtcdView
	etcdDown  bool
	replacing bool
}

// files are what daemons of one host keep between their runs.
type files struct {
	run   runFile // /run: gone at boot
	runOf ha.Incarnation
	kept  node.Kept // data directory: epoch, revision, member list
}

type runFile struct {
	lease ha.LeaseID
}

// guardPermitted is the guard's phase in which a permit is unbroken.
const guardPermitted = "permitted"

// startDaemon starts basculed on a booted host.
func (w *World) startDaemon(h *Host) {
	self := ha.NodeName(h.Name)
	s := w.spec
	d := &Daemon{w: w, h: h, self: self, p: h.NewProc("basculed"), files: w.files[h.index], strays: map[ha.VMID]int{}, started: w.loop.Now()}
	d.cfg = node.Config{Self: self, Incarnation: h.Inc(), Timing: s.Timing, MaxRestart: s.MaxRestart, ParallelStarts: s.ParallelStarts,
		Witness: h.spec.Witness, Plans: s.Plans}
	if s.Keep {
		d.cfg.Isolation = ha.IsolationKeep
	}
	limits := leader.FenceLimits{MaxConcurrent: s.MaxConcurrent, MinHealthy: s.MinHealthy, PriorityDelay: s.PriorityDelay}
	for _, v := range s.voters() {
		limits.Voters = append(limits.Voters, ha.NodeName(v))
	}
	d.leader = leader.Leader{Placer: placement.Placer{}, Options: leader.Options{Members: s.members(), Plans: s.Plans,
		Spares: s.spares(), MaxRelocate: s.MaxRelocate, ParallelMoves: s.ParallelMoves, StayOnLoss: s.Stay, HostReserve: hostReserve, FenceLimits: limits}}
	if d.files.runOf != h.Inc() {
		d.files.run, d.files.runOf = runFile{}, h.Inc()
	}
	w.daemons[h.index] = d
	w.store.SetProc(h.Name, d.p)
	d.store = w.store.Client(h.Name, d.p)
	if !d.cfg.Witness {
		d.pve = h.PVE(d.p)
	}
	d.adopt(func(kept node.Kept) { d.begin(kept) })
}

// adopt finds out what the daemon before this one left.
func (d *Daemon) adopt(then func(node.Kept)) {
	k := d.files.kept
	lease := d.files.run.lease
	if d.cfg.Witness || lease == 0 {
		d.p.Post(func() { then(k) })
		return
	}
	d.h.Guard().Status(d.p, func(st ha.GuardStatus, err error) {
		if err == nil && st.Phase == guardPermitted && d.now() < st.Deadline {
			d.guard = st
			k.Lease, k.Deadline = lease, st.Deadline
		}
		then(k)
	})
}

// begin starts the loops.
func (d *Daemon) begin(kept node.Kept) {
	d.state = node.Start(d.now(), d.cfg, kept)
	d.rep.init(d)
	d.w.gossip.Join(d.h.Name, d.p, d.gossipChanged)
	d.store.Watch(d.viewChanged)
	d.event(node.GossipSeen{View: d.w.gossip.View(d.h.Name)})
	d.votersLoop()
	if d.cfg.Witness {
		d.event(node.GuardSeen{Connected: true, Clean: true})
		return
	}
	d.guardLoop()
	d.corosyncLoop()
	d.lookLoop()
	d.healthLoop()
	d.storageLoops()
}

func (d *Daemon) now() ha.Instant { return d.p.clock.Now() }

// event gives the machine one event and carries out what it wants.
func (d *Daemon) event(e node.Event) {
	old := d.state
	s, effects, next := d.cfg.Step(d.now(), d.state, e)
	d.state = s
	d.w.steps++
	d.publish(old)
	for _, f := range effects {
		d.carryOut(f)
	}
	d.wakeAt(next)
}

// wakeAt sets the machine's timer; once a second it is woken in any case.
func (d *Daemon) wakeAt(next ha.Instant) {
	wait := time.Second
	if next != 0 {
		wait = min(wait, max(time.Millisecond, next.Sub(d.now())))
	}
	at := d.w.loop.Now() + d.p.clock.World(wait)
	if d.tick != nil && d.tick.run != nil && d.tickAt == at {
		return
	}
	d.tick.Cancel()
	d.tickAt = at
	d.tick = d.p.After(wait, func() { d.tick = nil; d.event(node.Tick{}) })
}

// publish passes on what changed in the machine's state.
func (d *Daemon) publish(old node.State) {
	l, was := d.state.Lease, old.Lease
	if was.ID != l.ID {
		d.files.run.lease = l.ID
		if l.ID == 0 && !l.Unbroken {
			d.rep.forget()
		}
	}
	if was.Term != l.Term {
		d.w.loop.Logf(d.h.Name, "term %d -> %d", was.Term, l.Term)
		d.wakeLeader()
	}
	if was.ID != l.ID || was.Term != l.Term || (was.Deadline == 0) != (l.Deadline == 0) {
		d.rep.wake()
	}
	e, we := d.state.Epoch, old.Epoch
	if e.Known != we.Known || e.Taken != we.Taken || e.WentBack != we.WentBack || d.state.ListRev != old.ListRev || e.Rev/1000 != we.Rev/1000 || d.state.Longest != old.Longest {
		if !e.WentBack {
			d.files.kept = node.Kept{Epoch: e.Known, Rev: e.Rev - e.Rev%1000, Members: d.state.Members, ListRev: d.state.ListRev,
				Longest: max(d.cfg.Timing.LeaseTTL, d.state.Longest)}
		}
		d.rep.wake()
		d.wakeLeader()
	}
	if p := d.state.Peers; p.Refused != "" && p.Refused != old.Peers.Refused {
		d.w.loop.Logf(d.h.Name, "no peer permit: %s", p.Refused)
	}
}

// carryOut starts an effect; what takes time answers with an event.
func (d *Daemon) carryOut(f node.Effect) {
	switch f := f.(type) {
	case node.Grant:
		d.grant()
	case node.Register:
		d.register(f.ID)
	case node.Renew:
		d.renew(f.ID)
	case node.Campaign:
		d.campaign(f.ID)
	case node.Resign:
		d.resign(f.Term)
	case node.Permit:
		d.syncGuard(nil, nil)
	case node.EndPermit:
		d.endPermit()
	case node.AskPeers:
		d.askPeers(f)
	case node.AnswerPeer:
		d.answerPeer(f)
	case node.ReadPower:
		d.w.machine.Do(d.p, d.h.Name, f.Command, func(r ha.DeviceReading) { d.event(node.PowerRead{Reading: r}) })
	case node.RevokeLease:
		d.w.judge.deputyRevokes(d, f)
		d.store.Revoke(f.ID, d.cfg.Timing.RenewTimeout, func(error) {})
	case node.Report:
		d.rep.guest(f.Report)
	case node.Look:
		d.lookNow()
	case node.Do:
		d.do(f)
	}
}

func (d *Daemon) gossipChanged() {
	d.event(node.GossipSeen{View: d.w.gossip.View(d.h.Name)})
	d.wakeLeader()
}

// viewChanged hands on the store's newest copy.
func (d *Daemon) viewChanged() {
	s, ok := d.store.Snapshot()
	if !ok {
		return
	}
	back := d.w.restores && d.seen != nil && ha.WentBack(d.seen, s)
	d.seen = s
	v := node.View{Rev: s.Revision, Back: back, Newer: s.NewerSchema != "" || d.w.old[d.h.Name], Cluster: s.Cluster.Rec, Leader: s.Leader, Nodes: map[ha.NodeName]ha.NodeRecord{},
		Records: map[ha.VMID]ha.GuestRecord{}, Onboot: map[ha.VMID]bool{}, Reports: map[ha.VMID]ha.GuestReport{}}
	for n, rec := range s.Nodes {
		v.Nodes[n] = rec.Rec
	}
	for id, g := range s.Guests {
		v.Records[id] = g.Rec
	}
	for id, o := range s.Onboot {
		v.Onboot[id] = o.Rec.Old
	}
	for id, r := range s.GuestReports[d.self] {
		v.Reports[id] = r.Rec
	}
	d.event(v)
	mine := s.Leader != nil && s.Leader.Node == d.self && s.Leader.Incarnation == d.cfg.Incarnation
	d.event(node.LeaderSeen{Term: s.Term, Mine: mine, Rev: s.Revision, Own: s.Leases[d.self].Rec.Lease})
	d.syncSoon()
	d.wakeLeader()
}

// snapshot is the watched copy; empty before the first one.
func (d *Daemon) snapshot() *ha.Snapshot {
	if s, ok := d.store.Snapshot(); ok {
		return s
	}
	return &ha.Snapshot{}
}

// askPeers and answerPeer send what members say to each other while the store is away.
func (d *Daemon) askPeers(f node.AskPeers) {
	q := node.PeerAsked{From: d.self, Incarnation: d.cfg.Incarnation, Round: f.Round, List: f.List, TTL: d.cfg.Timing.LeaseTTL}
	for _, to := range f.To {
		d.w.toPeer(d, to, func(o *Daemon) { o.event(q) })
	}
}

func (d *Daemon) answerPeer(f node.AnswerPeer) {
	a := node.PeerAnswered{From: d.self, Incarnation: f.Incarnation, Round: f.Round, Promise: f.Promise, Why: f.Why}
	if f.Promise {
		d.w.judge.promised(d, f.To)
	}
	d.w.toPeer(d, f.To, func(o *Daemon) { o.event(a) })
}

// toPeer delivers a message to whatever daemon runs there when it arrives. Gossip must know it as alive: else there is nobody to talk to.
func (w *World) toPeer(d *Daemon, to ha.NodeName, f func(*Daemon)) {
	if !w.gossip.View(d.h.Name)[to].Alive {
		return
	}
	i := slices.IndexFunc(w.machine.hosts, func(h *Host) bool { return h.Name == string(to) })
	if i < 0 {
		return
	}
	w.net.Stream(NetCluster, d.h.Name, string(to), func() {
		if o := w.daemons[i]; o != nil && o.p.Alive() && o.rep.d != nil {
			o.p.Post(func() { f(o) })
		}
	})
}
