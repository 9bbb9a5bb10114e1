package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"bascule/ha"
)

// maxSize bounds a configuration file, in bytes: what is larger is not one.
const maxSize = 1 << 20

// surroundings is what parsing takes from the machine; tests give their own.
type surroundings struct {
	hostname string // up to its first dot; empty: unknown
	lab      bool   // a lab build
}

func here() surroundings {
	name, err := os.Hostname()
	if err != nil {
		name = "" // the member check then asks for node:
	}
	return surroundings{hostname: string(ha.NodeOf(name)), lab: labBuild}
}

// Load reads and checks the file at path and the files that it names. The error is an *Error with every problem found.
func Load(path string) (*Config, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	c, s := parse(path, data, here())
	if s.usable() {
		c.checkFiles(s)
	}
	if err := asError(s.problems); err != nil {
		return nil, err
	}
	return c, nil
}

// Parse checks a configuration without looking at the files that it names. The name stands in front of every problem; the error
// is an *Error with all of them. The only thing it takes from the machine is the host name.
func Parse(name string, data []byte) (*Config, error) {
	c, s := parse(name, data, here())
	if err := asError(s.problems); err != nil {
		return nil, err
	}
	return c, nil
}

// read reads a file of bounded size.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{Problems: []Problem{{File: path, cause: err,
			Message: fmt.Sprintf("cannot be read (%v); write it by hand or let \"hactl init\" or \"hactl join\" do it", reason(err))}}}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, &Error{Problems: []Problem{{File: path, cause: err, Message: fmt.Sprintf("cannot be read (%v); give the path of a plain file", reason(err))}}}
	}
	return data, nil
}

// reason is an error without the path, which stands in front of it already.
func reason(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// parse decodes, fills in the computed defaults and validates. The Config is only whole where source has no problems.
func parse(name string, data []byte, env surroundings) (*Config, *source) {
	s := &source{file: name, lines: map[string]int{}}
	c := &Config{src: s}
	root := s.document(data)
	if root == nil {
		return c, s
	}
	s.lines[""] = root.Line
	s.decode(root, reflect.ValueOf(c).Elem(), "", field{})
	c.derive(s, env)
	c.validate(s, env)
	c.warnings = byLine(c.warnings)
	return c, s
}

// usable says whether the file was read at all, so that it makes sense to look for what it names.
func (s *source) usable() bool { return s.lines[""] > 0 }

// document reads the one YAML document of a file; nil with a problem noted if there is none.
func (s *source) document(data []byte) *yaml.Node {
	if len(data) > maxSize {
		s.problemAt(0, "", "is larger than 1 MiB; this is not a configuration of basculed")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	err := dec.Decode(&doc)
	if err == io.EOF || err == nil && isNull(doc.Content[0]) {
		s.problemAt(0, "", "is empty; docs/basculed.sample.yaml is a start, at least cluster: and members: are needed")
		return nil
	}
	if err == nil {
		if err = dec.Decode(&next); err == nil {
			s.problemAt(next.Line, "", "a second document begins here (---); write one document, without --- between its parts")
			return nil
		}
	}
	if err != io.EOF {
		s.syntax(err)
		return nil
	}
	if doc.Content[0].Kind != yaml.MappingNode {
		s.problemAt(doc.Content[0].Line, "", "is a %s, but settings are wanted; write lines of \"key: value\", starting with cluster:", kindName(doc.Content[0]))
		return nil
	}
	return doc.Content[0]
}

// The YAML library counts lines from 0 in its parser's messages and from 1 in its scanner's, and leaves out the first line.
var (
	parserError  = regexp.MustCompile(`^did not find expected (<document start>|node content|'-' indicator|key$|',' or)`)
	scannerError = regexp.MustCompile(`^(found|could not find|did not find|mapping values are not allowed|block )`)
)

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax notes what the YAML parser says, after which nothing more can be known about the file.
func (s *source) syntax(err error) {
	text := err.Error()
	line := 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	if parserError.MatchString(text) || line == 0 && scannerError.MatchString(text) {
		line++
	}
	hint := "check quotes, brackets, and that entries of one block start in the same column"
	if strings.Contains(text, "cannot start any token") {
		hint = "indent with spaces, never tabs, and put values that start with @, ` or % in quotes"
	}
	s.problemAt(line, "", "is not YAML: %s; %s (everything else is checked once it can be read)", text, hint)
}
