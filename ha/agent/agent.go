package agent

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"bascule/ha"
	"bascule/ha/leader"
	"bascule/ha/node"
)

// Config is what an agent is made of. All ports are required but Notifier.
type Config struct {
	Node        node.Config
	Leader      leader.Leader
	Version     string
	SystemUUID  string
	TrustDriver func(watchdogDriver string) bool // whether a guard with this driver counts as armed
	LeaseFile   string                           // keeps the lease id over a restart
	SeenFile    string                           // keeps how far the store had come, and the member list, over restarts and boots
	OnbootFile  string                           // which guests had onboot: 1 before they were protected; empty: none is kept
	GuestsFile  string                           // generations of the guests started here, for people and the lab
	Now         func() ha.Instant                // CLOCK_BOOTTIME
	Store       Store
	Gossip      Gossip
	Proxmox     Proxmox // nil on a witness
	Guard       Guard   // nil on a witness
	Processes   Processes
	Executor    Executor
	Voters      Voters   // nil: the store is elsewhere, and its voters are not ours to change
	Storages    Storages // nil: nobody looks at storages
	Notifier    Notifier
	Clients     func() []string // by what storages know this boot, for those who may have to cut it off; nil: by nothing
	Recorder    Recorder        // nil: decisions are not kept
	Log         logrus.FieldLogger
	Alive       func() // called by the machine's loop at least once a second (systemd's watchdog)
}

// Agent is one node's agent.
type Agent struct {
	cfg    Config
	log    logrus.FieldLogger
	events chan node.Event
	looks  chan struct{} // asks for an inventory now
	leads  chan struct{} // wakes the leader's loop
	heard  chan struct{} // gossip changed
	peers  chan []byte   // messages of the other members
	seen   chan seenFile // what is to be kept over restarts, the newest
	sync   chan struct{} // asks to send the permit's guests to the guard
	permit turn          // to make and send a permit: an older list of guests never overtakes a newer one
	report turn          // to write the node report

	arming    atomic.Bool // the guard is being asked to arm the watchdog
	replacing atomic.Bool // a voter of the store is being replaced

	mu        sync.Mutex
	lease     node.Lease
	standing  standing
	view      ha.Snapshot
	viewAt    time.Time
	viewOK    bool
	guard     ha.GuardStatus
	obeys     bool // the guard was told that messages in its slots end this node, and nothing else since
	looked    bool // the first inventory was taken
	corosync  ha.CorosyncView
	inventory ha.Inventory
	sights    map[string]node.Sight // of this node's own looks, by storage
	health    ha.StoreHealth
	healthAt  time.Time // since when the store is in this condition
	etcd      leader.EtcdView
	problems  map[string]string
	leaving   bool
	subs      map[chan struct{}]struct{}

	reports  *reporter
	onboot   *onbootCopy
	readings *readings
	runCtx   context.Context // of Run
}

// New makes an agent; Run starts it.
func New(c Config) *Agent {
	a := &Agent{cfg: c, log: c.Log, events: make(chan node.Event, 256), looks: make(chan struct{}, 1), leads: make(chan struct{}, 1), heard: make(chan struct{}, 1), peers: make(chan []byte, 64),
		seen: make(chan seenFile, 1), sync: make(chan struct{}, 1), permit: make(turn, 1), report: make(turn, 1), problems: map[string]string{}, sights: map[string]node.Sight{}, subs: map[chan struct{}]struct{}{}}
	a.reports = newReporter(a)
	var err error
	if a.onboot, err = openOnbootCopy(c.OnbootFile); err != nil {
		a.log.WithField("reason", err.Error()).Warn("the copy is made anew from the store")
	}
	a.readings = &readings{wake: a.WakeLeader}
	return a
}

// Run works until ctx ends. It returns the first error of a loop; an orderly stop is Leave, then cancelling ctx.
func (a *Agent) Run(ctx context.Context) error {
	kept := a.kept(ctx)
	a.runCtx = ctx
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.machineLoop(ctx, kept) })
	g.Go(func() error { return a.leaderLoop(ctx) })
	g.Go(func() error { return a.viewLoop(ctx) })
	g.Go(func() error { return a.healthLoop(ctx) })
	g.Go(func() error { return a.peerLoop(ctx) })
	g.Go(func() error { return a.seenLoop(ctx) })
	g.Go(func() error { return a.onbootLoop(ctx) })
	g.Go(func() error { return a.reports.loop(ctx) })
	if !a.cfg.Node.Witness {
		g.Go(func() error { return a.lookLoop(ctx) })
		g.Go(func() error { return a.storageLoop(ctx) })
		g.Go(func() error { return a.volumeLoop(ctx) })
		g.Go(func() error { return a.corosyncLoop(ctx) })
		g.Go(func() error { return a.guardLoop(ctx) })
	} else {
		a.send(ctx, node.GuardSeen{Connected: true, Clean: true})
	}
	return g.Wait()
}

// turn is held by one at a time, and waited for no longer than a context lasts.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// send hands an event to the machine.
func (a *Agent) send(ctx context.Context, e node.Event) {
	select {
	case a.events <- e:
	case <-ctx.Done():
	}
}

// poke wakes a loop; a poke that is already waiting is enough.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// WakeLeader makes the leader's loop look again now. It never blocks; devices call it.
func (a *Agent) WakeLeader() { poke(a.leads) }

// GossipChanged tells the agent that gossip sees something else. It never blocks.
func (a *Agent) GossipChanged() {
	poke(a.heard)
	a.WakeLeader()
}

// setProblem notes a problem, or clears it.
func (a *Agent) setProblem(key string, on bool, text string) {
	if !on {
		text = ""
	}
	a.Problem(key, text)
}

// ReportSoon has the node report written anew: what it says of this node may have changed outside of the agent.
func (a *Agent) ReportSoon() { a.reports.wake() }

// Problem notes or clears (empty text) something that the node's operator should know and do.
func (a *Agent) Problem(key, text string) {
	a.mu.Lock()
	old := a.problems[key]
	if text == "" {
		delete(a.problems, key)
	} else {
		a.problems[key] = text
	}
	a.mu.Unlock()
	if old != text {
		if text != "" {
			a.log.WithField("reason", key).Warn(text)
		}
		a.reports.wake()
	}
}
