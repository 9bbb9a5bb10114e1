package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"bascule/ha"
	"bascule/ha/etcd/memstore"
	"bascule/ha/ladder"
	"bascule/ha/leader"
	"bascule/ha/node"
	"bascule/ha/placement"
)

// world is a cluster of up to three machines in a bubble of virtual time: one store, one Proxmox cluster, and the real agents. It
// watches the safety rules on its own and fails a test that breaks one, whatever the test looks at.
type world struct {
	lvm   bool // there is a shared volume group "sanvg", too
	t     *testing.T
	ctx   context.Context
	end   context.CancelFunc
	began time.Time
	mem   *memstore.Memory // the test's own handle
	opts  leader.Options
	names []ha.NodeName

	mu      sync.Mutex
	nodes   map[ha.NodeName]*machine
	guests  map[ha.VMID]*guest
	faults  map[string]*fault // of Proxmox tasks, by "start n1 101"
	journal []entry
	told    []ha.Event // what people were told
	wrong   []string   // broken safety rules
	logs    []string
}

// machine is one physical node; its guard lives outside basculed.
type machine struct {
	name     ha.NodeName
	dir      string
	boots    int
	on       bool
	cut      bool // from the store, gossip and corosync
	heard    bool // by the others' gossip
	leaving  bool // said so in gossip
	storage  bool // "ceph" is active here
	power    context.Context
	powerOff context.CancelFunc
	workers  map[ha.VMID]context.CancelFunc // running PVE tasks
	bmc      bmc
	guard    *fakeGuard
	proc     *process
	version  string
}

func (m *machine) onbootFile() string { return filepath.Join(m.dir, "onboot.json") }

// process is one run of basculed.
type process struct {
	agent *Agent
	store *storePort
	stop  context.CancelFunc
	ended chan struct{}
}

// entry is one thing that happened, in order.
type entry struct {
	at    time.Duration
	who   ha.NodeName
	what  string
	value []byte
}

// inWorld runs a test in a world whose machines are up and whose agents have settled: n1 leads.
func inWorld(t *testing.T, nodes int, f func(w *world)) {
	t.Helper()
	inColdWorld(t, nodes, func(w *world) {
		w.startAll()
		w.settle()
		f(w)
	})
}

// inColdWorld runs a test in a world where no agent runs yet.
func inColdWorld(t *testing.T, nodes int, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nodes)
		defer w.close()
		f(w)
	})
}

func newWorld(t *testing.T, nodes int) *world {
	w := &world{t: t, began: time.Now(), nodes: map[ha.NodeName]*machine{}, guests: map[ha.VMID]*guest{}, faults: map[string]*fault{}}
	w.ctx, w.end = context.WithCancel(context.Background())
	w.mem = memstore.NewMemory(time.Now)
	w.opts = leader.Options{Plans: map[ha.NodeName]ladder.Plan{}, MaxRelocate: 1, ParallelMoves: 1}
	for i := range nodes {
		n := ha.NodeName(fmt.Sprintf("n%d", i+1))
		w.names = append(w.names, n)
		m := &machine{name: n, dir: t.TempDir(), storage: true, version: "test", bmc: bmc{uuid: uuidOf(n)}}
		w.nodes[n] = m
		w.opts.Members = append(w.opts.Members, ha.Member{Name: n})
		w.opts.Plans[n] = ladder.Plan{Levels: [][]ladder.Device{{{Name: string(n) + "-bmc", Kind: ha.PowerDevice}}, {{Name: "manual"}}}}
		w.bootLocked(m)
	}
	go w.expire()
	return w
}

// expire lets leases end when their time is over, whoever asks or not.
func (w *world) expire() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-tick.C:
			w.mem.Tick()
		}
	}
}

func (w *world) close() {
	for _, n := range w.names {
		w.kill(n)
	}
	w.end()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.wrong {
		w.t.Errorf("safety: %s", x)
	}
	if w.t.Failed() {
		for _, e := range w.journal {
			w.t.Logf("%8.3f %s %s %s", e.at.Seconds(), e.who, e.what, e.value)
		}
		w.t.Log(strings.Join(w.logs, ""))
	}
}

func uuidOf(n ha.NodeName) string {
	return fmt.Sprintf("00000000-0000-4000-8000-0000000000%s", string(n[1:])+string(n[1:]))
}

// boottime is every machine's clock: it follows the bubble's.
func (w *world) boottime() ha.Instant { return ha.Instant(time.Hour + time.Since(w.began)) }

