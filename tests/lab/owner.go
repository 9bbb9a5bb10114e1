package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// owners tells which node's process holds a socket. One look at the processes serves all who asked before it began, because hundreds of
// connections come at once when a big lab starts, and a look at a thousand processes takes tens of milliseconds.
type owners struct {
	dir   string // the lab's
	known *look  // at the processes that had sockets at the last look at all
	all   *look

	mu      sync.Mutex
	daemons map[int]string // pid → node
}

func newOwners(dir string) *owners {
	return &owners{dir: dir, known: newLook(), all: newLook(), daemons: map[int]string{}}
}

// ofSocket names the node that owns the socket with this inode, or "" if no process of the lab does.
func (o *owners) ofSocket(inode uint64) string {
	if node, ok := o.known.share(o.lookAtKnown)[inode]; ok {
		return node
	}
	return o.all.share(o.lookAtAll)[inode]
}

func (o *owners) lookAtKnown() map[uint64]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[uint64]string{}
	for pid, node := range o.daemons {
		for _, inode := range socketsOf(pid) {
			out[inode] = node
		}
	}
	return out
}

func (o *owners) lookAtAll() map[uint64]string {
	out, daemons := map[uint64]string{}, map[int]string{}
	for dir, list := range markedBelow(o.dir) {
		for _, pid := range list {
			for _, inode := range socketsOf(pid) {
				out[inode], daemons[pid] = filepath.Base(dir), filepath.Base(dir)
			}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.daemons = daemons
	return out
}

// socketsOf lists the inodes of a process's sockets; none if it is gone.
func socketsOf(pid int) []uint64 {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []uint64
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if number, ok := strings.CutPrefix(target, "socket:["); ok {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); err == nil {
				out = append(out, inode)
			}
		}
	}
	return out
}

// look is one way of looking that many ask for.
type look struct {
	turn chan struct{} // holds one while somebody looks

	mu   sync.Mutex
	next *result // of the look that has not begun; nil when nobody waits for one
}

type result struct {
	done   chan struct{}
	owners map[uint64]string
}

func newLook() *look { return &look{turn: make(chan struct{}, 1)} }

// share returns what a look shows that began after the call.
func (l *look) share(at func() map[uint64]string) map[uint64]string {
	l.mu.Lock()
	r := l.next
	if r != nil {
		l.mu.Unlock()
		<-r.done
		return r.owners
	}
	r = &result{done: make(chan struct{})}
	l.next = r
	l.mu.Unlock()
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.mu.Lock()
	l.next = nil // who asks from now on may want what this look has passed
	l.mu.Unlock()
	r.owners = at()
	close(r.done)
	return r.owners
}
