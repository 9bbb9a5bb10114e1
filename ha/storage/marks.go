package storage

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"bascule/ha"
)

// Mark is what a look writes on a storage: who wrote, and which of its writes this is. Whoever finds it there uses the same storage.
type Mark struct {
	Cluster string      `json:"cluster"`
	Node    ha.NodeName `json:"node"`
	Life    string      `json:"life"`  // of the daemon that wrote: made up at its start
	Count   int         `json:"count"` // of its writes on this storage
	// Unread is why a mark that is there says nothing: it was being written, or is an older daemon's. Never written.
	Unread string `json:"unread,omitempty"`
}

// Written is a mark that this node has written, and how long ago.
type Written struct {
	Mark
	Age time.Duration
}

// Marks are the marks of one storage: those that this node wrote, and those that it finds there now.
type Marks struct {
	Storage string
	Wrote   []Written // the last ones, the oldest first; empty: it does not write there
	Found   []Mark    // by all nodes, in the order of their names
	Problem string    // why it could not be looked: Found says nothing then
}

const (
	// keptMarks bounds what is remembered of one storage's writes: some minutes, when it works.
	keptMarks = 8
	// markedLately is how long after its last look a storage is still one of this node's.
	markedLately = 5 * time.Minute
)

// marked is what is remembered of a storage with a directory.
type marked struct {
	place  ha.StoragePlace
	looked time.Time
	count  int
	writes []write
}

// write is one mark on the storage.
type write struct {
	mark Mark
	at   time.Time
}

// directory is what is remembered of a storage; of one that has become another, nothing. The caller holds mu.
func (l *Looker) directory(p ha.StoragePlace) *marked {
	d := l.dirs[p.Name]
	if d == nil || d.place != p {
		d = &marked{place: p}
		l.dirs[p.Name] = d
	}
	d.looked = time.Now()
	return d
}

// nextMark is what the next write says. It counts attempts: one that hangs may come through later. The caller holds mu.
func (l *Looker) nextMark(d *marked) *Mark {
	d.count++
	return &Mark{Cluster: l.cfg.Cluster, Node: l.cfg.Node, Life: l.life, Count: d.count}
}

func (d *marked) wrote(m Mark, at time.Time) {
	d.writes = append(d.writes, write{m, at})
	d.writes = d.writes[max(0, len(d.writes)-keptMarks):]
}

// Marks reads the marks on every storage with a directory that was looked at lately, until ctx ends at the latest. It writes nothing. A
// storage that hangs holds up no look: its processes are others.
func (l *Looker) Marks(ctx context.Context) []Marks {
	var places []ha.StoragePlace
	l.mu.Lock()
	for _, d := range l.dirs {
		if time.Since(d.looked) < markedLately {
			places = append(places, d.place)
		}
	}
	l.mu.Unlock()
	slices.SortFunc(places, func(a, b ha.StoragePlace) int { return strings.Compare(a.Name, b.Name) })
	out := make([]Marks, len(places))
	var all sync.WaitGroup
	for i, p := range places {
		all.Go(func() { out[i] = l.marks(ctx, p) })
	}
	all.Wait()
	return out
}

func (l *Looker) marks(ctx context.Context, p ha.StoragePlace) Marks {
	a, look := l.child(ctx, "marks of "+p.Name, order{Path: p.Path, Mount: p.Mount, List: true})
	out := Marks{Storage: p.Name, Found: a.Marks, Problem: look.Problem}
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.dirs[p.Name]; d != nil && d.place == p {
		for _, w := range d.writes {
			out.Wrote = append(out.Wrote, Written{w.mark, time.Since(w.at)})
		}
	}
	return out
}
