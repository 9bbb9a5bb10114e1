package pvesim

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// statStore is what a node knows from the broadcasts of pvestatd: nothing else feeds /cluster/resources, which is
// why that shows the dead as running for minutes. Guests are kept by VMID alone: after a rename the old counters
// appear under the new node.
type statStore struct {
	mu     sync.Mutex
	guests map[int]stat
	nodes  map[string]stat
	stores map[string]stat     // "node/storage"
	tasks  map[string][]object // node → its newest tasks; these never expire
}

// stat is one broadcast: the fields of its row, and when it came.
type stat struct {
	at  time.Time
	row object
}

func newStatStore() *statStore {
	s := &statStore{}
	s.reset()
	return s
}

// reset forgets everything, as a reboot does.
func (s *statStore) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guests, s.nodes, s.stores = map[int]stat{}, map[string]stat{}, map[string]stat{}
	s.tasks = map[string][]object{}
}

func (s *statStore) receive(b *broadcast) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes[b.node] = stat{b.at, b.self}
	for vmid, row := range b.guests {
		s.guests[vmid] = stat{b.at, row}
	}
	for name, row := range b.stores {
		s.stores[b.node+"/"+name] = stat{b.at, row}
	}
}

// tellTasks sends a node's list of tasks around its ring, as happens with every start and end of one.
func (c *Cluster) tellTasks(n *node) {
	list := n.tasks.shortList()
	c.mu.Lock()
	defer c.mu.Unlock()
	for peer := range c.ring.nodes[n.Name].ring {
		if c.nodes[peer].powered {
			c.nodes[peer].stats.receiveTasks(n.Name, list)
		}
	}
}

func (s *statStore) receiveTasks(node string, list []object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks[node] = list
}

func (s *statStore) taskList(node string) []object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tasks[node])
}

// fresh copies a row unless it has expired.
func fresh(st stat, known bool, oldest time.Time) (object, bool) {
	if !known || st.at.Before(oldest) {
		return nil, false
	}
	return maps.Clone(st.row), true
}

func (s *statStore) guest(vmid int, oldest time.Time) (object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.guests[vmid]
	return fresh(st, ok, oldest)
}

func (s *statStore) node(name string, oldest time.Time) (object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.nodes[name]
	return fresh(st, ok, oldest)
}

// heardOf says whether a node has ever broadcast since this one's boot.
func (s *statStore) heardOf(node string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.nodes[node]
	return ok
}

func (s *statStore) store(node, name string, oldest time.Time) (object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.stores[node+"/"+name]
	return fresh(st, ok, oldest)
}

// broadcast is what one node's pvestatd sends in one round.
type broadcast struct {
	node   string
	at     time.Time
	self   object
	guests map[int]object
	stores map[string]object
}

// broadcastLoop is pvestatd: it looks at the node's real processes and tells the ring.
func (c *Cluster) broadcastLoop(session context.Context, n *node) {
	defer c.wg.Done()
	for {
		c.Broadcast(n.Name)
		if !sleep(session, c.opt.StatInterval) {
			return
		}
	}
}

// Broadcast makes a node's pvestatd send its next round now. Members of the node's ring receive it. Nothing happens
// if the node is unknown or off.
func (c *Cluster) Broadcast(name string) {
	n := c.nodes[name]
	if n == nil {
		return
	}
	c.tellTasks(n)
	b := &broadcast{node: name, at: c.now(), guests: map[int]object{}, stores: map[string]object{}}
	var used int64 = 1 << 30
	for _, g := range c.guestsOn(n) {
		row := g.statRow()
		used += row["mem"].(int64)
		b.guests[g.vmid] = row
	}
	for _, s := range c.storagesOn(n) {
		if s.active {
			b.stores[s.conf.id] = object{"disk": s.used, "maxdisk": s.total}
		}
	}
	b.self = object{"cpu": 0.05, "maxcpu": n.Cores, "mem": used, "maxmem": n.Memory, "disk": rootUsed, "maxdisk": rootTotal,
		"uptime": int64(c.uptime(n).Seconds()), "level": ""}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleLocked()
	if !n.powered {
		return
	}
	n.stats.receive(b)
	for peer := range c.ring.nodes[name].ring {
		if peer != name && c.nodes[peer].powered {
			c.nodes[peer].stats.receive(b)
		}
	}
}

// Sizes of a node's root file system, in bytes.
const (
	rootTotal int64 = 12638257152
	rootUsed  int64 = 22933504
)

func (c *Cluster) uptime(n *node) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !n.powered {
		return 0
	}
	return c.now().Sub(n.bootedAt)
}
