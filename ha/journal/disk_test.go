package journal

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"bascule/ha"
	"bascule/ha/node"
)

// tell hands a step to the journal that is like no other one.
func tell(j *Journal, n int) {
	c := node.Config{Self: "n1", Incarnation: "b1"}
	s := node.State{Lease: node.Lease{ID: ha.LeaseID(n), Phase: node.LeaseHeld}}
	e := node.Campaigned{}
	after, out, next := c.Step(1e9, s, e)
	j.Step(1e9, c, s, e, after, out, next)
}

// runOnce writes what waits.
func runOnce(j *Journal) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	j.Run(ctx)
}

func newJournal(dir string) (*Journal, *logtest.Hook) {
	log, hook := logtest.NewNullLogger()
	return New(Config{Dir: dir, Version: "test", Node: "n1", Boot: "b1", Log: log}), hook
}

// replayAll replays a directory.
func replayAll(t *testing.T, dir string) Report {
	t.Helper()
	files, err := Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	var rep Report
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		err = rep.Read(f, filepath.Base(name), nil)
		f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return rep
}

func want(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: %d, want %d", what, got, want)
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j, _ := newJournal(dir)
	tell(j, 1)
	runOnce(j)
	for name, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "00000001"+suffix): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v, want mode %o", name, info, err, mode)
		}
	}
}

func TestFullQueueIsCounted(t *testing.T) {
	dir := t.TempDir()
	j, _ := newJournal(dir)
	for n := range queueLength + 10 { // nobody writes: none of these may block
		tell(j, n)
	}
	runOnce(j)
	rep := replayAll(t, dir)
	want(t, "entries", rep.Entries, queueLength)
	want(t, "dropped", int(rep.Dropped), 10)
	want(t, "different", rep.Different, 0)
}

func TestSegmentsAreBounded(t *testing.T) {
	dir := t.TempDir()
	const keep, size = 3, 2000
	log, _ := logtest.NewNullLogger()
	last := 0
	for range 30 {
		j := New(Config{Dir: dir, Segments: keep, SegmentBytes: size, Log: log})
		for range 50 {
			last++
			tell(j, last)
		}
		runOnce(j)
		files, err := Files(dir)
		if err != nil || len(files) > keep {
			t.Fatalf("%d files (%v), want at most %d", len(files), err, keep)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err != nil || info.Size() > 70<<10 { // the size is seen when gzip hands a block on
				t.Fatalf("%s: %v %v", f, info, err)
			}
		}
	}
	rep := replayAll(t, dir)
	if rep.Entries == 0 || rep.Entries >= last || rep.Different != 0 {
		t.Fatalf("%+v: want some of %d entries, the oldest are to go", rep, last)
	}
	files, _ := Files(dir)
	if number(files[0]) < 2 || !strings.Contains(string(inflate(t, files[len(files)-1])), fmt.Sprintf(`"ID":%d,`, last)) {
		t.Fatalf("the newest entry is not in the newest of %v", files)
	}
}

// A daemon that crashes again and again must not push the record of its first crash out.
func TestRestartsGoOnInTheSameFile(t *testing.T) {
	dir := t.TempDir()
	for n := range 20 {
		j, _ := newJournal(dir)
		tell(j, n)
		runOnce(j)
	}
	files, _ := Files(dir)
	want(t, "files", len(files), 1)
	want(t, "entries", replayAll(t, dir).Entries, 20)
}

func inflate(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(gz)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A file cut where it may be is read as far as it goes, and the next daemon goes on in it.
func TestTornFile(t *testing.T) {
	dir := t.TempDir()
	for n := range 3 {
		j, _ := newJournal(dir)
		tell(j, 2*n)
		tell(j, 2*n+1)
		runOnce(j)
	}
	files, _ := Files(dir)
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(whole); cut += 9 {
		at := filepath.Join(t.TempDir(), "journal")
		if err := os.MkdirAll(at, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "00000001"+suffix), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		first, err := Replay(bytes.NewReader(whole[:cut]))
		if cut == 0 {
			want(t, "entries of nothing", first.Entries, 0)
		} else if cut < 10 {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("cut within the first header at %d: %v", cut, err)
			}
		} else if err != nil || first.Different > 0 || first.Entries > 6 {
			t.Fatalf("cut at %d: %+v, %v", cut, first, err)
		}
		j, hook := newJournal(at)
		tell(j, 100)
		runOnce(j)
		then := replayAll(t, at)
		if want := first.Entries + 1; then.Entries != want || len(then.Torn) > 0 || len(hook.Entries) > 0 {
			t.Fatalf("cut at %d: after the next daemon %+v (log %v), want %d entries and nothing torn", cut, then, hook.Entries, want)
		}
	}
}

// A file that is damaged and not merely torn is left alone.
func TestDamagedFileIsKept(t *testing.T) {
	dir := t.TempDir()
	for n := range 2 {
		j, _ := newJournal(dir)
		tell(j, n)
		runOnce(j)
	}
	files, _ := Files(dir)
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := append(bytes.Clone(b), make([]byte, 100)...) // as a power cut leaves it
	if err := os.WriteFile(files[0], damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	j, _ := newJournal(dir)
	tell(j, 2)
	runOnce(j)
	if now, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(now, damaged) {
		t.Fatalf("the damaged file was changed: %v", err)
	}
	rep := replayAll(t, dir)
	want(t, "entries", rep.Entries, 3)
	if len(rep.Torn) != 1 || !strings.Contains(rep.Torn[0], "damaged") {
		t.Fatalf("torn: %q", rep.Torn)
	}
}

func TestWhatIsWrittenCanBeReadAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j, _ := newJournal(dir)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { j.Run(ctx); close(done) }()
		tell(j, 1)
		<-time.After(flushAfter + time.Millisecond)
		synctest.Wait()
		rep := replayAll(t, dir)
		want(t, "entries of a running daemon", rep.Entries, 1)
		if len(rep.Torn) > 0 {
			t.Fatalf("torn: %q", rep.Torn)
		}
		cancel()
		<-done
	})
}

// A disk that refuses costs entries, one warning, and no more; the number of lost entries is in the journal.
func TestDiskThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the directory shall be
			t.Fatal(err)
		}
		j, hook := newJournal(dir)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { j.Run(ctx); close(done) }()
		for n := range 5 {
			tell(j, n)
		}
		synctest.Wait()
		if len(hook.Entries) != 1 || hook.LastEntry().Level != logrus.WarnLevel {
			t.Fatalf("the log holds %v, want one warning", hook.Entries)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		<-time.After(tryAgain + time.Second)
		tell(j, 5)
		synctest.Wait()
		cancel()
		<-done
		rep := replayAll(t, dir)
		want(t, "entries", rep.Entries, 1)
		want(t, "dropped", int(rep.Dropped), 5)
		want(t, "lines in the log", len(hook.Entries), 2)
	})
}

// An entry that cannot be recorded is counted and told, and the others are written.
func TestEntryWithoutAForm(t *testing.T) {
	dir := t.TempDir()
	j, hook := newJournal(dir)
	tell(j, 1)
	j.Step(1e9, node.Config{}, node.State{}, nil, node.State{}, nil, 0) // no event
	j.put(nil)                                                          // a mistake of the journal's own
	tell(j, 2)
	runOnce(j)
	rep := replayAll(t, dir)
	want(t, "entries", rep.Entries, 2)
	want(t, "dropped", int(rep.Dropped), 2)
	want(t, "errors in the log", len(hook.Entries), 2)
}
