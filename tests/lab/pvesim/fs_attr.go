package pvesim

import (
	"context"
	"strings"
	"time"
)

// What pmxcfs does with the operations that a real file system has and it has not, as noted from a real one.

// fsAttr carries out the operations that change no content, or refuses them. Only those that pmxcfs would write
// somewhere wait for the ring and need quorum: opening for writing, access(2) and chmod succeed without, which makes
// them useless as a probe for it.
func (c *Cluster) fsAttr(ctx context.Context, n *node, q fsRequest) errno {
	switch q.Op {
	case "symlink":
		return eNOSYS
	case "link":
		return ePERM
	case "setxattr":
		return eNOTSUP
	}
	info, e := c.fsStat(n, q.Path)
	if e != success {
		return e
	}
	p := n.resolve(q.Path)
	switch q.Op {
	case "chmod":
		if q.Mode != fullMode(p, info.dir) {
			return ePERM
		}
		return success
	case "chown":
		if q.Owner != "root:www-data" {
			return ePERM
		}
		return success
	case "utime":
		return c.fsUtime(ctx, n, p, q.Time)
	case "truncate":
		return c.fsChange(ctx, n, func(t *tree) errno { return t.fileAt(p) }, func(t *tree) (*tree, errno) {
			if e := t.fileAt(p); e != success {
				return nil, e
			}
			data := t.entries[p].data
			return t.write(p, data[:min(int(q.Size), len(data))], c.now())
		})
	}
	return success // open for writing and access(2) find a file that is there
}

// fullMode is what a file's or directory's permissions are while there is quorum; no others can be set.
func fullMode(p string, dir bool) uint32 {
	private := p == "priv" || strings.HasPrefix(p, "priv/")
	switch {
	case dir && private:
		return 0o700
	case dir:
		return 0o755
	case private:
		return 0o600
	}
	return 0o640
}

// fsUtime renews a lock below priv/lock. A time of zero asks for another's lock to be released, which is refused
// while that lock is fresh.
func (c *Cluster) fsUtime(ctx context.Context, n *node, p string, seconds int64) errno {
	return c.fsChange(ctx, n, func(t *tree) errno {
		if _, ok := t.entries[p]; !ok {
			return eNOENT
		}
		return success
	}, func(t *tree) (*tree, errno) {
		old, ok := t.entries[p]
		if !ok {
			return nil, eNOENT
		}
		if seconds == 0 {
			return nil, eACCES
		}
		next := t.next()
		old.mtime, old.version = time.Unix(seconds, 0), next.version
		next.entries[p] = old
		return next, success
	})
}

// fsCreate makes a file that must not exist.
func (c *Cluster) fsCreate(ctx context.Context, n *node, p string) errno {
	p = n.resolve(p)
	return c.fsChange(ctx, n, func(t *tree) errno {
		if _, ok := t.entries[p]; ok {
			return eEXIST
		}
		return t.dirCheck(p)
	}, func(t *tree) (*tree, errno) {
		if _, ok := t.entries[p]; ok {
			return nil, eEXIST
		}
		return t.write(p, nil, c.now())
	})
}
