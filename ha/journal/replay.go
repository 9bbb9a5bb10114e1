package journal

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"bascule/ha/leader"
	"bascule/ha/placement"
)

// Report is what replays gave.
type Report struct {
	Entries   int         `json:"entries"`
	Identical int         `json:"identical"`
	Different int         `json:"different"`
	Alike     int         `json:"alike"`   // left out when written: like another one but for the clock
	Dropped   int64       `json:"dropped"` // could not be kept
	Versions  []string    `json:"versions"`
	Torn      []string    `json:"torn,omitempty"` // files that end early, and how
	First     *Difference `json:"first_difference,omitempty"`
}

// Difference is where a replayed entry is not as it was recorded.
type Difference struct {
	Entry    int       `json:"entry"` // counted from 1
	At       time.Time `json:"at"`
	Kind     Kind      `json:"kind"`
	Field    string    `json:"field"`    // path within the round's decision or the step's outcome
	Recorded string    `json:"recorded"` // what stands there, shortened
	Replayed string    `json:"replayed"`
}

// Replay runs every entry of a file again and compares. The error, which wraps ErrFormat where the file is no journal, ends the
// replay; the report holds what came before it.
func Replay(r io.Reader) (Report, error) {
	var rep Report
	err := rep.Read(r, "", nil)
	return rep, err
}

// Read replays a further file into the report, whose entries are counted on. name is for Torn. each, if any, is called after each entry
// with its number and its difference (nil: identical); its error ends the reading.
func (p *Report) Read(r io.Reader, name string, each func(n int, e *Entry, d *Difference) error) error {
	in, err := NewReader(r)
	if err != nil {
		return err
	}
	defer p.about(in, name)
	for {
		e, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		d, err := e.Replay()
		if err != nil {
			return fmt.Errorf("line %d: %w", in.lines, err)
		}
		p.count(e, d)
		if each != nil {
			if err := each(p.Entries, e, d); err != nil {
				return err
			}
		}
	}
}

func (p *Report) count(e *Entry, d *Difference) {
	p.Entries++
	p.Alike += e.Alike
	if d == nil {
		p.Identical++
		return
	}
	p.Different++
	d.Entry = p.Entries
	if p.First == nil {
		p.First = d
	}
}

// about takes over what the reader learnt beside the entries.
func (p *Report) about(in *Reader, name string) {
	p.Dropped += in.Dropped
	p.Alike += in.Alike
	for _, s := range in.Starts {
		if !slices.Contains(p.Versions, s.Version) {
			p.Versions = append(p.Versions, s.Version)
		}
	}
	if in.Torn != "" {
		p.Torn = append(p.Torn, name+" "+in.Torn)
	}
}

// Replay runs one entry again; nil: it gave the same bytes. The error says that the entry contradicts itself.
func (e *Entry) Replay() (*Difference, error) {
	var recorded, replayed []byte
	var err error
	if e.Kind == KindRound {
		recorded, replayed, err = e.Round.replay(e)
	} else {
		recorded, replayed, err = e.Step.replay(e)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Kind, err)
	}
	d := compare(recorded, replayed)
	if d != nil {
		d.At, d.Kind = e.At, e.Kind
	}
	return d, nil
}

func (r *Round) replay(e *Entry) (recorded, replayed []byte, err error) {
	l := leader.Leader{Options: r.Options, Placer: placement.Placer{}}
	replayed, err = json.Marshal(l.Decide(e.Now, r.State, r.Observation))
	return r.recorded, replayed, err
}

func (s *Step) replay(e *Entry) (recorded, replayed []byte, err error) {
	after, fx, next := s.Config.Step(e.Now, s.Before, s.Event)
	afterRaw, err := json.Marshal(after)
	if err != nil {
		return nil, nil, err
	}
	fxRaw, err := effects.encodeAll(fx)
	if err != nil {
		return nil, nil, err
	}
	like, err := fieldsOf(afterRaw)
	if err != nil {
		return nil, nil, err
	}
	full, err := s.line.full(like)
	if err != nil {
		return nil, nil, err
	}
	recorded, err = json.Marshal(outcome{After: full, Effects: s.line.Effects, Next: s.line.Next})
	if err != nil {
		return nil, nil, err
	}
	replayed, err = json.Marshal(outcome{After: afterRaw, Effects: fxRaw, Next: next})
	return recorded, replayed, err
}

// compare returns nil for equal bytes. Text that is not UTF-8 (a device's or a task's words) is the one thing that JSON does not give
// back: both sides show U+FFFD for it, once escaped and once not; that is no difference.
func compare(recorded, replayed []byte) *Difference {
	if bytes.Equal(recorded, replayed) {
		return nil
	}
	d := firstDifference(recorded, replayed)
	if d == nil && bytes.Contains(readable(recorded), []byte(`\ufffd`)) {
		return nil
	}
	if d == nil {
		d = &Difference{Field: "(bytes)", Recorded: short(string(recorded)), Replayed: short(string(replayed))}
	}
	return d
}

func isCorrupt(err error) bool {
	var bad flate.CorruptInputError
	return errors.As(err, &bad)
}