func (w *world) inc(n ha.NodeName) ha.Incarnation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[n].incarnation()
}

func (m *machine) incarnation() ha.Incarnation {
	return ha.Incarnation(fmt.Sprintf("boot-%s-%d", m.name, m.boots))
}

// note adds to the journal. The caller holds the lock.
func (w *world) note(who ha.NodeName, what string, value []byte) {
	w.journal = append(w.journal, entry{at: time.Since(w.began), who: who, what: what, value: value})
}

// bootLocked powers a machine up: a new incarnation, an empty /run, and Proxmox starts what has onboot set.
func (w *world) bootLocked(m *machine) {
	m.boots++
	m.on, m.cut = true, false
	m.power, m.powerOff = context.WithCancel(w.ctx)
	m.workers = map[ha.VMID]context.CancelFunc{}
	driver := ""
	if m.guard != nil {
		driver = m.guard.driver
	}
	m.guard = &fakeGuard{w: w, m: m, phase: "idle", driver: driver}
	_ = os.Remove(filepath.Join(m.dir, "lease.json"))
	for _, g := range w.guests {
		if g.at == m.name && g.onboot {
			w.runs(g, m.name, "at boot")
		}
	}
}

// boot powers a machine up; its agent is started apart.
func (w *world) boot(n ha.NodeName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bootLocked(w.nodes[n])
	w.note(n, "booted", nil)
}

// cutPower ends everything on a machine at once.
func (w *world) cutPower(n ha.NodeName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.nodes[n]
	if !m.on {
		return
	}
	w.note(n, "lost power", nil)
	m.on = false
	m.powerOff()
	if m.proc != nil {
		m.proc.stop()
		m.proc = nil
	}
	for _, g := range w.guests {
		delete(g.on, n)
		delete(g.incoming, n)
	}
	w.silence(m)
}

// silence makes the others' gossip lose a machine after a second. The caller holds the lock.
func (w *world) silence(m *machine) {
	gone := m.proc
	time.AfterFunc(time.Second, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if m.proc == gone && (m.proc == nil || m.cut) {
			m.heard = false
			w.wakeAll()
		}
	})
}

func (w *world) wakeAll() {
	for _, n := range w.names {
		if p := w.nodes[n].proc; p != nil {
			p.agent.WakeLeader()
		}
	}
}

// isolate cuts a machine off from everybody, or connects it again. It runs on.
func (w *world) isolate(n ha.NodeName, cut bool) {
	w.mu.Lock()
	m := w.nodes[n]
	m.cut = cut
	if cut {
		w.silence(m)
	} else {
		m.heard = m.proc != nil
	}
	p := m.proc
	w.mu.Unlock()
	if p != nil {
		p.store.SetUnavailable(cut)
	}
}

// start runs basculed on a machine.
func (w *world) start(n ha.NodeName, change ...func(*Config)) *Agent {
	tm, err := ha.Profile("normal")
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.nodes[n]
	log := logrus.New()
	log.SetOutput(logSink{w, n})
	log.SetLevel(logrus.DebugLevel)
	s := &storePort{Memory: w.mem.Another(), w: w, n: n}
	c := Config{Node: node.Config{Self: n, Incarnation: m.incarnation(), Timing: tm, MaxRestart: 1, ParallelStarts: 2},
		Leader: leader.Leader{Options: w.opts, Placer: placement.Placer{}}, Version: m.version, SystemUUID: uuidOf(n),
		TrustDriver: func(d string) bool { return d != "" && d != "softdog" },
		LeaseFile:   filepath.Join(m.dir, "lease.json"), OnbootFile: m.onbootFile(), GuestsFile: filepath.Join(m.dir, "guests.json"), Now: w.boottime,
		Store: s, Gossip: fakeGossip{w, m}, Proxmox: fakeProxmox{w, m}, Guard: m.guard, Processes: fakeProcesses{w, m},
		Executor: fakeExecutor{w, n}, Notifier: fakeNotifier{w}, Log: log, Alive: func() {}}
	for _, f := range change {
		f(&c)
	}
	p := &process{agent: New(c), store: s, ended: make(chan struct{})}
	ctx, stop := context.WithCancel(m.power)
	p.stop = stop
	m.proc, m.heard, m.leaving = p, true, false
	s.StartView(ctx, p.agent.ViewChanged)
	go func() {
		defer close(p.ended)
		if err := p.agent.Run(ctx); err != nil {
			w.t.Errorf("the agent of %s ended: %v", n, err)
		}
	}()
	return p.agent
}

