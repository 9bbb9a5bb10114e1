package leader

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
	"bascule/ha/placement"
)

// world is a store, gossip, devices and a clock around one leader: enough to follow a failure round by round.
type world struct {
	t       testing.TB
	now     ha.Instant
	rev     int64
	kv      map[string]ha.KV
	leader  Leader
	state   State
	term    ha.Term
	gossip  map[ha.NodeName]ha.GossipView
	coro    ha.CorosyncView
	pending []ha.DeviceReading
	device  map[string]*bmc
	other   map[string]interface {
		answer(now ha.Instant, c ha.DeviceCommand) ha.DeviceReading
	}
	sent    []ha.DeviceCommand
	revoked []ha.LeaseID
	trans   []ha.Transition

	etcd   EtcdView // At: of the round, unless blind
	blind  bool     // no majority answers any more
	orders []ha.VoterOrder

	noRevoke bool // revoking takes longer than the test
	torn     int  // keys that cannot be decoded
	tm       ha.Timing
}

// bmc is a device with behaviour: what it reads, what it does with "off".
type bmc struct {
	power   ha.Power
	uuid    string
	problem string
	lies    bool // accepts "off" and does nothing
}

const self ha.NodeName = "n1"

func uuidOf(n ha.NodeName) string {
	return fmt.Sprintf("00000000-0000-4000-8000-%012s", n[1:]+n[1:])
}

func boot(n ha.NodeName) ha.Incarnation { return ha.Incarnation("boot-" + string(n)) }

func newWorld(t testing.TB, nodes int) *world {
	tm, _ := ha.Profile("normal")
	w := &world{t: t, tm: tm, now: 10e9, state: State{Began: 1}, rev: 10, kv: map[string]ha.KV{}, gossip: map[ha.NodeName]ha.GossipView{}, term: 5, device: map[string]*bmc{}}
	w.leader = Leader{Placer: placement.Placer{}, Options: Options{Plans: map[ha.NodeName]ladder.Plan{}, MaxRelocate: 1, ParallelMoves: 1}}
	for i := range nodes {
		n := ha.NodeName(fmt.Sprintf("n%d", i+1))
		w.leader.Members = append(w.leader.Members, ha.Member{Name: n})
		dev := string(n) + "-bmc"
		w.leader.Plans[n] = ladder.Plan{Levels: [][]ladder.Device{{{Name: dev, Kind: ha.PowerDevice}}, {{Name: "manual"}}}}
		w.device[dev] = &bmc{power: ha.PowerOn, uuid: uuidOf(n)}
		w.coro.Online = append(w.coro.Online, n)
		w.boot(n, boot(n))
	}
	w.coro.Known, w.coro.Quorate = true, true
	cluster := ha.ClusterRecord{Schema: ha.Schema, Epoch: 1, ListRev: 1}
	for _, m := range w.leader.Members {
		cluster.Members = append(cluster.Members, m.Name)
	}
	w.put(ha.KeyCluster, cluster)
	w.run(3)
	return w
}

func (w *world) boot(n ha.NodeName, inc ha.Incarnation) {
	tm, _ := ha.Profile("normal")
	id := ha.LeaseID(100 + w.rev)
	w.put(ha.KeyLease(n), ha.LeaseRecord{Node: n, Incarnation: inc, Lease: id})
	w.put(ha.KeyReport(n), ha.NodeReport{Schema: 1, Node: n, Incarnation: inc, Lease: id, SystemUUID: uuidOf(n), Epoch: 1, Timing: tm, Memory: 16 << 30, Quorate: true,
		Storages: []ha.StorageReport{{Name: "ceph", Shared: true, Active: true}}})
	w.gossip[n] = ha.GossipView{Known: true, Alive: true}
}

func (w *world) put(key string, v any) {
	w.rev++
	old := w.kv[key]
	kv := ha.KV{Key: key, Value: ha.Encode(v), ModRev: w.rev, CreateRev: old.CreateRev}
	if kv.CreateRev == 0 {
		kv.CreateRev = w.rev
	}
	w.kv[key] = kv
}

func (w *world) del(key string) { w.rev++; delete(w.kv, key) }

// report changes a node's report in place.
func (w *world) report(n ha.NodeName, change func(*ha.NodeReport)) {
	var r ha.NodeReport
	if err := json.Unmarshal(w.kv[ha.KeyReport(n)].Value, &r); err != nil {
		w.t.Fatal(err)
	}
	change(&r)
	w.put(ha.KeyReport(n), r)
}

// guest puts a running protected guest on a node.
func (w *world) guest(id ha.VMID, kind ha.GuestKind, n ha.NodeName) {
	w.report(n, func(r *ha.NodeReport) {
		r.Guests = append(r.Guests, ha.GuestSeen{ID: id, Kind: kind, Protected: true, Running: true, Memory: 1 << 30, Storages: []string{"ceph"}})
	})
	w.run(2)
	w.says(n, id, ha.PhaseRunning, "")
	w.run(1)
}

// says is an agent's report about the present generation.
func (w *world) says(n ha.NodeName, id ha.VMID, p ha.Phase, msg string) {
	w.put(ha.KeyGuestReport(n, id), ha.GuestReport{Guest: id, Node: n, Incarnation: w.inc(n), Generation: w.g(id).Generation, Phase: p, Message: msg})
}

func (w *world) inc(n ha.NodeName) ha.Incarnation {
	s := w.snapshot()
	return s.Reports[n].Rec.Incarnation
}

