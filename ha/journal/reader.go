package journal

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
	"bascule/ha/node"
)

// ErrFormat is wrapped where something is no journal, or one that this version cannot read.
var ErrFormat = errors.New("not a journal that can be read here")

// Entry is one recorded round or step.
type Entry struct {
	Kind  Kind
	At    time.Time  // wall clock of the writer
	Now   ha.Instant // what the machine was given as the present
	Alike int        // entries left out before it that differed by clocks only
	Line  []byte     // the entry as it stands in the file
	Round *Round     // of a round
	Step  *Step      // of a step
}

// Round is a round of the leader.
type Round struct {
	Options     leader.Options
	State       leader.State
	Observation leader.Observation
	Decision    leader.Decision
	recorded    []byte
}

// Step is a step of the node's machine. What it led to is in the line.
type Step struct {
	Config  node.Config
	Before  node.State
	Event   node.Event
	Effects []node.Effect
	line    stepLine
}

// Reader reads a file's entries in order.
type Reader struct {
	Starts  []Start // who wrote what was read so far
	Dropped int64   // entries that could not be kept, so far
	Alike   int     // entries left out at the end of a daemon's time; the others are counted in the entries
	Torn    string  // why the file ends before its end; empty: it does not

	in    *bufio.Reader
	lines int
}

// NewReader reads one file, as written or decompressed. The error wraps ErrFormat where it is no journal.
func NewReader(r io.Reader) (*Reader, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		gz, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		in = bufio.NewReaderSize(gz, 1<<16)
	}
	return &Reader{in: in}, nil
}

// Next returns the next entry, or io.EOF at the end. A file that ends in the middle of a line, as a crash leaves it, ends before
// that line, and Torn says so. Other errors name the line.
func (r *Reader) Next() (*Entry, error) {
	for {
		line, err := r.in.ReadBytes('\n')
		if err != nil {
			return nil, r.end(line, err)
		}
		r.lines++
		e, err := r.take(bytes.TrimSuffix(line, []byte{'\n'}))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", r.lines, err)
		}
		if e != nil {
			return e, nil
		}
	}
}

// end tells the ends of a file apart.
func (r *Reader) end(rest []byte, err error) error {
	damaged := errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || isCorrupt(err)
	switch {
	case err == io.EOF && len(rest) == 0: // also a file that was made, and nothing flushed to it yet
		return io.EOF
	case r.lines == 0 && (err == io.EOF || damaged):
		return fmt.Errorf("%w: its first line is none of a journal's", ErrFormat)
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		r.Torn = fmt.Sprintf("ends in the middle of line %d, as a crash, or a daemon that is writing, leaves it", r.lines+1)
		return io.EOF
	case damaged:
		r.Torn = fmt.Sprintf("is damaged after line %d (%v); what follows cannot be read", r.lines, err)
		return io.EOF
	}
	return fmt.Errorf("line %d: %w", r.lines+1, err)
}

// take handles one line; only rounds and steps are entries.
func (r *Reader) take(line []byte) (*Entry, error) {
	var head struct {
		Kind   Kind `json:"kind"`
		Format int  `json:"format"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if head.Kind == KindStart {
		if head.Format > format {
			return nil, fmt.Errorf("%w: it has format %d, this hactl reads up to %d; use the hactl of the version that wrote it", ErrFormat, head.Format, format)
		}
		var s Start
		err := json.Unmarshal(line, &s)
		r.Starts = append(r.Starts, s)
		return nil, err
	}
	if len(r.Starts) == 0 {
		return nil, fmt.Errorf("%w: it does not begin with a %q line", ErrFormat, KindStart)
	}
	switch head.Kind {
	case KindGap:
		var g gapLine
		err := json.Unmarshal(line, &g)
		r.Dropped += g.Dropped
		r.Alike += g.Alike
		return nil, err
	case KindRound:
		return readRound(line)
	case KindStep:
		return readStep(line)
	}
	return nil, fmt.Errorf("%w: a line of kind %q", ErrFormat, head.Kind)
}

func readRound(line []byte) (*Entry, error) {
	var l roundLine
	if err := json.Unmarshal(line, &l); err != nil {
		return nil, fmt.Errorf("round: %w", err)
	}
	r := &Round{Options: l.Options, State: l.State, Observation: l.Observation, recorded: l.Decision}
	if err := json.Unmarshal(l.Decision, &r.Decision); err != nil {
		return nil, fmt.Errorf("round: decision: %w", err)
	}
	return &Entry{Kind: KindRound, At: l.At, Now: l.Now, Alike: l.Alike, Line: line, Round: r}, nil
}

func readStep(line []byte) (*Entry, error) {
	s := &Step{}
	l := &s.line
	err := json.Unmarshal(line, l)
	if err == nil {
		err = json.Unmarshal(l.State, &s.Before)
	}
	if err == nil {
		s.Event, err = events.decode(l.Event)
	}
	if err == nil {
		s.Effects, err = effects.decodeAll(l.Effects)
	}
	if err != nil {
		return nil, fmt.Errorf("step: %w", err)
	}
	s.Config = l.Config
	return &Entry{Kind: KindStep, At: l.At, Now: l.Now, Alike: l.Alike, Line: line, Step: s}, nil
}
