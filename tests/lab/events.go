package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// Event is one thing that happened to the lab's hardware, as the world saw it.
type Event struct {
	Time   int64  `json:"time"` // wall clock, nanoseconds since 1970
	Kind   string `json:"kind"` // see the Event constants
	Node   string `json:"node,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// The kinds of events. A BMC adds its own: bmc-command, bmc-failed, bmc-fault.
const (
	EventProgress    = "progress"     // what the start is doing
	EventReady       = "ready"        // the world has started everything
	EventFailed      = "failed"       // the world could not start
	EventPowerCut    = "power-cut"    // the moment is that of the cut, before the first process died
	EventPowerOff    = "power-off"    // nothing of the node runs any more
	EventPowerOn     = "power-on"     // power is back, the node begins to boot
	EventBooted      = "booted"       // its processes start
	EventReset       = "reset"        // by its watchdog or its kernel
	EventNotDead     = "not-dead"     // processes are left after a power cut: the lab itself is broken
	EventStarted     = "started"      // a process of the node
	EventExited      = "exited"       // a process of the node
	EventStartFailed = "start-failed" // a process of the node
	EventNetwork     = "network"
	EventSignal      = "signal"
	EventOperator    = "operator"
	EventStorage     = "storage"
	EventPVE         = "pve"
	EventKeys        = "magic-keys" // what a node asked its kernel for
)

// At is the event's moment.
func (e Event) At() time.Time { return time.Unix(0, e.Time) }

// String is one line for people.
func (e Event) String() string {
	return fmt.Sprintf("%s %-12s %-6s %s", e.At().Format("15:04:05.000"), e.Kind, e.Node, e.Detail)
}

// eventLog appends to events.jsonl.
type eventLog struct {
	mu   sync.Mutex
	file *os.File
}

func newEventLog(path string) (*eventLog, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("the event log cannot be opened: %w", err)
	}
	return &eventLog{file: f}, nil
}

// add writes an event that happens now.
func (l *eventLog) add(kind, node, detail string) { l.addAt(time.Now(), kind, node, detail) }

// addAt writes an event with the moment it happened at.
func (l *eventLog) addAt(at time.Time, kind, node, detail string) {
	data, err := json.Marshal(Event{Time: at.UnixNano(), Kind: kind, Node: node, Detail: detail})
	if err != nil {
		return // an Event holds only plain data: this cannot happen
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(data, '\n')); err != nil {
		fmt.Fprintf(os.Stderr, "the event log cannot be written: %v\n", err) // world.log
	}
}

// readEvents returns the events from a byte offset on, and the offset behind the last complete line.
func readEvents(path string, offset int64) ([]Event, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, offset, fmt.Errorf("the lab's events cannot be read: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(offset, 0); err != nil {
		return nil, offset, fmt.Errorf("the lab's events cannot be read: %w", err)
	}
	var out []Event
	in := bufio.NewReader(f)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return out, offset, nil // a line being written is read next time
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return out, offset, fmt.Errorf("%s is damaged at byte %d: %w", path, offset, err)
		}
		offset += int64(len(line))
		out = append(out, e)
	}
}
