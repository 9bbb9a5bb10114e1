package gossip

import (
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// quietFor is how long the same kind of warning stays quiet after it was logged: a node with the wrong key or a dead
// link repeats itself several times a second.
const quietFor = 30 * time.Second

// expected are errors that every dead or restarting node causes; that it is dead is reported elsewhere.
var expected = []string{"Failed fallback TCP ping", "Failed to send", "Push/Pull with", "Failed to forward ack", "Failed to read remote state", "Failed to push local state"}

// logBridge is memberlist's log output: it maps [ERR] and [WARN] to warnings, the rest to debug, and keeps repeated
// warnings quiet. Nothing that memberlist reports is an error of the daemon: gossip is a hint.
type logBridge struct {
	log  logrus.FieldLogger
	now  func() time.Time
	mu   sync.Mutex
	last map[string]time.Time // when each kind of warning was logged last
}

func newLogBridge(log logrus.FieldLogger) *logBridge {
	return &logBridge{log: log, now: time.Now, last: map[string]time.Time{}}
}

// Write takes one line, as the standard logger hands it over.
func (b *logBridge) Write(p []byte) (int, error) {
	line := strings.TrimSpace(string(p))
	level, text := "", line
	if rest, ok := strings.CutPrefix(line, "["); ok {
		if l, t, ok := strings.Cut(rest, "] "); ok {
			level, text = l, t
		}
	}
	text = strings.TrimPrefix(text, "memberlist: ")
	switch {
	case level != "ERR" && level != "WARN", isExpected(text), !b.due(text):
		b.log.Debug("gossip: " + text)
	case strings.HasPrefix(text, "Decrypt packet failed"), strings.Contains(text, "could decrypt"):
		b.log.Warn("gossip: " + text + " (a node with another key: compare the key files)")
	default:
		b.log.Warn("gossip: " + text)
	}
	return len(p), nil
}

func isExpected(text string) bool {
	for _, e := range expected {
		if strings.HasPrefix(text, e) {
			return true
		}
	}
	return false
}

// due says whether this kind of line (its words before the first colon or quote) may be logged again.
func (b *logBridge) due(text string) bool {
	kind := text
	if i := strings.IndexAny(text, ":'\"("); i > 0 {
		kind = text[:i]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if at, ok := b.last[kind]; ok && now.Sub(at) < quietFor {
		return false
	}
	if len(b.last) > 200 { // kinds that carry names: never grow without bound
		clear(b.last)
	}
	b.last[kind] = now
	return true
}