// die is a power cut: gossip and lease go, the device reads off.
func (w *world) die(n ha.NodeName) {
	w.gossip[n] = ha.GossipView{Known: true}
	w.del(ha.KeyLease(n))
	w.coro.Online = slices.DeleteFunc(slices.Clone(w.coro.Online), func(x ha.NodeName) bool { return x == n })
	w.device[string(n)+"-bmc"].power = ha.PowerOff
}

// cut only cuts the node off: its device still reads on.
func (w *world) cut(n ha.NodeName) {
	w.die(n)
	w.device[string(n)+"-bmc"].power = ha.PowerOn
}

func (w *world) snapshot() ha.Snapshot {
	var kvs []ha.KV
	for _, k := range sorted(w.kv) {
		kvs = append(kvs, w.kv[k])
	}
	s, errs := ha.DecodeSnapshot(w.rev, kvs)
	if len(errs) > w.torn {
		w.t.Fatal(errs)
	}
	s.Term = w.term
	return s
}

func (w *world) node(n ha.NodeName) ha.NodeRecord { return w.snapshot().Nodes[n].Rec }
func (w *world) g(id ha.VMID) ha.GuestRecord      { return w.snapshot().Guests[id].Rec }

// run decides n times, 100 ms apart, applying every commit whose guards hold and answering every device command.
func (w *world) run(n int) {
	for range n {
		w.now = w.now.Add(100 * time.Millisecond)
		o := Observation{Wall: time.Unix(1700000000, int64(w.now)), Self: self, Term: w.term, Deadline: w.now.Add(4 * time.Second), Timing: w.tm,
			Store: w.snapshot(), Gossip: w.gossip, Corosync: w.coro, Readings: w.pending, Etcd: w.etcd}
		if !w.blind && len(w.etcd.Voters) > 0 {
			w.etcd.At = w.now
			o.Etcd.At = w.now
		}
		w.pending = nil
		before := string(ha.Encode(w.state))
		d := w.leader.Decide(w.now, w.state, o)
		again := w.leader.Decide(w.now, w.state, o)
		if string(ha.Encode(d)) != string(ha.Encode(again)) || before != string(ha.Encode(w.state)) {
			w.t.Fatal("the same observation gave two decisions, or the old state was changed")
		}
		w.state = d.State
		for _, r := range d.Reads {
			w.answer(r)
		}
		if d.Replace != nil {
			w.orders = append(w.orders, *d.Replace)
		}
		for _, c := range d.Commits {
			w.apply(c)
		}
	}
}

func (w *world) apply(c Commit) {
	if g, n := len(c.Txn.Guards)+1, len(c.Txn.Puts)+len(c.Txn.Dels); g > ha.MaxTxnOps || n > ha.MaxTxnOps {
		w.t.Errorf("%s: a transaction of %d guards and %d writes, the store takes %d of each", c.Subject, g, n, ha.MaxTxnOps)
	}
	if c.Txn.Term != w.term {
		w.t.Fatalf("commit about %s without the term", c.Subject)
	}
	for _, g := range c.Txn.Guards {
		if w.kv[g.Key].ModRev != g.Rev {
			return
		}
	}
	for _, p := range c.Txn.Puts {
		w.rev++
		w.kv[p.Key] = ha.KV{Key: p.Key, Value: p.Value, ModRev: w.rev, CreateRev: 1}
	}
	for _, k := range c.Txn.Dels {
		w.del(k)
	}
	w.trans = append(w.trans, c.Transitions...)
	for _, cmd := range c.Commands {
		w.sent = append(w.sent, cmd)
		w.answer(cmd)
	}
	for _, id := range c.Revoke {
		w.revoked = append(w.revoked, id)
		if w.noRevoke {
			continue
		}
		for k, kv := range w.kv {
			var l ha.LeaseRecord
			if json.Unmarshal(kv.Value, &l) == nil && l.Lease == id && k == ha.KeyLease(l.Node) {
				w.del(k)
			}
		}
	}
}

func (w *world) answer(c ha.DeviceCommand) {
	if x := w.other[c.Device]; x != nil {
		w.pending = append(w.pending, x.answer(w.now, c))
		return
	}
	b := w.device[c.Device]
	r := ha.DeviceReading{Device: c.Device, Node: c.Node, Incarnation: c.Incarnation, Action: c.Action, Asked: w.now, Answered: w.now, Power: ha.PowerUnknown, Problem: b.problem}
	if b.problem == "" && c.Action == ha.DeviceRead {
		r.Power, r.SystemUUID = b.power, b.uuid
	}
	if b.problem == "" && c.Action == ha.DeviceOn && !b.lies {
		b.power = ha.PowerOn
	}
	if b.problem == "" && c.Action == ha.DeviceOff && !b.lies {
		b.power = ha.PowerOff
	}
	w.pending = append(w.pending, r)
}

// request stores an operator's wish.
func (w *world) request(k ha.RequestKind, n ha.NodeName) {
	w.put(ha.KeyRequest("r1"), ha.Request{ID: "r1", Kind: k, Node: n, Incarnation: w.node(n).Incarnation, By: "ada", At: time.Unix(1700000000, 0)})
}

func (w *world) wantNode(n ha.NodeName, s ha.NodeState) {
	w.t.Helper()
	if got := w.node(n); got.State != s {
		w.t.Fatalf("%s is %s (%s), want %s", n, got.State, got.Reason, s)
	}
}

func (w *world) wantGuest(id ha.VMID, s ha.GuestState, n ha.NodeName) {
	w.t.Helper()
	if got := w.g(id); got.State != s || n != "" && got.Node != n {
		w.t.Fatalf("guest %d is %s on %s (%s), want %s on %s", id, got.State, got.Node, got.Reason, s, n)
	}
}
