package pvesim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// taskStore is a node's /var/log/pve/tasks: one log per task, and an index of those that have ended. It survives
// power cuts. How a task ended is read from the last line of its log, which its worker wrote; a worker that was
// killed wrote none.
type taskStore struct {
	dir string

	mu  sync.Mutex
	all []*task // in order of start
}

type task struct {
	upid   upid
	done   chan struct{} // closed when the worker is gone
	end    int64         // seconds since 1970; valid after done
	status string        // valid after done
}

func openTaskStore(dir string) (*taskStore, error) {
	s := &taskStore{dir: dir}
	data, err := os.ReadFile(filepath.Join(dir, "index"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("pvesim: reading the task index failed: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(strings.TrimRight(line, "\n"), " ", 3)
		if len(f) != 3 {
			continue
		}
		u, ok := parseUPID(f[0])
		end, err := strconv.ParseInt(f[1], 16, 64)
		if !ok || err != nil {
			continue
		}
		t := &task{upid: u, done: make(chan struct{}), end: end, status: f[2]}
		close(t.done)
		s.all = append(s.all, t)
	}
	return s, nil
}

func (s *taskStore) logPath(u upid) string { return taskLog(s.dir, u.String()) }

func taskLog(dir, upid string) string { return filepath.Join(dir, upid) }

func (s *taskStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

func (s *taskStore) add(u upid) *task {
	t := &task{upid: u, done: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, t)
	return t
}

func (s *taskStore) find(u string) *task {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.all {
		if t.upid.String() == u {
			return t
		}
	}
	return nil
}

// finish notes that a task's worker is gone.
func (s *taskStore) finish(t *task, now time.Time) error {
	t.end, t.status = now.Unix(), exitStatus(s.logPath(t.upid))
	s.mu.Lock()
	defer s.mu.Unlock()
	close(t.done)
	f, err := os.OpenFile(filepath.Join(s.dir, "index"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("pvesim: noting the end of %s failed: %w", t.upid, err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s %08X %s\n", t.upid, t.end, t.status); err != nil {
		return fmt.Errorf("pvesim: noting the end of %s failed: %w", t.upid, err)
	}
	return nil
}

// exitStatus reads how a task ended from its log.
func exitStatus(log string) string {
	data, err := os.ReadFile(log)
	if err != nil {
		return "unexpected status"
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	last := lines[len(lines)-1]
	if last == "TASK OK" {
		return "OK"
	}
	if message, ok := strings.CutPrefix(last, "TASK ERROR: "); ok {
		return message
	}
	if n, ok := strings.CutPrefix(last, "TASK WARNINGS: "); ok {
		return "WARNINGS: " + n
	}
	return "unexpected status"
}

func (t *task) running() bool {
	select {
	case <-t.done:
		return false
	default:
		return true
	}
}

// newestFirst copies the list: running tasks, then those that ended.
func (s *taskStore) newestFirst() (active, archive []*task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.all) - 1; i >= 0; i-- {
		if t := s.all[i]; t.running() {
			active = append(active, t)
		} else {
			archive = append(archive, t)
		}
	}
	return active, archive
}

func (t *task) listRow() object {
	row := t.upid.row()
	if t.running() {
		row["status"], row["saved"] = "RUNNING", "0"
	} else {
		row["status"], row["endtime"] = t.status, t.end
	}
	return row
}

// shortList is what a node tells the others of its tasks: the 25 newest, in the shape of GET /cluster/tasks.
func (s *taskStore) shortList() []object {
	active, archive := s.newestFirst()
	rows := []object{}
	for _, t := range append(active, archive...) {
		if len(rows) == 25 {
			break
		}
		row := t.upid.row()
		delete(row, "pstart")
		if !t.running() {
			delete(row, "pid")
			row["saved"], row["status"], row["endtime"] = "1", t.status, t.end
		}
		rows = append(rows, row)
	}
	return rows
}

// ownedBy says whether a caller started the task. A user owns what its tokens started, a token only its own.
func (u upid) ownedBy(w *caller) bool {
	user, _, _ := strings.Cut(u.user, "!")
	return u.user == w.id || w.ticket && user == w.id
}
