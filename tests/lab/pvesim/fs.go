package pvesim

import (
	"context"
	"encoding/json"
	"path"
	"strconv"
	"strings"
	"time"
)

// A node's /etc/pve: reads come from the node's own copy of the tree and never block; writes wait while corosync
// re-forms, and need quorum.

// resolve cleans a path and follows the links local, qemu-server, lxc and openvz of the root.
func (n *node) resolve(p string) string {
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	first, rest, _ := strings.Cut(p, "/")
	switch first {
	case "local":
		p = "nodes/" + n.Name
	case "qemu-server", "lxc", "openvz":
		p = "nodes/" + n.Name + "/" + first
	default:
		return p
	}
	if rest != "" {
		p += "/" + rest
	}
	return p
}

type fileInfo struct {
	dir   bool
	size  int64
	mtime time.Time
	mode  uint32 // permission bits; the owner-write bit of "local" is PVE's own test for quorum
}

func (c *Cluster) fsRead(n *node, p string) ([]byte, errno) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleLocked()
	p = n.resolve(p)
	if data, ok := c.virtualLocked(n, p); ok {
		return data, success
	}
	e, ok := n.view.entries[p]
	if !ok {
		return nil, eNOENT
	}
	if e.dir {
		return nil, eISDIR
	}
	return e.data, success
}

func (c *Cluster) fsList(n *node, p string) ([]string, errno) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleLocked()
	p = n.resolve(p)
	names, e := n.view.list(p)
	if e == success && p == "" {
		names = append(names, ".members", ".version", ".vmlist", "local", "lxc", "openvz", "qemu-server")
	}
	return names, e
}

func (c *Cluster) fsStat(n *node, p string) (fileInfo, errno) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleLocked()
	quorate := c.ring.nodes[n.Name].quorate
	p = n.resolve(p)
	if data, ok := c.virtualLocked(n, p); ok {
		return fileInfo{size: int64(len(data)), mtime: c.now(), mode: 0o440}, success
	}
	e, ok := n.view.entries[p]
	if !ok {
		return fileInfo{}, eNOENT
	}
	info := fileInfo{dir: e.dir, size: int64(len(e.data)), mtime: e.mtime, mode: fullMode(p, e.dir)}
	if !quorate && p != "" { // the mount point itself does not tell
		info.mode &^= 0o222
	}
	return info, success
}

// fsChange carries out one writing operation. lookup is what the kernel finds out by itself before pmxcfs is asked;
// it neither blocks nor needs quorum. The call blocks while the node's ring re-forms; then the majority's operation
// succeeds, and the minority's fails with EPERM if it had been waiting and with EACCES if it came later. One that
// arrives at a returning node just before it is a member again is told EBUSY.
func (c *Cluster) fsChange(ctx context.Context, n *node, lookup func(*tree) errno, apply func(*tree) (*tree, errno)) errno {
	waited := false
	for {
		c.mu.Lock()
		c.settleLocked()
		if !n.powered {
			c.mu.Unlock()
			return eDOWN
		}
		if e := lookup(n.view); e != success {
			c.mu.Unlock()
			return e
		}
		st := c.ring.nodes[n.Name]
		if !waited && st.synchronizing(c.now()) {
			c.mu.Unlock()
			return eBUSY
		}
		if !st.until.IsZero() {
			until, changed, off := st.until, c.ringChanged, n.session.Done()
			c.mu.Unlock()
			waited = true
			c.waiting.Add(1)
			e := waitRing(ctx, until.Sub(c.now()), changed, off)
			c.waiting.Add(-1)
			if e != success {
				return e
			}
			continue
		}
		e := c.applyLocked(n, st, waited, apply)
		c.mu.Unlock()
		return e
	}
}

func waitRing(ctx context.Context, d time.Duration, changed <-chan struct{}, off <-chan struct{}) errno {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-off:
		return eDOWN
	case <-ctx.Done():
		return eDOWN
	}
	return success
}

