package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"reflect"
	"sync"

	"bascule/ha"
	"bascule/ha/node"

	"github.com/google/renameio/v2"
)

// stateSchema is the version of the state file.
const stateSchema = 1

type stateFile struct {
	Schema int `json:"schema"`
	node.GuardSaved
}

// keeper is the goroutine that keeps the machine's state on file. The file as a whole is replaced only when something
// other than the deadline changes; the deadline goes into a small file of its own, in place, without sync: the run
// directory is memory, and only a crash of the process has to be survived.
type keeper struct {
	path string
	wake chan struct{}
	line *os.File // the deadline's file, once open; only run uses it

	mu       sync.Mutex
	onFile   node.GuardSaved
	next     node.GuardSaved
	pending  *keeping // of next, not written yet
	deadline bool     // next's deadline is not written yet
}

// keeping is a write that is under way; its end is told to everybody who asked.
type keeping struct {
	mu    sync.Mutex
	done  bool
	err   error
	calls []func(error)
}

// then calls f when the write has ended, now if it has.
func (k *keeping) then(f func(error)) {
	k.mu.Lock()
	if !k.done {
		k.calls = append(k.calls, f)
		k.mu.Unlock()
		return
	}
	k.mu.Unlock()
	f(k.err)
}

func (k *keeping) end(err error) {
	k.mu.Lock()
	k.done, k.err = true, err
	calls := k.calls
	k.mu.Unlock()
	for _, f := range calls {
		f(err)
	}
}

func newKeeper(path string, onFile node.GuardSaved) *keeper {
	return &keeper{path: path, onFile: onFile, next: onFile, wake: make(chan struct{}, 1)}
}

// put takes a state to be kept and never blocks.
func (k *keeper) put(s node.GuardSaved) *keeping {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deadline = k.deadline || s.Deadline != k.next.Deadline
	k.next = s
	if k.pending == nil && sameButDeadline(s, k.onFile) {
		if k.deadline {
			notify(k.wake)
		}
		return &keeping{done: true}
	}
	if k.pending == nil {
		k.pending = &keeping{}
	}
	notify(k.wake)
	return k.pending
}

func sameButDeadline(a, b node.GuardSaved) bool {
	a.Deadline, b.Deadline = 0, 0
	if len(a.Guests) == 0 && len(b.Guests) == 0 {
		a.Guests, b.Guests = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

// run writes until ctx ends and what is pending is on file.
func (k *keeper) run(ctx context.Context) {
	defer func() {
		if k.line != nil {
			_ = k.line.Close() // nothing is buffered
		}
	}()
	for {
		select {
		case <-ctx.Done():
			k.write()
			return
		case <-k.wake:
			k.write()
		}
	}
}

func (k *keeper) write() {
	k.mu.Lock()
	s, whole, deadline := k.next, k.pending, k.deadline
	k.pending, k.deadline = nil, false
	k.mu.Unlock()
	if whole != nil {
		err := writeState(k.path, s)
		if err == nil {
			k.mu.Lock()
			k.onFile = s
			k.mu.Unlock()
		}
		defer whole.end(err)
	}
	if deadline || whole != nil {
		k.writeDeadline(s)
	}
}

func writeState(path string, s node.GuardSaved) error {
	data, err := json.Marshal(stateFile{stateSchema, s})
	if err == nil {
		err = renameio.WriteFile(path, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("guard: state cannot be kept in %s: %w: a restarted guard would not know its guests; make room in the run directory", path, err)
	}
	return nil
}

// writeDeadline is best effort: an older deadline on file only makes a restarted guard stricter.
func (k *keeper) writeDeadline(s node.GuardSaved) {
	if k.line == nil {
		f, err := os.OpenFile(deadlinePath(k.path), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return
		}
		k.line = f
	}
	_, _ = k.line.WriteAt([]byte(deadlineLine(s.Incarnation, s.Deadline)), 0)
}

func deadlinePath(path string) string { return path + ".deadline" }

// deadlineLine has a fixed size and a checksum over boot and deadline, so that a torn or foreign line is seen.
func deadlineLine(inc ha.Incarnation, d ha.Instant) string {
	num := fmt.Sprintf("%020d", int64(d))
	return fmt.Sprintf("%s %08x\n", num, crc32.ChecksumIEEE([]byte(string(inc)+" "+num)))
}

// loadState reads what an earlier guard kept; nothing kept is the zero value. An error says that something was there
// and cannot be used: the guard starts idle, and a watchdog that was armed ends the node unless the agent comes.
func loadState(path string) (node.GuardSaved, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return node.GuardSaved{}, nil
	}
	var f stateFile
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err == nil && f.Schema != stateSchema {
		err = fmt.Errorf("schema %d, this guard knows %d", f.Schema, stateSchema)
	}
	if err != nil {
		return node.GuardSaved{}, fmt.Errorf("guard: state file %s: %w: going on as after a boot", path, err)
	}
	var num ha.Instant
	if line, err := os.ReadFile(deadlinePath(path)); err == nil {
		if _, err := fmt.Sscanf(string(line), "%d", &num); err == nil && num > f.Deadline && deadlineLine(f.Incarnation, num) == string(line) {
			f.Deadline = num
		}
	}
	return f.GuardSaved, nil
}
