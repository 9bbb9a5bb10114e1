package journal

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const suffix = ".jsonl.gz"

// segments is the directory as its writer sees it. Lines are gathered in a gzip member, which flush ends: a crash loses the open one,
// and everything before it stays readable.
type segments struct {
	dir   string
	keep  int
	max   int64
	start func() ([]byte, error) // the first line of a file, and of a process in a file

	file    *os.File
	size    int64
	gz      *gzip.Writer
	waiting bool  // a member is open
	pending int64 // lines in it
	lost    int64 // lines that were in one when an error ended it
}

// Write counts what goes into the file; gzip calls it.
func (s *segments) Write(b []byte) (int, error) {
	n, err := s.file.Write(b)
	s.size += int64(n)
	return n, err
}

// write adds one line, with its newline. An error closes the file; the next write opens another one or this one again.
func (s *segments) write(line []byte) error {
	err := s.put(line)
	if err != nil {
		s.abandon()
		return fmt.Errorf("journal in %s: %w", s.dir, err)
	}
	return nil
}

func (s *segments) put(line []byte) error {
	if s.file != nil && s.size >= s.max {
		if err := s.close(); err != nil {
			return err
		}
	}
	if s.file == nil {
		if err := s.open(); err != nil {
			return err
		}
		head, err := s.start()
		if err != nil {
			return err
		}
		line = append(append(head, '\n'), line...)
	}
	if !s.waiting {
		if s.gz == nil {
			s.gz, _ = gzip.NewWriterLevel(s, gzip.BestSpeed) // fails for unknown levels only
		} else {
			s.gz.Reset(s)
		}
		s.waiting = true
	}
	_, err := s.gz.Write(line)
	if err == nil {
		s.pending++
	}
	return err
}

// flush ends the open member: what was written is in the kernel's hands. It is not synced to the disk: the record of a node that
// loses its power is worth less than a quick etcd, and the decisions about it are recorded on the others.
func (s *segments) flush() error {
	if !s.waiting {
		return nil
	}
	if err := s.gz.Close(); err != nil {
		s.abandon()
		return fmt.Errorf("journal in %s: %w", s.dir, err)
	}
	s.waiting, s.pending = false, 0
	return nil
}

// close ends the member and the file.
func (s *segments) close() error {
	if s.file == nil {
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// abandon drops the file after an error; repair cuts its end when it is opened again.
func (s *segments) abandon() {
	s.lost += s.pending
	s.waiting, s.pending = false, 0
	if s.file != nil {
		_ = s.file.Close() // the error before it counts
		s.file = nil
	}
}

// open goes on with the newest file while there is room in it, so that a daemon that crashes again and again does not push the
// record of its first crash out; otherwise it begins the next file and removes the oldest.
func (s *segments) open() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	names, err := Files(s.dir)
	if err != nil {
		return err
	}
	last := 0
	if n := len(names); n > 0 {
		last = number(names[n-1])
		if s.resume(names[n-1]) {
			return nil
		}
	}
	for len(names) >= s.keep {
		if err := os.Remove(names[0]); err != nil && !os.IsNotExist(err) {
			return err
		}
		names = names[1:]
	}
	s.file, err = os.OpenFile(filepath.Join(s.dir, fmt.Sprintf("%08d%s", last+1, suffix)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	s.size = 0
	return err
}

// resume opens a file to go on at its end, if it is small enough and can be repaired.
func (s *segments) resume(name string) bool {
	info, err := os.Stat(name)
	if err != nil || info.Size() >= s.max {
		return false
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0o600)
	if err != nil {
		return false
	}
	s.file = f
	if s.size, err = repair(f); err != nil {
		s.abandon()
		return false
	}
	return true
}

// Files lists a journal's files, oldest first. An empty directory has none; errors are those of reading the directory.
func Files(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range list {
		if number(e.Name()) > 0 {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	slices.SortFunc(names, func(a, b string) int { return number(a) - number(b) })
	return names, nil
}

// number is a file's place in the order; 0: it is none of ours.
func number(path string) int {
	base, ours := strings.CutSuffix(filepath.Base(path), suffix)
	n, err := strconv.Atoi(base)
	if !ours || err != nil {
		return 0
	}
	return n
}
