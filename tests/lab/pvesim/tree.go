package pvesim

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxFile is pmxcfs's limit for one file.
const maxFile = 1 << 20

// tree is one version of the database of pmxcfs. It is immutable: an operation returns a new one, so that a node
// that lost contact simply keeps the one it had.
type tree struct {
	version   uint64
	vmVersion uint64
	entries   map[string]entry // clean relative path → entry; the root is ""
	vms       map[int]vmRef
}

type entry struct {
	dir     bool
	data    []byte
	mtime   time.Time
	version uint64
}

// vmRef is where a VMID's config lies.
type vmRef struct {
	node    string
	kind    string // "qemu" or "lxc"
	version uint64
}

func newTree() *tree {
	return &tree{version: 1, vmVersion: 1, entries: map[string]entry{"": {dir: true}}, vms: map[int]vmRef{}}
}

func (t *tree) next() *tree {
	return &tree{version: t.version + 1, vmVersion: t.vmVersion, entries: maps.Clone(t.entries), vms: maps.Clone(t.vms)}
}

var vmPathPattern = regexp.MustCompile(`^nodes/([^/]+)/(qemu-server|lxc)/([1-9][0-9]{2,8})\.conf$`)

// vmPath takes a guest config's path apart.
func vmPath(p string) (vmid int, node, kind string, ok bool) {
	m := vmPathPattern.FindStringSubmatch(p)
	if m == nil {
		return 0, "", "", false
	}
	vmid, err := strconv.Atoi(m[3])
	if err != nil {
		return 0, "", "", false
	}
	kind = "qemu"
	if m[2] == "lxc" {
		kind = "lxc"
	}
	return vmid, m[1], kind, true
}

// configPath is where a guest's config lies when it belongs to node.
func configPath(node, kind string, vmid int) string {
	dir := "qemu-server"
	if kind == "lxc" {
		dir = "lxc"
	}
	return "nodes/" + node + "/" + dir + "/" + strconv.Itoa(vmid) + ".conf"
}

func parent(p string) string {
	if d := path.Dir(p); d != "." {
		return d
	}
	return ""
}

// dirCheck says whether p can be an entry of an existing directory.
func (t *tree) dirCheck(p string) errno {
	e, ok := t.entries[parent(p)]
	if !ok {
		return eNOENT
	}
	if !e.dir {
		return eNOTDIR
	}
	return success
}

// fileAt says whether p is a file.
func (t *tree) fileAt(p string) errno {
	e, ok := t.entries[p]
	if !ok {
		return eNOENT
	}
	if e.dir {
		return eISDIR
	}
	return success
}

func (t *tree) list(dir string) ([]string, errno) {
	e, ok := t.entries[dir]
	if !ok {
		return nil, eNOENT
	}
	if !e.dir {
		return nil, eNOTDIR
	}
	var names []string
	for p := range t.entries {
		if p != "" && parent(p) == dir {
			names = append(names, path.Base(p))
		}
	}
	slices.Sort(names)
	return names, success
}

func (t *tree) write(p string, data []byte, now time.Time) (*tree, errno) {
	if e := t.dirCheck(p); e != success {
		return nil, e
	}
	old, exists := t.entries[p]
	if exists && old.dir {
		return nil, eISDIR
	}
	if len(data) > maxFile {
		return nil, eFBIG
	}
	vmid, node, kind, isVM := vmPath(p)
	if at, held := t.vms[vmid]; isVM && !exists && held && configPath(at.node, at.kind, vmid) != p {
		return nil, eEXIST
	}
	n := t.next()
	n.entries[p] = entry{data: slices.Clone(data), mtime: now, version: n.version}
	if isVM {
		n.setVM(vmid, node, kind)
	}
	return n, success
}

func (t *tree) setVM(vmid int, node, kind string) {
	t.vmVersion++
	t.vms[vmid] = vmRef{node: node, kind: kind, version: t.version}
}

func (t *tree) dropVM(vmid int) {
	t.vmVersion++
	delete(t.vms, vmid)
}

// rename follows pmxcfs: a VMID held elsewhere is EEXIST, an existing file of ANY name is silently overwritten, and
// nobody asks whether the guest is running.
func (t *tree) rename(from, to string, now time.Time) (*tree, errno) {
	src, ok := t.entries[from]
	if !ok {
		return nil, eNOENT
	}
	if e := t.dirCheck(to); e != success {
		return nil, e
	}
	if from == to {
		return t, success
	}
	if src.dir {
		return t.renameDir(from, to)
	}
	if dst, exists := t.entries[to]; exists && dst.dir {
		return nil, eISDIR
	}
	fromID, _, _, fromVM := vmPath(from)
	toID, node, kind, toVM := vmPath(to)
	if at, held := t.vms[toID]; toVM && held {
		where := configPath(at.node, at.kind, toID)
		if where != to && where != from {
			return nil, eEXIST
		}
	}
	n := t.next()
	delete(n.entries, from)
	n.entries[to] = entry{data: src.data, mtime: now, version: n.version}
	if fromVM {
		n.dropVM(fromID)
	}
	if toVM {
		n.setVM(toID, node, kind)
	}
	return n, success
}

// renameDir moves a directory and what is below it; guest configs in it are looked up again.
func (t *tree) renameDir(from, to string) (*tree, errno) {
	if strings.HasPrefix(to+"/", from+"/") {
		return nil, eINVAL
	}
	if _, exists := t.entries[to]; exists {
		return nil, eNOTEMPTY
	}
	n := t.next()
	for p, e := range t.entries {
		if p != from && !strings.HasPrefix(p, from+"/") {
			continue
		}
		moved := to + strings.TrimPrefix(p, from)
		delete(n.entries, p)
		e.version = n.version
		n.entries[moved] = e
		if vmid, _, _, isVM := vmPath(p); isVM {
			n.dropVM(vmid)
		}
		if vmid, node, kind, isVM := vmPath(moved); isVM {
			n.setVM(vmid, node, kind)
		}
	}
	return n, success
}

func (t *tree) unlink(p string) (*tree, errno) {
	e, ok := t.entries[p]
	if !ok {
		return nil, eNOENT
	}
	if e.dir {
		return nil, eISDIR
	}
	n := t.next()
	delete(n.entries, p)
	if vmid, _, _, isVM := vmPath(p); isVM {
		n.dropVM(vmid)
	}
	return n, success
}

func (t *tree) mkdir(p string, now time.Time) (*tree, errno) {
	if _, exists := t.entries[p]; exists {
		return nil, eEXIST
	}
	if e := t.dirCheck(p); e != success {
		return nil, e
	}
	n := t.next()
	n.entries[p] = entry{dir: true, mtime: now, version: n.version}
	return n, success
}

func (t *tree) rmdir(p string) (*tree, errno) {
	e, ok := t.entries[p]
	if !ok {
		return nil, eNOENT
	}
	if !e.dir {
		return nil, eNOTDIR
	}
	for other := range t.entries {
		if other != "" && parent(other) == p {
			return nil, eNOTEMPTY
		}
	}
	n := t.next()
	delete(n.entries, p)
	return n, success
}
