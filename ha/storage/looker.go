package storage

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"bascule/ha"
)

// Config is what a Looker is made of.
type Config struct {
	Node    ha.NodeName
	Cluster string   // its name: two clusters may use one server
	Child   []string // argv of a process that runs Child: this program's own
	Etc     string   // where Proxmox's files are: /etc/pve
	Root    string   // of /sys, /run and /dev; empty: "/"
}

// Looker looks at storages. Its methods may be called by several goroutines at once.
type Looker struct {
	cfg  Config
	life string // of this Looker, in its marks

	mu    sync.Mutex
	open  map[string]*process // by what is looked at: processes that have not ended
	wrote map[string]time.Time
	dirs  map[string]*marked    // storages with a directory, as they were looked at last
	ceph  map[string]cephHealth // by cluster
}

// writeEvery is the pause between two writes on a storage that works; one that does not is written to in each look.
const writeEvery = time.Minute

// New makes a Looker. It touches nothing.
func New(c Config) *Looker {
	if c.Root == "" {
		c.Root = "/"
	}
	return &Looker{cfg: c, life: rand.Text(), open: map[string]*process{}, wrote: map[string]time.Time{}, dirs: map[string]*marked{}, ceph: map[string]cephHealth{}}
}

// Look looks once at a storage. It answers when ctx ends at the latest (and a quarter of a second), whatever the storage does.
func (l *Looker) Look(ctx context.Context, p ha.StoragePlace) ha.StorageLook {
	out := ha.StorageLook{Storage: p.Name}
	switch {
	case p.Type == "rbd":
		out = l.rbd(ctx, p)
	case p.Path != "":
		out = l.path(ctx, p)
		if p.Type == "cephfs" {
			out.Notes = append(out.Notes, l.cephNotes(ctx, p)...)
		}
	case p.VG != "" || p.Target != "":
		out = l.block(ctx, p)
	default:
		out.Skipped, out.Problem = true, fmt.Sprintf("there is no way to look at a storage of type %s", p.Type)
	}
	out.Storage = p.Name
	return out
}

// order is what a child is told, on its standard input.
type order struct {
	Node    string   `json:"node,omitempty"`
	Path    string   `json:"path,omitempty"`
	Mount   string   `json:"mount,omitempty"`
	Write   bool     `json:"write,omitempty"`
	Mark    *Mark    `json:"mark,omitempty"` // with Write: what is written
	List    bool     `json:"list,omitempty"` // only read the marks that are there
	Devices []string `json:"devices,omitempty"`

	Forget *forgetting `json:"forget,omitempty"` // only remove marks
}

// answer is what a child found.
type answer struct {
	Problem string   `json:"problem,omitempty"`
	Skipped bool     `json:"skipped,omitempty"` // the problem is this process's own
	Notes   []string `json:"notes,omitempty"`
	Wrote   bool     `json:"wrote,omitempty"` // the mark is on the storage
	Marks   []Mark   `json:"marks,omitempty"` // with List
}

// path looks at a directory.
func (l *Looker) path(ctx context.Context, p ha.StoragePlace) ha.StorageLook {
	o := order{Node: string(l.cfg.Node), Path: p.Path, Mount: p.Mount}
	l.mu.Lock()
	d := l.directory(p)
	due := !p.ReadOnly && time.Since(l.wrote[p.Name]) >= writeEvery
	if due {
		o.Write, o.Mark = true, l.nextMark(d)
	}
	l.mu.Unlock()
	a, out := l.child(ctx, p.Name, o)
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.Wrote {
		d.wrote(*o.Mark, time.Now())
	}
	switch {
	case out.Problem != "":
		delete(l.wrote, p.Name)
	case due:
		l.wrote[p.Name] = time.Now()
	}
	return out
}

// child has a process of its own carry out an order.
func (l *Looker) child(ctx context.Context, name string, o order) (answer, ha.StorageLook) {
	in, err := json.Marshal(o)
	if err != nil {
		return answer{}, ha.StorageLook{Skipped: true, Problem: err.Error()}
	}
	r := l.run(ctx, name, l.cfg.Child, in)
	if out, bad := r.failed(); bad {
		return answer{}, out
	}
	var a answer
	if err := json.Unmarshal(r.out, &a); err != nil {
		return answer{}, ha.StorageLook{Skipped: true, Problem: "the look's own process ended without an answer: " + r.words()}
	}
	return a, ha.StorageLook{Problem: a.Problem, Skipped: a.Skipped, Notes: a.Notes}
}

// failed is the look of a process that gave no answer in time, or could not be started.
func (r result) failed() (ha.StorageLook, bool) {
	switch {
	case r.notStarted != nil: // that says nothing about the storage
		return ha.StorageLook{Skipped: true, Problem: "no process could be started to look: " + r.notStarted.Error()}, true
	case !r.stuckSince.IsZero():
		return ha.StorageLook{Hung: true, Problem: "a look that began at " + r.stuckSince.Format(time.TimeOnly) + " has not come back: who uses it waits in the kernel"}, true
	case r.late:
		return ha.StorageLook{Hung: true, Problem: "it gave no answer in time"}, true
	}
	return ha.StorageLook{}, false
}

// words are the last line that a process complained with, or how it ended.
func (r result) words() string {
	lines := strings.Split(strings.TrimSpace(string(r.err)), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return printable(last, 200)
	}
	if r.end != nil {
		return r.end.Error()
	}
	return "it said nothing"
}

// printable makes a text of others fit for an operator's line.
func printable(s string, most int) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
