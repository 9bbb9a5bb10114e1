package etcd

import (
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// repeatAfter is how long one of etcd's warnings stays quiet (at debug) after it was logged.
const repeatAfter = 10 * time.Second

// noisy are warnings and errors that any dead peer, slow moment or closed connection causes over and over; what matters
// of them is in Health.
var noisy = []string{
	"retrying of unary invoker failed", "request stats", "prober ", "prober detected", "lost TCP streaming", "rejected stream",
	"dropped internal Raft message", "failed to dial", "peer deactivated", "closed TCP streaming", "stopped ", "stopping ",
	"waiting for ReadIndex response", "ignored out-of-date read index", "failed to get version", "failed to reach the peer URL",
	"failed to receive watch request", "failed to send watch", "grpc: ", "[core]", "failed to read data from", "failed to publish local member",
	"Running http and grpc server on single port", "failed to apply request", "setting up serving from embedded etcd failed", "failed to find remote peer in cluster", "simple token is not cryptographically signed", "failed to receive lease keepalive",
}

// worthInfo are informational lines that an operator wants to see; the rest of etcd's information is kept at debug.
var worthInfo = []string{"elected leader", "leadership transfer finished", "peer became active", "applying snapshot", "recovered v3 backend"}

// zapCore hands etcd's own log over to the daemon's.
type zapCore struct {
	log    logrus.FieldLogger
	fields []zapcore.Field
	quiet  *quiet
}

// quiet remembers when each warning was logged; shared by all loggers derived from one.
type quiet struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// newZap returns etcd's logger. A Fatal of etcd panics instead of exiting, so that Open can return it as an error;
// in a running server it ends the process all the same.
func newZap(log logrus.FieldLogger) *zap.Logger {
	core := &zapCore{log: log.WithField("component", "etcd"), quiet: &quiet{last: map[string]time.Time{}}}
	return zap.New(core, zap.WithFatalHook(zapcore.WriteThenPanic))
}

// Enabled is zap's: etcd's debug lines are one per raft message and are never wanted.
func (c *zapCore) Enabled(l zapcore.Level) bool { return l >= zapcore.InfoLevel }

// With is zap's: a logger with more fields.
func (c *zapCore) With(fields []zapcore.Field) zapcore.Core {
	d := *c
	d.fields = append(append([]zapcore.Field(nil), c.fields...), fields...)
	return &d
}

// Check is zap's.
func (c *zapCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write is zap's. The keys of etcd's fields are constants, which logrus needs.
func (c *zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range c.fields {
		f.AddTo(enc)
	}
	for _, f := range fields {
		f.AddTo(enc)
	}
	log := c.log.WithFields(enc.Fields)
	switch c.level(e) {
	case logrus.ErrorLevel:
		log.Error("etcd: " + e.Message)
	case logrus.WarnLevel:
		log.Warn("etcd: " + e.Message)
	case logrus.InfoLevel:
		log.Info("etcd: " + e.Message)
	default:
		log.Debug("etcd: " + e.Message)
	}
	return nil
}

// Sync is zap's; logrus does not buffer.
func (c *zapCore) Sync() error { return nil }

func (c *zapCore) level(e zapcore.Entry) logrus.Level {
	switch {
	case e.Level > zapcore.ErrorLevel: // the process is about to end
		return logrus.ErrorLevel
	case e.Level == zapcore.InfoLevel && !contains(worthInfo, e.Message):
		return logrus.DebugLevel
	case e.Level == zapcore.InfoLevel:
		return logrus.InfoLevel
	case contains(noisy, e.Message), !c.quiet.due(e.Message, e.Time):
		return logrus.DebugLevel
	case e.Level == zapcore.WarnLevel:
		return logrus.WarnLevel
	}
	return logrus.ErrorLevel
}

func contains(list []string, text string) bool {
	for _, s := range list {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

func (q *quiet) due(text string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if at, ok := q.last[text]; ok && now.Sub(at) < repeatAfter {
		return false
	}
	if len(q.last) > 500 { // messages with numbers in them: never grow without bound
		clear(q.last)
	}
	q.last[text] = now
	return true
}
