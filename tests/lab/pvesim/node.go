package pvesim

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// node is one simulated Proxmox node.
type node struct {
	NodeSpec
	id          int
	dir         string
	cert        tls.Certificate
	fingerprint string
	tasks       *taskStore
	stats       *statStore
	spawning    sync.Mutex // held while a process is being started: PowerOff waits for it

	// guarded by Cluster.mu
	powered  bool
	frozen   chan struct{} // non-nil while frozen; closed by the thaw
	view     *tree
	bootedAt time.Time
	session  context.Context // ends with the power
	off      context.CancelFunc
	servers  []func()      // what PowerOff closes
	api      func()        // ends pveproxy; nil while it is not running
	stopped  chan struct{} // closed when pveproxy is stopped while the node lives on
}

func newNode(c *Cluster, spec NodeSpec) (*node, error) {
	n := &node{NodeSpec: spec, dir: filepath.Join(c.opt.Dir, spec.Name), stats: newStatStore()}
	for i, name := range c.order {
		if name == spec.Name {
			n.id = i + 1
		}
	}
	cert, err := c.opt.TLS(spec.Name)
	if err != nil {
		return nil, fmt.Errorf("pvesim: certificate of node %s: %w", spec.Name, err)
	}
	n.cert = cert
	if len(cert.Certificate) > 0 {
		n.fingerprint = fingerprint(cert.Certificate[0])
	}
	n.session, n.off = context.WithCancel(c.ctx)
	n.off()
	if n.tasks, err = openTaskStore(filepath.Join(n.dir, "root/var/log/pve/tasks")); err != nil {
		return nil, err
	}
	return n, nil
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}

// PowerOn boots a node: an empty root/run, pmxcfs.sock, the API; corosync starts to form a ring, and when the node
// is quorate its guests with "onboot: 1" are started, as pve-guests.service does. Switching on a node that is on
// does nothing. Fails if the node is unknown or an address cannot be bound; the node is then off.
func (c *Cluster) PowerOn(name string) error {
	n := c.nodes[name]
	if n == nil {
		return fmt.Errorf("pvesim: power on %q: no such node", name)
	}
	c.mu.Lock()
	if n.powered {
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	if err := n.prepareBoot(); err != nil {
		return fmt.Errorf("pvesim: power on %s: %w", name, err)
	}
	session, off := context.WithCancel(c.ctx)
	closers, err := c.listen(session, n)
	if err != nil {
		off()
		return fmt.Errorf("pvesim: power on %s: %w", name, err)
	}
	c.mu.Lock()
	n.powered, n.session, n.off, n.servers, n.bootedAt = true, session, off, closers, c.now()
	n.stats.reset()
	delete(c.lost, name)
	c.ring.power(name, true)
	c.ringLocked()
	c.mu.Unlock()
	c.wg.Add(2)
	go c.broadcastLoop(session, n)
	go c.bootGuests(session, n)
	c.opt.Log("pvesim: %s is on", name)
	return nil
}

// prepareBoot empties what lives in memory on a real node. boot_id is the caller's; one is made only if there is none.
func (n *node) prepareBoot() error {
	run := filepath.Join(n.dir, "root/run")
	if err := os.RemoveAll(run); err != nil {
		return fmt.Errorf("emptying %s failed: %w", run, err)
	}
	for _, d := range []string{"run/qemu-server", "run/lxc", "run/lock/lxc", "run/bascule", "var/lock/qemu-server"} {
		if err := os.MkdirAll(filepath.Join(n.dir, "root", d), 0o755); err != nil {
			return fmt.Errorf("making /%s failed: %w", d, err)
		}
	}
	id := filepath.Join(n.dir, "boot_id")
	if _, err := os.Stat(id); errors.Is(err, os.ErrNotExist) {
		b := make([]byte, 16)
		rand.Read(b)
		uuid := fmt.Sprintf("%x-%x-%x-%x-%x\n", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		if err := os.WriteFile(id, []byte(uuid), 0o644); err != nil {
			return fmt.Errorf("writing the boot id failed: %w", err)
		}
	}
	return nil
}

// listen opens the API and the node's two unix sockets: pmxcfs.sock for everybody, and pvesim.sock by which workers
// reach other nodes (what ssh is on a real node).
func (c *Cluster) listen(session context.Context, n *node) (closers []func(), err error) {
	defer func() {
		if err != nil {
			for _, f := range closers {
				f()
			}
		}
	}()
	if err := c.openAPI(session, n); err != nil {
		return nil, err
	}
	closers = append(closers, func() { c.closeAPI(n) })
	for name, handler := range map[string]http.Handler{
		"pmxcfs.sock": &fsServer{c: c, n: n},
		"pvesim.sock": &controlServer{c: c, n: n},
	} {
		p := filepath.Join(n.dir, name)
		os.Remove(p) // left over from the last power cut
		l, err := net.Listen("unix", p)
		if err != nil {
			return closers, fmt.Errorf("listening on %s failed: %w", name, err)
		}
		srv := &http.Server{Handler: handler, BaseContext: func(net.Listener) context.Context { return session }}
		closers = append(closers, func() { srv.Close(); l.Close(); os.Remove(p) })
		c.wg.Add(1)
		go func() { defer c.wg.Done(); srv.Serve(l) }()
	}
	return closers, nil
}

// PowerOff cuts a node's power: its listeners close, its connections are dropped without an answer, and no process
// is started for it any more when the call returns. Its running processes are the caller's to kill.
func (c *Cluster) PowerOff(name string) {
	n := c.nodes[name]
	if n == nil {
		return
	}
	n.spawning.Lock()
	c.mu.Lock()
	if !n.powered {
		c.mu.Unlock()
		n.spawning.Unlock()
		return
	}
	n.powered = false
	n.off()
	closers := n.servers
	n.servers = nil
	if n.frozen != nil {
		close(n.frozen)
		n.frozen = nil
	}
	c.lost[name] = c.now()
	c.ring.power(name, false)
	c.ringLocked()
	c.mu.Unlock()
	n.spawning.Unlock()
	for _, f := range closers {
		f()
	}
	c.opt.Log("pvesim: %s is off", name)
}

// Freeze makes a node's API accept connections and never answer, as a stopped process does; what arrives meanwhile
// is carried out after the thaw.
func (c *Cluster) Freeze(name string, on bool) {
	n := c.nodes[name]
	if n == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case on && n.frozen == nil && n.powered:
		n.frozen = make(chan struct{})
	case !on && n.frozen != nil:
		close(n.frozen)
		n.frozen = nil
	}
}

// thawed waits while the node is frozen. False: the wait ended for another reason.
func (c *Cluster) thawed(ctx context.Context, n *node) bool {
	for {
		c.mu.Lock()
		frozen := n.frozen
		c.mu.Unlock()
		if frozen == nil {
			return ctx.Err() == nil
		}
		select {
		case <-frozen:
		case <-ctx.Done():
			return false
		}
	}
}

// sleep waits, or returns false when the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
