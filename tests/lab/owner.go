package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// owners tells which node's process holds a socket. It remembers the nodes' processes, because a scan of all
// processes for each connection would cost milliseconds.
type owners struct {
	dir string // the lab's

	mu   sync.Mutex
	seen map[int]string // pid → node
}

func newOwners(dir string) *owners { return &owners{dir: dir, seen: map[int]string{}} }

// ofSocket names the node that owns the socket with this inode, or "" if no process of the lab does.
func (o *owners) ofSocket(inode uint64) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	want := fmt.Sprintf("socket:[%d]", inode)
	for pid, node := range o.seen {
		switch holdsSocket(pid, want) {
		case holds:
			return node
		case gone:
			delete(o.seen, pid)
		}
	}
	for dir, list := range markedBelow(o.dir) {
		for _, pid := range list {
			if _, known := o.seen[pid]; known {
				continue
			}
			o.seen[pid] = filepath.Base(dir)
			if holdsSocket(pid, want) == holds {
				return filepath.Base(dir)
			}
		}
	}
	return ""
}

// possession is what a look at a process's descriptors says.
type possession int

const (
	holds possession = iota
	lacks
	gone
)

func holdsSocket(pid int, want string) possession {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return gone
	}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && target == want {
			return holds
		}
	}
	return lacks
}
