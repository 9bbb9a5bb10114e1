package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// asyncWriter keeps a hung log (journald, a full disk) from stalling the loops that hold leases: lines wait in a bounded queue,
// what does not fit is dropped and counted.
type asyncWriter struct {
	to      io.Writer
	lines   chan []byte
	dropped atomic.Int64
	done    chan struct{}
}

const logQueue = 2048

func newAsyncWriter(to io.Writer) *asyncWriter {
	w := &asyncWriter{to: to, lines: make(chan []byte, logQueue), done: make(chan struct{})}
	go w.run()
	return w
}

// Write never blocks and never fails.
func (w *asyncWriter) Write(b []byte) (int, error) {
	line := append([]byte(nil), b...)
	select {
	case w.lines <- line:
	default:
		w.dropped.Add(1)
	}
	return len(b), nil
}

func (w *asyncWriter) run() {
	defer close(w.done)
	for line := range w.lines {
		_, _ = w.to.Write(line)
		if n := w.dropped.Swap(0); n > 0 {
			_, _ = fmt.Fprintf(w.to, "%d log lines were dropped: the log does not take them fast enough\n", n)
		}
	}
}

// close gives what is queued a moment to be written. Nothing may be logged after it.
func (w *asyncWriter) close() {
	close(w.lines)
	select {
	case <-w.done:
	case <-time.After(time.Second):
	}
}
