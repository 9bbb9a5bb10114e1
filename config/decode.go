package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decode stores node in v, notes where each setting stands and every problem on the way. A value that cannot be stored leaves v
// as it is (its default).
func (s *source) decode(n *yaml.Node, v reflect.Value, path string, f field) {
	if path != "" {
		s.lines[path] = n.Line
	}
	switch {
	case n.Kind == yaml.AliasNode:
		s.fail(path, "is an alias (*%s); write the value out", n.Value)
	case v.Kind() == reflect.Struct:
		s.decodeStruct(n, v, path, f)
	case v.Kind() == reflect.Map:
		s.decodeMap(n, v, path, f)
	case v.Kind() == reflect.Slice:
		s.decodeList(n, v, path, f)
	case n.Kind != yaml.ScalarNode:
		s.fail(path, "is a %s, but one value is wanted; write %s", kindName(n), oneLine(f.sample()))
	case v.Type() == reflect.TypeFor[time.Duration]():
		s.decodeDuration(n, v, path, f)
	default:
		s.decodeScalar(n, v, path, f)
	}
}

func (s *source) decodeStruct(n *yaml.Node, v reflect.Value, path string, f field) {
	fields := fieldsOf(v.Type())
	s.applyDefaults(v, fields)
	switch {
	case isNull(n): // a section whose keys are all commented out
	case n.Kind == yaml.ScalarNode && f.scalar != "":
		for _, sub := range fields {
			if sub.key == f.scalar {
				s.decode(n, v.Field(sub.index), join(path, sub.key), sub)
			}
		}
		return
	case n.Kind != yaml.MappingNode:
		s.fail(path, "is a %s, but settings are wanted; write lines of \"key: value\" with one of %s", kindName(n), keyList(fields))
		return
	}
	known := map[string]field{}
	for _, sub := range fields {
		known[sub.key] = sub
	}
	s.eachKey(n, path, func(key, value *yaml.Node) {
		sub, ok := known[key.Value]
		if !ok {
			s.failUnknown(key, path, fields)
			return
		}
		s.decode(value, v.Field(sub.index), join(path, sub.key), sub)
		s.lines[join(path, sub.key)] = key.Line
	})
	for _, sub := range fields {
		if sub.required && !s.has(join(path, sub.key)) {
			s.fail(join(path, sub.key), "is missing; write %s", missingHint(path, sub))
		}
	}
}

// applyDefaults stores the defaults that are not computed.
func (s *source) applyDefaults(v reflect.Value, fields []field) {
	scratch := &source{file: "default", lines: map[string]int{}}
	for _, f := range fields {
		fv := v.Field(f.index)
		if fv.Kind() == reflect.Struct {
			scratch.applyDefaults(fv, fieldsOf(fv.Type()))
			continue
		}
		if f.def == "" || f.computed() {
			continue
		}
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(f.def), &doc); err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", f.key, err)) // a mistake in this package's tags
		}
		scratch.decode(doc.Content[0], fv, f.key, f)
	}
	if err := asError(scratch.problems); err != nil {
		panic(fmt.Sprintf("config: a default does not fit its own rules: %v", err))
	}
}

func (s *source) decodeMap(n *yaml.Node, v reflect.Value, path string, f field) {
	if n.Kind != yaml.MappingNode {
		s.fail(path, "is a %s, but \"key: value\" pairs are wanted; write %s", kindName(n), pairsHint(f))
		return
	}
	out := reflect.MakeMap(v.Type())
	s.eachKey(n, path, func(key, value *yaml.Node) {
		elem := reflect.New(v.Type().Elem()).Elem()
		at := join(path, key.Value)
		s.decode(value, elem, at, field{key: key.Value, example: pairsExample(v.Type(), f), enum: f.enum})
		s.lines[at] = key.Line
		out.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), elem)
	})
	v.Set(out)
}

func (s *source) decodeList(n *yaml.Node, v reflect.Value, path string, f field) {
	if n.Kind != yaml.SequenceNode {
		hint := "[] for none"
		if n.Kind == yaml.ScalarNode && !isNull(n) && v.Type().Elem().Kind() != reflect.Struct {
			hint = "[" + n.Value + "]"
		} else if f.example != "" {
			hint = "a list such as [" + oneLine(strings.Trim(f.example, "[]")) + "]"
		}
		s.fail(path, "is a %s, but a list is wanted; write %s", kindName(n), hint)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		s.decode(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i), field{key: f.key, example: itemExample(v.Type(), f)})
	}
	v.Set(out)
}

// eachKey visits a mapping's pairs and refuses keys that are no plain words or stand twice.
func (s *source) eachKey(n *yaml.Node, path string, visit func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge" || key.Value == "":
			s.problemAt(key.Line, path, "has a key that is not a plain word; write each setting out as \"key: value\"")
		case first[key.Value] > 0:
			s.problemAt(key.Line, join(path, key.Value), "stands twice, first in line %d; keep one of the two", first[key.Value])
		default:
			first[key.Value] = key.Line
			visit(key, value)
		}
	}
}

// problemAt notes a problem with a line of its own.
func (s *source) problemAt(line int, path, format string, args ...any) {
	s.problems = append(s.problems, Problem{File: s.file, Line: line, Path: path, Message: fmt.Sprintf(format, args...)})
}

// isNull says whether a value is missing ("key:" with nothing behind it, or "~").
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kindName says in people's words what was written.
func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "block of settings"
	case n.Kind == yaml.SequenceNode:
		return "list"
	case isNull(n):
		return "key without a value"
	}
	return "single value"
}

// missingHint shows how to write a required key.
func missingHint(path string, f field) string {
	if strings.Contains(f.example, "\n") {
		return fmt.Sprintf("%s: [%s, …]", f.key, oneLine(f.example))
	}
	return fmt.Sprintf("%s: %s", f.key, f.example)
}

func pairsHint(f field) string {
	if f.example != "" {
		return f.example
	}
	return "{} for none"
}

// pairsExample is a value that would do in a map of this type.
func pairsExample(t reflect.Type, f field) string {
	if len(f.enum) > 0 {
		return f.enum[0]
	}
	if t.Elem().Kind() == reflect.Slice {
		return "[[node1-bmc], [manual]]"
	}
	return "one value, in quotes if it has special characters"
}

// itemExample is an item that would do in a list of this type.
func itemExample(t reflect.Type, f field) string {
	switch {
	case t.Elem().Kind() == reflect.Slice:
		return "[node1-bmc]"
	case t.Elem().Kind() == reflect.Int:
		return "101"
	case t.Elem().Kind() == reflect.Struct:
		return oneLine(f.example)
	}
	return "one word"
}

// oneLine keeps the first line of an example.
func oneLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return first
}

func keyList(fields []field) string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return strings.Join(keys, ", ")
}
