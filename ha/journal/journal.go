package journal

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"bascule/ha"
	"bascule/ha/leader"
	"bascule/ha/node"
)

// Defaults of Config: 16 MiB are hours of a small cluster's life and several failovers of a large one's.
const (
	DefaultSegments     = 4
	DefaultSegmentBytes = 4 << 20
)

// queueLength bounds what a hung disk costs in memory: each waiting entry may hold a view of the store.
const queueLength = 256

// Config says where the journal lies and who writes it.
type Config struct {
	Dir          string // made when missing, mode 0700
	Segments     int    // files kept; 0: DefaultSegments
	SegmentBytes int64  // compressed bytes after which a new file begins; 0: DefaultSegmentBytes
	Version      string // of Bascule: another version may decide otherwise
	Node         ha.NodeName
	Boot         ha.Incarnation
	Log          logrus.FieldLogger // hears when the journal cannot be written, and when it can again; nil: nobody does
	Wall         func() time.Time   // nil: time.Now
}

// Journal takes rounds and steps and writes them in Run.
//
// What is handed over is encoded later, in Run's goroutine, while the machines go on. That is safe because they never change a value
// that they were given or have returned: Decide and Step copy the maps that they write to (their own tests check that the old
// state stays as it was), a view of the store is replaced and never edited, and the shell only reads decisions.
type Journal struct {
	cfg     Config
	queue   chan item
	dropped atomic.Int64
}

// New makes a journal. Nothing is opened before Run, and no trouble with the directory is an error: a daemon without its
// journal still protects its guests.
func New(c Config) *Journal {
	if c.Segments <= 0 {
		c.Segments = DefaultSegments
	}
	if c.SegmentBytes <= 0 {
		c.SegmentBytes = DefaultSegmentBytes
	}
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Log == nil {
		quiet := logrus.New()
		quiet.SetOutput(io.Discard)
		c.Log = quiet
	}
	return &Journal{cfg: c, queue: make(chan item, queueLength)}
}

// Round records one round of the leader at the instant that Decide was given. It never blocks; what does not fit is counted.
func (j *Journal) Round(now ha.Instant, l leader.Options, s leader.State, o leader.Observation, d leader.Decision) {
	j.put(&round{at: j.cfg.Wall(), now: now, options: l, state: s, observation: o, decision: d})
}

// Step records one step of the node's machine at the instant that Step was given. It never blocks; what does not fit is counted.
func (j *Journal) Step(now ha.Instant, c node.Config, before node.State, e node.Event, after node.State, effects []node.Effect, next ha.Instant) {
	j.put(&step{at: j.cfg.Wall(), now: now, config: c, before: before, event: e, after: after, effects: effects, next: next})
}

func (j *Journal) put(i item) {
	select {
	case j.queue <- i:
	default:
		j.dropped.Add(1)
	}
}
