package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Line is one line that a guest wrote to the shared storage.
type Line struct {
	VMID        int
	Node        string
	Incarnation string
	Generation  int64
	Counter     int64
	At          time.Time
}

// ParseLine reads "vmid node incarnation generation counter unixnano".
func ParseLine(text string) (Line, error) {
	f := strings.Fields(text)
	if len(f) != 6 {
		return Line{}, fmt.Errorf("a guest's line has 6 fields, this one %d: %.100q", len(f), text)
	}
	var numbers [4]int64
	for i, field := range []string{f[0], f[3], f[4], f[5]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return Line{}, fmt.Errorf("a guest's line has a field %q that is no number: %.100q", field, text)
		}
		numbers[i] = n
	}
	return Line{
		VMID: int(numbers[0]), Node: f[1], Incarnation: f[2],
		Generation: numbers[1], Counter: numbers[2], At: time.Unix(0, numbers[3]),
	}, nil
}

// readGuestLog returns the lines of one guest from a byte offset on, in the order in which they were written, how many are
// damaged, and the offset behind the last complete line. A guest that never ran has no lines.
func readGuestLog(path string, offset int64) (lines []Line, damaged int, next int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, offset, nil
	}
	if err == nil {
		defer f.Close()
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, 0, offset, fmt.Errorf("a guest's lines cannot be read: %w", err)
	}
	in := bufio.NewReader(f)
	for {
		text, err := in.ReadString('\n')
		if err != nil {
			return lines, damaged, offset, nil // the last line is still being written
		}
		offset += int64(len(text))
		line, err := ParseLine(text)
		if err != nil {
			damaged++
			continue
		}
		lines = append(lines, line)
	}
}

// GuestLines returns what a guest wrote, in the order in which it was written.
func (l *Lab) GuestLines(vmid int) ([]Line, error) {
	lines, _, _, err := readGuestLog(l.GuestLog(vmid), 0)
	return lines, err
}

// LoggedGuests lists the guests that ever wrote a line.
func (l *Lab) LoggedGuests() ([]int, error) {
	entries, err := os.ReadDir(l.GuestLogs())
	if err != nil {
		return nil, fmt.Errorf("the shared storage cannot be read: %w", err)
	}
	var out []int
	for _, e := range entries {
		if id, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(e.Name()), ".log")); err == nil {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out, nil
}

// FirstLineAfter returns the first line that a guest wrote at or after a moment on a node other than the given one ("" for any). It says false if
// there is none yet.
func (l *Lab) FirstLineAfter(vmid int, after time.Time, notOn string) (Line, bool, error) {
	lines, err := l.GuestLines(vmid)
	if err != nil {
		return Line{}, false, err
	}
	for _, line := range lines {
		if !line.At.Before(after) && line.Node != notOn {
			return line, true, nil
		}
	}
	return Line{}, false, nil
}

// LastLine returns the last line that a guest wrote, or false if it never wrote one.
func (l *Lab) LastLine(vmid int) (Line, bool, error) {
	const enough = 4096 // bytes: dozens of lines
	path := l.GuestLog(vmid)
	offset := int64(0)
	if info, err := os.Stat(path); err == nil {
		offset = max(0, info.Size()-enough)
	}
	// The first line may be cut in two and count as damaged; only the last one matters.
	lines, _, _, err := readGuestLog(path, offset)
	if err != nil || len(lines) == 0 {
		return Line{}, false, err
	}
	return lines[len(lines)-1], true, nil
}

// Follower reads what a guest writes from now on, without reading what it wrote before.
type Follower struct {
	path   string
	offset int64
}

// Follow begins to follow a guest's lines at the present end of its file.
func (l *Lab) Follow(vmid int) *Follower {
	f := &Follower{path: l.GuestLog(vmid)}
	if info, err := os.Stat(f.path); err == nil {
		f.offset = info.Size()
	}
	return f
}

// Next returns the complete lines written since the last call.
func (f *Follower) Next() ([]Line, error) {
	lines, _, next, err := readGuestLog(f.path, f.offset)
	f.offset = next
	return lines, err
}
