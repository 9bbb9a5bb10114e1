package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a configuration file.
type Problem struct {
	File    string // as given to Load or Parse
	Line    int    // 1-based; 0 when the file as a whole is meant
	Path    string // the setting, as in "members[0].address"; empty when the file as a whole is meant
	Message string // what is wrong, and what to write instead
	cause   error  // what it wraps, or nil
}

// String gives "FILE:LINE: PATH: MESSAGE" without the parts that are not known.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Error is everything that is wrong with one configuration. The daemon exits with status 78 on it.
type Error struct {
	Problems []Problem // by line; never empty
}

// Error gives one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the errors that the problems wrap, such as ha.ErrTiming or fs.ErrNotExist.
func (e *Error) Unwrap() []error {
	var causes []error
	for _, p := range e.Problems {
		if p.cause != nil {
			causes = append(causes, p.cause)
		}
	}
	return causes
}

// asError returns nil for no problems, else an *Error with them by line.
func asError(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &Error{Problems: byLine(problems)}
}

func byLine(problems []Problem) []Problem {
	sorted := slices.Clone(problems)
	slices.SortStableFunc(sorted, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return sorted
}

// source remembers where each setting was written, and collects what is wrong.
type source struct {
	file     string
	lines    map[string]int // path → line, for every setting that the file has
	problems []Problem
}

// line returns where a path, or else its nearest written parent, stands.
func (s *source) line(path string) int {
	for path != "" {
		if n := s.lines[path]; n > 0 {
			return n
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			break
		}
		path = path[:i]
	}
	return s.lines[""]
}

// has says whether the file has this setting.
func (s *source) has(path string) bool { return s.lines[path] > 0 }

// broken says whether a problem is known with the path or anything below it.
func (s *source) broken(path string) bool {
	return slices.ContainsFunc(s.problems, func(p Problem) bool { return within(p.Path, path) })
}

// within says whether a path is the other one or lies below it.
func within(path, other string) bool {
	rest, ok := strings.CutPrefix(path, other)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// at builds a problem with a setting.
func (s *source) at(path, format string, args ...any) Problem {
	return Problem{File: s.file, Line: s.line(path), Path: path, Message: fmt.Sprintf(format, args...)}
}

// fail notes a problem with a setting, unless one with the same setting or with the block around it is known: the first says why,
// the next would only follow from it.
func (s *source) fail(path, format string, args ...any) {
	s.failCause(nil, path, format, args...)
}

// failCause is fail with an error that the problem wraps.
func (s *source) failCause(cause error, path, format string, args ...any) {
	if slices.ContainsFunc(s.problems, func(p Problem) bool { return p.Path != "" && within(path, p.Path) }) {
		return
	}
	p := s.at(path, format, args...)
	p.cause = cause
	s.problems = append(s.problems, p)
}
