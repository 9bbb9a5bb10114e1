package pvesim

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Cluster is a simulated Proxmox cluster. All methods may be called from any goroutine.
type Cluster struct {
	opt    Options
	order  []string
	nodes  map[string]*node
	now    func() time.Time
	auth   *authenticator
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // goroutines that end with the cluster

	waiting atomic.Int32 // writes that wait for a ring at the moment
	boots   atomic.Int32 // boots whose guests have been started

	mu          sync.Mutex // guards all below and the nodes' mutable fields
	ring        *corosync
	ringChanged chan struct{} // closed and replaced at every change of a ring
	ringTimer   *time.Timer
	reach       func(a, b string) bool
	mirrored    *tree // what Dir/pmxcfs shows; the newest committed version
	failNext    map[failKey]string
	lost        map[string]time.Time // when a node lost power, for the address resolution cache of its peers
}

type failKey struct {
	node   string
	vmid   int
	action string
}

// New creates a cluster, or opens the one whose tree lies in Options.Dir. All nodes are off.
func New(o Options) (*Cluster, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		opt: o, nodes: map[string]*node{}, now: time.Now, ringChanged: make(chan struct{}),
		reach: func(a, b string) bool { return true }, failNext: map[failKey]string{}, lost: map[string]time.Time{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, spec := range o.Nodes {
		c.order = append(c.order, spec.Name)
	}
	c.ring = newCorosync(o.Corosync, c.order)
	if err := c.makeDirs(); err != nil {
		return nil, err
	}
	for _, spec := range o.Nodes {
		if c.nodes[spec.Name], err = newNode(c, spec); err != nil {
			return nil, err
		}
	}
	if err := c.openTree(); err != nil {
		return nil, err
	}
	c.auth = newAuthenticator(o.Tokens, randomHex(16), randomHex(16))
	return c, nil
}

func (c *Cluster) makeDirs() error {
	dirs := []string{"pmxcfs", "storage/guests", "storage/volumes"}
	for _, n := range c.order {
		dirs = append(dirs, n+"/log", n+"/data", n+"/root/run", n+"/root/var/lock/qemu-server", n+"/root/var/log/pve/tasks", n+"/volumes")
	}
	for _, d := range dirs {
		if err := os.MkdirAll(filepath.Join(c.opt.Dir, d), 0o755); err != nil {
			return fmt.Errorf("pvesim: making the lab directory failed: %w", err)
		}
	}
	return nil
}

// openTree loads the tree of an earlier run or writes a new cluster's.
func (c *Cluster) openTree() error {
	t, err := loadMirror(c.opt.Dir, c.now())
	if err != nil {
		return err
	}
	if t == nil {
		if t, err = c.freshTree(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mirrored = newTree()
	for _, n := range c.nodes {
		n.view = t
	}
	c.mirrorLocked(t)
	return nil
}

// Close switches all nodes off. Guests and workers go on: ending a node's processes is the caller's power cut.
func (c *Cluster) Close() {
	for _, n := range c.order {
		c.PowerOff(n)
	}
	c.cancel()
	c.mu.Lock()
	if c.ringTimer != nil {
		c.ringTimer.Stop()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// NetworkChanged tells that the network between the nodes changed: reach(a, b) says whether packets go from a to b.
// Corosync needs both directions. reach is kept and called with the cluster locked: it must be quick, safe for
// concurrent use, and must not call back. Nil: only look again, with the function given before.
func (c *Cluster) NetworkChanged(reach func(a, b string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if reach != nil {
		c.reach = reach
	}
	c.ringLocked()
}

// ringLocked recomputes the rings after any change of power or network.
func (c *Cluster) ringLocked() {
	c.ring.change(c.now(), c.reach)
	c.settleLocked()
	c.ring.countVotes() // the device may have come or gone without any change of a ring
	close(c.ringChanged)
	c.ringChanged = make(chan struct{})
	c.armLocked()
}

// armLocked sets the timer for the next end of a re-formation.
func (c *Cluster) armLocked() {
	next := c.ring.next()
	if next.IsZero() || c.ctx.Err() != nil {
		return
	}
	if c.ringTimer != nil {
		c.ringTimer.Stop()
	}
	c.ringTimer = time.AfterFunc(next.Sub(c.now()), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.settleLocked()
		c.armLocked()
	})
}

// settleLocked establishes the rings whose re-formation is over; the members of each take the newest copy of the
// tree that one of them has, as pmxcfs does when it synchronizes.
func (c *Cluster) settleLocked() {
	rings := c.ring.settle(c.now())
	if len(rings) == 0 {
		return
	}
	for _, ring := range rings {
		newest := c.nodes[ring[0]].view
		for _, name := range ring {
			if v := c.nodes[name].view; v.version > newest.version {
				newest = v
			}
		}
		for _, name := range ring {
			c.nodes[name].view = newest
		}
		c.opt.Log("pvesim: corosync: ring %v, quorate %v", ring, c.ring.nodes[ring[0]].quorate)
	}
	close(c.ringChanged)
	c.ringChanged = make(chan struct{})
}

// connectedLocked says whether packets go both ways between two powered nodes.
func (c *Cluster) connectedLocked(a, b string) bool {
	return c.nodes[a].powered && c.nodes[b].powered && (a == b || c.reach(a, b) && c.reach(b, a))
}

func (c *Cluster) connected(a, b string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connectedLocked(a, b)
}

// Quorate says whether a node is powered and has corosync quorum now.
func (c *Cluster) Quorate(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleLocked()
	st := c.ring.nodes[name]
	return st != nil && st.powered && st.quorate
}

// WaitQuorate waits until a node is quorate and no re-formation is under way for it.
func (c *Cluster) WaitQuorate(ctx context.Context, name string) error {
	for {
		c.mu.Lock()
		c.settleLocked()
		st := c.ring.nodes[name]
		if st == nil {
			c.mu.Unlock()
			return fmt.Errorf("pvesim: waiting for quorum on %q: no such node", name)
		}
		done, changed := st.powered && st.quorate && st.until.IsZero(), c.ringChanged
		c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("pvesim: %s did not become quorate: %w", name, ctx.Err())
		}
	}
}

// FailNext makes the next worker that carries out action (start, stop, shutdown, migrate) for the guest on that
// node end with message as its exit status, having done nothing.
func (c *Cluster) FailNext(node string, vmid int, action, message string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failNext[failKey{node, vmid, action}] = message
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: the runtime ends the process if the kernel has no randomness
	return hex.EncodeToString(b)
}
