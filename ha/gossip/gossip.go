package gossip

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/sirupsen/logrus"

	"bascule/ha"
)

// reclaimAfter is how long a name must be dead before another address may take it over.
const reclaimAfter = 10 * time.Second

// Config says who gossips with whom. All times come from Timing.
type Config struct {
	Self             ha.NodeName
	BindAddress      string   // IP address to listen on; empty: all
	AdvertiseAddress string   // IP address or host name that the others reach us at; empty: the bind address
	Port             int      // UDP and TCP, bound and advertised
	Peers            []string // host:port of the others
	Keys             [][]byte // keyring, the first encrypts; 16, 24 or 32 bytes
	Label            string   // of this network, when there are two (two instances, same name, other label)
	Timing           ha.Timing
	Meta             func() Meta        // our metadata now; called at start, by UpdateMeta and at Leave; must not block
	Log              logrus.FieldLogger // required
	Changed          func()             // called after something changed, from a goroutine of its own
	Receive          func([]byte)       // called with each message of another member; must not block
}

// Gossip is one running membership.
type Gossip struct {
	cfg     Config
	list    *memberlist.Memberlist
	ring    *memberlist.Keyring
	keys    sync.Mutex // one change of the ring at a time
	roster  *roster
	leaving atomic.Bool
	update  chan struct{} // capacity 1: our metadata is to be announced again
	wake    chan struct{} // capacity 1: Changed is to be called
	ctx     context.Context
	stop    context.CancelFunc
	loops   sync.WaitGroup
	steps   sync.WaitGroup // of a Leave that was given up on: memberlist must not be shut down under it
	updates sync.Mutex     // one UpdateNode at a time: memberlist reads its own entry without its lock there
	closed  sync.Once
}

// Start listens and begins to join the peers in the background; being alone is no error.
func Start(cfg Config) (*Gossip, error) {
	g := &Gossip{cfg: cfg, update: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	g.roster = &roster{changed: func() { poke(g.wake) }, nodes: map[ha.NodeName]seen{}}
	mc, err := g.settings()
	if err != nil {
		return nil, err
	}
	g.list, err = memberlist.Create(mc)
	if err != nil {
		return nil, fmt.Errorf("starting gossip of %s on %s port %d (UDP and TCP): %w: free the port or correct the address in the configuration", cfg.Self, cfg.BindAddress, cfg.Port, err)
	}
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.loops.Go(g.callChanged)
	g.loops.Go(g.announce)
	for _, p := range cfg.Peers {
		g.loops.Go(func() { g.keepJoined(p) })
	}
	return g, nil
}

// settings builds memberlist's configuration: its LAN defaults, except what was measured to matter.
func (g *Gossip) settings() (*memberlist.Config, error) {
	cfg := g.cfg
	if cfg.Self == "" || cfg.Meta == nil || cfg.Log == nil || cfg.Port <= 0 {
		return nil, errors.New("gossip configuration incomplete: it needs a node name, a port, a source of metadata and a log")
	}
	if len(cfg.Keys) == 0 {
		return nil, fmt.Errorf("%w: no key: gossip is never sent in clear; give every node the cluster's key file", ErrKeyring)
	}
	for _, k := range cfg.Keys {
		if err := checkKey(k); err != nil {
			return nil, err
		}
	}
	var err error
	if g.ring, err = memberlist.NewKeyring(cfg.Keys, cfg.Keys[0]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyring, err)
	}
	advertise, err := advertised(cfg)
	if err != nil {
		return nil, err
	}
	mc := memberlist.DefaultLANConfig()
	mc.Name, mc.Label, mc.Keyring = string(cfg.Self), cfg.Label, g.ring
	mc.BindAddr, mc.BindPort = cfg.BindAddress, cfg.Port
	if mc.BindAddr == "" {
		mc.BindAddr = "0.0.0.0"
	}
	mc.AdvertiseAddr, mc.AdvertisePort = advertise, cfg.Port
	mc.ProbeInterval, mc.ProbeTimeout, mc.SuspicionMult = cfg.Timing.GossipProbe, cfg.Timing.GossipTimeout, cfg.Timing.GossipMult
	// At 8 (the default) several nodes dying together slow each other's detection; 1 was unstable.
	mc.AwarenessMaxMultiplier = 2
	mc.DeadNodeReclaimTime = reclaimAfter
	mc.Delegate = delegate{meta: g.meta, receive: cfg.Receive}
	mc.Events = g.roster
	mc.Logger = log.New(newLogBridge(cfg.Log), "", 0)
	return mc, nil
}

