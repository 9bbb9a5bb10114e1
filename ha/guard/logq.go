package guard

import (
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	logQueue = 256
	logFlush = 200 * time.Millisecond // at the end; a log that hangs longer loses its lines
)

// logq stands between the guard and its log: logging is synchronous in logrus, so a hung journald would hold up kills
// and feedings. A full queue drops lines and counts them.
type logq struct {
	lines   chan logLine
	dropped atomic.Int64
	done    chan struct{}
}

type logLine struct {
	level logrus.Level
	text  string
}

func newLogq(to logrus.FieldLogger) *logq {
	q := &logq{lines: make(chan logLine, logQueue), done: make(chan struct{})}
	go q.run(to)
	return q
}

// add never blocks.
func (q *logq) add(level logrus.Level, text string) {
	select {
	case q.lines <- logLine{level, text}:
	default:
		q.dropped.Add(1)
	}
}

func (q *logq) run(to logrus.FieldLogger) {
	defer close(q.done)
	for l := range q.lines {
		switch l.level {
		case logrus.ErrorLevel:
			to.Error(l.text)
		case logrus.WarnLevel:
			to.Warn(l.text)
		default:
			to.Info(l.text)
		}
		if n := q.dropped.Swap(0); n > 0 {
			to.Warnf("guard: the log was too slow, %d lines are lost", n)
		}
	}
}

// close waits a moment for what is queued. Nothing may be added afterwards.
func (q *logq) close() {
	close(q.lines)
	select {
	case <-q.done:
	case <-time.After(logFlush):
	}
}