func (c *Cluster) applyLocked(n *node, st *ringNode, waited bool, apply func(*tree) (*tree, errno)) errno {
	if !st.quorate {
		if waited {
			return ePERM
		}
		return eACCES
	}
	next, e := apply(n.view)
	if e != success || next == n.view {
		return e
	}
	for name := range st.ring {
		c.nodes[name].view = next
	}
	c.mirrorLocked(next)
	return success
}

func (c *Cluster) fsWrite(ctx context.Context, n *node, p string, data []byte) errno {
	p = n.resolve(p)
	return c.fsChange(ctx, n, func(t *tree) errno {
		if isVirtual(p) {
			return eIO
		}
		if e, ok := t.entries[p]; ok && e.dir {
			return eISDIR
		}
		return t.dirCheck(p)
	}, func(t *tree) (*tree, errno) { return t.write(p, data, c.now()) })
}

func (c *Cluster) fsRename(ctx context.Context, n *node, from, to string) errno {
	from, to = n.resolve(from), n.resolve(to)
	return c.fsChange(ctx, n, func(t *tree) errno {
		if isVirtual(from) || isVirtual(to) {
			return eACCES
		}
		if _, ok := t.entries[from]; !ok {
			return eNOENT
		}
		return t.dirCheck(to)
	}, func(t *tree) (*tree, errno) { return t.rename(from, to, c.now()) })
}

func (c *Cluster) fsRemove(ctx context.Context, n *node, p string, dir bool) errno {
	p = n.resolve(p)
	return c.fsChange(ctx, n, func(t *tree) errno {
		e, ok := t.entries[p]
		if isVirtual(p) {
			return eACCES
		}
		if !ok {
			return eNOENT
		}
		if e.dir && !dir {
			return eISDIR
		}
		if !e.dir && dir {
			return eNOTDIR
		}
		return success
	}, func(t *tree) (*tree, errno) {
		if dir {
			return t.rmdir(p)
		}
		return t.unlink(p)
	})
}

func (c *Cluster) fsMkdir(ctx context.Context, n *node, p string) errno {
	p = n.resolve(p)
	return c.fsChange(ctx, n, func(t *tree) errno {
		if _, ok := t.entries[p]; ok {
			return eEXIST
		}
		return t.dirCheck(p)
	}, func(t *tree) (*tree, errno) { return t.mkdir(p, c.now()) })
}

func isVirtual(p string) bool {
	return p == ".members" || p == ".version" || p == ".vmlist" || p == ".debug" || p == ".rrd" || p == ".clusterlog"
}

// virtualLocked makes the content of a virtual file as node n sees it.
func (c *Cluster) virtualLocked(n *node, p string) ([]byte, bool) {
	switch p {
	case ".members":
		return c.membersLocked(n), true
	case ".version":
		return c.versionLocked(n), true
	case ".vmlist":
		return vmlistFile(n.view), true
	}
	return nil, false
}

func (c *Cluster) membersLocked(n *node) []byte {
	st := c.ring.nodes[n.Name]
	var b strings.Builder
	b.WriteString("{\n\"nodename\": \"" + n.Name + "\",\n\"version\": " + strconv.Itoa(st.version) + ",\n")
	quoted, _ := json.Marshal(c.opt.Name)
	b.WriteString("\"cluster\": { \"name\": " + string(quoted) + ", \"version\": " + strconv.Itoa(len(c.order)) +
		", \"nodes\": " + strconv.Itoa(len(c.order)) + ", \"quorate\": " + bit(st.quorate) + " },\n\"nodelist\": {\n")
	for i, name := range c.order {
		sep := ","
		if i == len(c.order)-1 {
			sep = ""
		}
		b.WriteString("  \"" + name + "\": { \"id\": " + strconv.Itoa(i+1) + ", \"online\": " + bit(c.onlineLocked(n, name)) +
			", \"ip\": \"" + c.nodes[name].Address + "\"}" + sep + "\n")
	}
	b.WriteString("  }\n}\n")
	return []byte(b.String())
}

// onlineLocked says whether peer is a member of the ring that n believes in; it is the old one until a
// re-formation is over.
func (c *Cluster) onlineLocked(n *node, peer string) bool {
	if n.Name == peer {
		return true
	}
	_, ok := c.ring.nodes[n.Name].ring[peer]
	return ok
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