// advertised returns the IP address to advertise: memberlist takes no host names there.
func advertised(cfg Config) (string, error) {
	if cfg.AdvertiseAddress == "" || net.ParseIP(cfg.AdvertiseAddress) != nil {
		return cfg.AdvertiseAddress, nil
	}
	ips, err := net.LookupHost(cfg.AdvertiseAddress)
	if err != nil {
		return "", fmt.Errorf("gossip address %s of %s does not resolve: %w: write the IP address, or add the name to /etc/hosts", cfg.AdvertiseAddress, cfg.Self, err)
	}
	return ips[0], nil
}

// View says what gossip knows of every node seen since Start, ourselves included. It is a hint.
func (g *Gossip) View() map[ha.NodeName]ha.GossipView { return g.roster.view() }

// Metas returns the last metadata of every node seen since Start.
func (g *Gossip) Metas() map[ha.NodeName]Meta { return g.roster.metas() }

// ErrNotHere is wrapped by Send's error when gossip knows no living member of that name.
var ErrNotHere = errors.New("no living member of this name")

// Send delivers a message to one living member, or says why not: as an encrypted datagram at once, and over an encrypted stream, which loss
// does not stop. The member may so get it twice. It blocks while it connects.
func (g *Gossip) Send(to ha.NodeName, msg []byte) error {
	for _, m := range g.list.Members() {
		if m.Name == string(to) {
			quick := g.list.SendBestEffort(m, msg)
			if err := g.list.SendReliable(m, msg); err != nil && quick != nil {
				return fmt.Errorf("gossip: message to %s: %w", to, errors.Join(quick, err))
			}
			return nil
		}
	}
	return fmt.Errorf("gossip: message to %s: %w", to, ErrNotHere)
}

// UpdateMeta announces our metadata again, in the background.
func (g *Gossip) UpdateMeta() { poke(g.update) }

// Leave says goodbye: first that we are leaving, in the metadata, then the leave itself, each until it has been passed on
// or half of the context's remaining time is over. It goes on listening until Close.
func (g *Gossip) Leave(ctx context.Context) error {
	g.leaving.Store(true)
	if err := g.within(ctx, 2, g.updateNode); err != nil {
		return fmt.Errorf("gossip: the others may take this stop for a death: announcing it: %w", err)
	}
	if err := g.within(ctx, 1, g.list.Leave); err != nil {
		return fmt.Errorf("gossip: leaving: %w", err)
	}
	return nil
}

// Close stops at once and silently: without a Leave before, the others see a death.
func (g *Gossip) Close() error {
	var err error
	g.closed.Do(func() {
		g.stop()
		g.steps.Wait()
		err = g.list.Shutdown()
		g.loops.Wait()
	})
	return err
}

func (g *Gossip) meta() Meta {
	m := g.cfg.Meta()
	m.Leaving = m.Leaving || g.leaving.Load()
	return m
}

// callChanged wakes the daemon from a goroutine of its own, so that memberlist never waits for it.
func (g *Gossip) callChanged() {
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-g.wake:
			if g.cfg.Changed != nil {
				g.cfg.Changed()
			}
		}
	}
}

// announce sends our metadata when it changed. A time-out only means that not every retransmission went out.
func (g *Gossip) announce() {
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-g.update:
			if err := g.updateNode(time.Second); err != nil {
				g.cfg.Log.WithError(err).Debug("gossip: announcing metadata")
			}
		}
	}
}

func (g *Gossip) updateNode(limit time.Duration) error {
	g.updates.Lock()
	defer g.updates.Unlock()
	return g.list.UpdateNode(limit)
}

// within runs step with the context's remaining time divided by share; five seconds without a deadline.
func (g *Gossip) within(ctx context.Context, share int, step func(time.Duration) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	limit := 5 * time.Second
	if d, ok := ctx.Deadline(); ok {
		limit = max(time.Until(d)/time.Duration(share), time.Millisecond)
	}
	done := make(chan error, 1)
	g.steps.Go(func() { done <- step(limit) })
	select {
	case err := <-done:
		return err
	case <-ctx.Done(): // cancelled: the step ends by its own limit
		return ctx.Err()
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
