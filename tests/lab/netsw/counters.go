package netsw

import (
	"maps"
	"sync"
)

// Counter is what one node has sent into the network and received from it. Lost is what it sent that vanished.
type Counter struct {
	Connections int64 `json:"connections"` // TCP connections it opened
	SentBytes   int64 `json:"sent_bytes"`
	RecvBytes   int64 `json:"recv_bytes"`
	SentPackets int64 `json:"sent_packets"` // datagrams
	RecvPackets int64 `json:"recv_packets"`
	LostPackets int64 `json:"lost_packets"`
}

type counters struct {
	mu sync.Mutex
	by map[string]Counter
}

func newCounters() *counters { return &counters{by: map[string]Counter{}} }

func (c *counters) add(node string, change func(*Counter)) {
	if node == outsider {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.by[node]
	change(&v)
	c.by[node] = v
}

// carried counts bytes that went from one node to another.
func (c *counters) carried(from, to string, bytes int) {
	c.add(from, func(v *Counter) { v.SentBytes += int64(bytes) })
	c.add(to, func(v *Counter) { v.RecvBytes += int64(bytes) })
}

func (c *counters) snapshot() map[string]Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.by)
}