type logSink struct {
	w *world
	n ha.NodeName
}

func (l logSink) Write(b []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.logs = append(l.w.logs, string(l.n)+" "+string(b))
	return len(b), nil
}

// startAll starts the agents shortly after one another, so that n1 is the first to lead.
func (w *world) startAll() {
	for _, n := range w.names {
		w.start(n)
		time.Sleep(50 * time.Millisecond)
	}
}

// kill ends basculed without a word; guard, guests and PVE's workers go on.
func (w *world) kill(n ha.NodeName) {
	w.mu.Lock()
	m := w.nodes[n]
	p := m.proc
	m.proc = nil
	w.silence(m)
	w.mu.Unlock()
	if p != nil {
		p.stop()
		<-p.ended
	}
}

func (w *world) agent(n ha.NodeName) *Agent {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[n].proc.agent
}

func (w *world) store(n ha.NodeName) *storePort {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[n].proc.store
}

// settle waits until all agents are registered and judged, and every guest is where it should be.
func (w *world) settle() {
	w.t.Helper()
	w.until(20*time.Second, "the cluster settles", func(s ha.Snapshot) bool {
		for _, n := range w.names {
			if s.Nodes[n].Rec.State != ha.NodeOnline || len(s.Nodes[n].Rec.Devices) == 0 && len(w.opts.Plans[n].Levels) > 0 {
				return false
			}
		}
		return s.Leader != nil
	})
	w.pass(5 * time.Second)
}

// pass lets virtual time go by.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// until lets time go by in small steps until the store (or the test's own view of the world) is as wanted.
func (w *world) until(limit time.Duration, what string, ok func(ha.Snapshot) bool) time.Duration {
	w.t.Helper()
	begin := time.Now()
	for !ok(w.snapshot()) {
		if time.Since(begin) > limit {
			w.t.Fatalf("not within %v: %s\n%s", limit, what, w.picture())
		}
		w.pass(10 * time.Millisecond)
	}
	return time.Since(begin)
}

// picture is the store for a person who reads a failure.
func (w *world) picture() string {
	s := w.snapshot()
	var b strings.Builder
	for _, n := range w.names {
		r := s.Nodes[n].Rec
		fmt.Fprintf(&b, "%s: %s (%s)\n", n, r.State, r.Reason)
	}
	for id, g := range s.Guests {
		fmt.Fprintf(&b, "%d: %s on %s, requested %s (%s); runs on %v\n", id, g.Rec.State, g.Rec.Node, g.Rec.Requested, g.Rec.Reason, w.where(id))
	}
	return b.String()
}

func (w *world) snapshot() ha.Snapshot {
	w.t.Helper()
	rev, kvs, err := w.mem.Read(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	s, errs := ha.DecodeSnapshot(rev, kvs)
	if len(errs) > 0 {
		w.t.Fatal(errs)
	}
	return s
}

// events are the stored transitions, oldest first.
func (w *world) events() []ha.Event {
	w.t.Helper()
	_, kvs, err := w.mem.Read(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	var out []ha.Event
	for _, kv := range kvs {
		if strings.HasPrefix(kv.Key, ha.PrefixEvent) {
			var e ha.Event
			if err := json.Unmarshal(kv.Value, &e); err != nil {
				w.t.Fatal(err)
			}
			out = append(out, e)
		}
	}
	return out
}

// mark remembers the present; since returns what happened after it.
func (w *world) mark() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.journal)
}

// since returns the journal's entries after a mark whose words contain part.
func (w *world) since(mark int, part string) []entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.journal[mark:]), func(e entry) bool { return !strings.Contains(string(e.who)+" "+e.what, part) })
}

// order fails unless the journal has, after mark, one entry for each part, in this order.
func (w *world) order(mark int, parts ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	at := mark
	for _, p := range parts {
		i := slices.IndexFunc(w.journal[at:], func(e entry) bool { return strings.Contains(string(e.who)+" "+e.what, p) })
		if i < 0 {
			w.t.Errorf("%q did not happen, or not after what should come before it (wanted order: %q)", p, parts)
			return
		}
		at += i + 1
	}
}

// where lists the machines that run a guest.
func (w *world) where(id ha.VMID) []ha.NodeName {
	w.mu.Lock()
	defer w.mu.Unlock()
	return sortedKeys(w.guests[id].on)
}

// runsAlone says whether a guest runs on exactly this machine.
func (w *world) runsAlone(id ha.VMID, n ha.NodeName) bool {
	return slices.Equal(w.where(id), []ha.NodeName{n})
}
